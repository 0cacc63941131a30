"""The basis in which rounding a vector is seen least.

Rounded in steps of one size, a vector carries the same error in every direction, however little that direction says and
however much of it is seen. Written in another basis first, and turned back where it is read, it says the same.
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


def least_seen(signal: Tensor, seen: Tensor) -> Tensor:
    """The matrix [N,N] whose products with vectors are best to round, in float64 on the processor.

    `signal` [N,N] is the mean of v v^T over vectors v, and e^T `seen` e how much is seen of an error e in one. With
    S^(1/2) H S^(1/2) = V K V^T it is A = Q K^(1/4) V^T S^(-1/2), where the rotation Q makes all parts of A v equally
    strong. Steps grow with the strongest part, and what is seen with tr(H A^-1 A^-T). No A makes the product of the
    two less than (tr K^(1/2))^2 / N, as the norms of A S^(1/2) and H^(1/2) A^-1 bound the nuclear one of their product,
    and this one reaches it but for `AT_LEAST` and `LEAST_POWER`, by which it stays well conditioned. A v is as strong
    as v in the mean. QuaRot (Ashkboos et al. 2024) turns activations for the same end, by rotations alone.
    """
    signal, seen = signal.cpu().double(), seen.cpu().double()
    if not (signal.any() and seen.any()):
        return torch.eye(len(signal)).double()
    powers, directions = torch.linalg.eigh(signal)
    powers = powers.clamp(min=LEAST_POWER * powers.max())
    root, inverse_root = (directions * powers**power @ directions.T for power in (0.5, -0.5))
    kappa, turn = torch.linalg.eigh(root @ seen @ root)
    kappa = kappa.clamp(min=0)
    kappa = kappa + AT_LEAST * kappa.mean()
    matrix = _levelling(kappa.sqrt()) * kappa**0.25 @ turn.T @ inverse_root
    return matrix * (signal.trace() / (matrix @ signal @ matrix.T).trace()).sqrt()


def _levelling(powers: Tensor) -> Tensor:
    """A rotation [N,N] after which independent parts with these powers [N], rising, all have the same.

    It is that of a correlation matrix with these eigenvalues (Davies and Higham, "Numerically stable generation of
    correlation matrices and their factors", 2000).
    """
    if len(powers) == 1:
        return torch.ones(1, 1).double()
    shares = (powers / powers.mean()).numpy()
    levelled = random_correlation.rvs(shares, random_state=np.random.default_rng(0), tol=1e-9)
    return torch.linalg.eigh(torch.from_numpy(levelled))[1]
