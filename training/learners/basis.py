"""The basis in which rounding a vector is heard least.

Rounded in steps of one size, a vector carries the same error in every direction, however little that direction says and
however much of it is heard. Written in another basis first, and turned back where it is read, it says the same.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import random_correlation
from torch import Tensor

AT_LEAST = 0.1
"""Of the mean: how much every direction counts, for the sake of other readers than the one that is known."""
LEAST_POWER = 1e-4
"""Of the greatest: what says less counts as this, and does not grow out of all proportion."""


def quietest(signal: Tensor, heard: Tensor) -> Tensor:
    """The matrix [N,N] whose products with vectors are best to round.

    `signal` [N,N] is the mean of v v^T over vectors v, and e^T `heard` e [N,N] how much is heard of an error e in one.
    With S^(1/2) H S^(1/2) = V K V^T it is A = Q K^(1/4) V^T S^(-1/2), and Q the rotation after which all parts of A v
    are of one size. The steps grow with the largest part, and what is heard with tr(H A^-1 A^-T), so that no other A
    makes their product less than (tr K^(1/2))^2 / N, which this one does: the Cauchy-Schwarz inequality on K^(1/2).
    A v is as large as v in the mean. Those of QuaRot (Ashkboos et al. 2024) only rotate.
    """
    signal = signal.double()
    powers, ways = torch.linalg.eigh(signal)
    root = powers.clamp(min=powers.max() * LEAST_POWER).sqrt()
    whole, inverse = ways * root @ ways.T, ways / root @ ways.T
    kappa, turn = torch.linalg.eigh(whole @ heard.double() @ whole)
    kappa = kappa.clamp(min=0)
    kappa = kappa + AT_LEAST * kappa.mean()
    matrix = _levelling(kappa.sqrt()) * kappa**0.25 @ turn.T @ inverse
    return matrix * (signal.trace() / (matrix @ signal @ matrix.T).trace()).sqrt()


def _levelling(powers: Tensor) -> Tensor:
    """A rotation [N,N] after which independent parts with these powers [N], rising, have one power each.

    Bendel and Mickey, "Population correlation matrices for sampling experiments", 1978.
    """
    shares = (powers / powers.mean()).numpy()
    levelled = random_correlation.rvs(shares * (len(shares) / shares.sum()), random_state=np.random.default_rng(0))
    return torch.linalg.eigh(torch.from_numpy(levelled))[1]
