"""What nearest neighbours tell of generated pictures: are they like real ones, are all kinds there, were any copied?

All is Euclidean, in whatever features it is asked of. Distances are held a block of rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.metrics.auroc import auroc

Features = NDArray[np.float64]
Squares = NDArray[np.float32]
BLOCK = 500
"""Rows whose distances from all others are held at once."""
NEIGHBOURS = 5
"""To how many a ball reaches: k of equally many samples of one kind cover 1 - 2^-k of each other, 5 of them .97."""


@dataclass(frozen=True)
class Support:
    """Each is 0..1 (density may exceed 1), for samples of the real distribution near the figures of real pictures."""

    precision: float
    """Share of the samples that lie in the ball of some real picture."""
    recall: float
    """Share of the real pictures that lie in the ball of some sample."""
    density: float
    """Real balls that a sample lies in, mean over samples, by the number of neighbours."""
    coverage: float
    """Share of the real pictures in whose ball some sample lies."""


@dataclass(frozen=True)
class Reference:
    """Real rows [N,D] and the squared radii [N] of their balls: how far each reaches."""

    rows: Features
    reaches: Squares

    @classmethod
    def of(cls, rows: Features) -> Reference:
        """Of rows [N,D]; a ball reaches to the furthest other row where there are fewer than it asks for."""
        return cls(rows, radii(rows))


def support(samples: Features, real: Reference) -> Support:
    """How the samples [M,D] and the real rows lie in each other's balls.

    A ball is about a row and reaches to its k-th nearest other row of the same set, k = 5, the edge included. Precision
    and recall: Kynkaanniemi, Karras, Laine, Lehtinen and Aila, "Improved precision and recall metric for assessing
    generative models", 2019. Density and coverage: Naeem, Oh, Uh, Choi and Yoo, "Reliable fidelity and diversity
    metrics for generative models", 2020.
    """
    reach = radii(samples)
    inside, density = 0, 0
    recalled, covered = np.zeros(len(real.rows), bool), np.zeros(len(real.rows), bool)
    for start, squares in _squares(samples, real.rows):
        recalled |= (squares <= reach[start : start + len(squares), None]).any(axis=0)
        within = squares <= real.reaches
        inside += int(within.any(axis=1).sum())
        density += int(within.sum())
        covered |= within.any(axis=0)
    return Support(
        precision=inside / len(samples),
        recall=float(recalled.mean()),
        density=density / (NEIGHBOURS * len(samples)),
        coverage=float(covered.mean()),
    )


def radii(rows: Features) -> Squares:
    """Squared distances [N] from each row [N,D] to its k-th nearest other row."""
    place = min(NEIGHBOURS, len(rows) - 1)
    found: list[Squares] = []
    for start, squares in _squares(rows, rows):
        squares[np.arange(len(squares)), start + np.arange(len(squares))] = 0  # itself, whatever rounding says
        found.append(np.partition(squares, place, axis=1)[:, place])
    return np.concatenate(found)


def nearest(samples: Features, known: Features) -> NDArray[np.float64]:
    """Distance [M] from each of the samples [M,D] to the nearest of the known rows [N,D]."""
    squares = [part.min(axis=1) for _, part in _squares(samples, known)]
    return np.sqrt(np.concatenate(squares).astype(np.float64))


def copying(samples: NDArray[np.float64], unseen: NDArray[np.float64]) -> float:
    """By how much samples lie nearer to the training pictures than unseen real pictures do: 0 not at all, 1 are copies.

    Both are given by their distance to the nearest training picture, [M] and [N]. Meehan, Chaudhuri and Dasgupta, "A
    non-parametric test to detect data-copying in generative models", 2020: of their U statistic over the whole space,
    as a share of the pairs, what lies above the 1/2 of pictures of one kind. Below lies what resembles none.
    """
    return max(0.0, 2 * auroc(unseen, samples) - 1)


def _squares(first: Features, second: Features) -> Iterator[tuple[int, Squares]]:
    """Squared distances of some rows of the one from all rows of the other, with the place of the first of them.

    In float32, about a common centre, where little is lost.
    """
    centre = second.mean(axis=0)
    near, far = ((rows - centre).astype(np.float32) for rows in (first, second))
    lengths = np.square(far).sum(axis=1)
    for start in range(0, len(near), BLOCK):
        block = near[start : start + BLOCK]
        squares = block @ far.T
        squares *= -2
        squares += lengths
        squares += np.square(block).sum(axis=1)[:, None]
        yield start, np.maximum(squares, 0, out=squares)
