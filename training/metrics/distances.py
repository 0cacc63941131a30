"""Distances between two sets of features, as samples of two distributions: Frechet's, and a kernel's.

They are what FID and KID are but for the features: those are on the features of Inception, these on any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float64]
BLOCK = 1000
"""Rows whose kernel with all others is held at once."""


@dataclass(frozen=True)
class Gaussian:
    """`mean` [D] and `covariance` [D,D] of features."""

    mean: Features
    covariance: Features

    @classmethod
    def of(cls, features: Features) -> Self:
        """Of the rows [N,D], with N - 1 in the covariance."""
        return cls(features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False)))


def frechet(first: Gaussian, second: Gaussian) -> float:
    """Frechet distance of two Gaussians (Dowson and Landau 1982), as FID has it: a squared length.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the last trace by the eigenvalues of C1^(1/2) C2 C1^(1/2).
    """
    values, vectors = np.linalg.eigh(first.covariance)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    mixed = np.sqrt(np.linalg.eigvalsh(root @ second.covariance @ root).clip(0)).sum()
    shift = np.square(first.mean - second.mean).sum()
    return float(shift + np.trace(first.covariance) + np.trace(second.covariance) - 2 * mixed)


def kernel_distance(first: Features, second: Features) -> float:
    """Squared maximum mean discrepancy of rows [N,D] and [M,D] with the kernel (x.y / D + 1)^3, unbiased.

    mean over i != j of k(x_i, x_j) + the same of y - 2 mean of k(x_i, y_j); it may come out a little below 0.
    Binkowski, Sutherland, Arbel and Gretton, "Demystifying MMD GANs", 2018, section 4, of all rows at once where KID is
    often the mean over subsets.
    """
    return _within(first) + _within(second) - 2 * _sum(first, second) / (len(first) * len(second))


def _within(rows: Features) -> float:
    """Mean kernel of different rows."""
    own = ((np.square(rows).sum(axis=1) / rows.shape[1] + 1) ** 3).sum()
    return (_sum(rows, rows) - float(own)) / (len(rows) * (len(rows) - 1))


def _sum(first: Features, second: Features) -> float:
    """The kernel of every row of the one with every row of the other, added up."""
    whole = 0.0
    for start in range(0, len(first), BLOCK):
        base = first[start : start + BLOCK] @ second.T / first.shape[1] + 1
        whole += float(np.einsum("ij,ij,ij->", base, base, base))
    return whole
