"""Alternating least squares over sparse cells: factors of rows and columns, each a ridge regression on the other's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Factors = NDArray[np.floating]
Sparse = Any
"""A `scipy.sparse.csr_array`, which has no types."""
Cells = tuple[Sparse, Sparse]
"""Weights w and pulls p [R,C] of the same cells: a row's factors x minimise sum_c w (x f_c)^2 - 2 p (x f_c) + x A x',
which for p = w t is the weighted squared distance from targets t, under a quadratic penalty A."""
Penalty = Callable[[Factors], Factors]
"""The penalty A [K,K], which may depend on the other side's factors."""
BLOCK = 512
"""Rows whose equations are solved together."""
CELLS = 64
"""Of a row at a time: products so small that BLAS does not start threads, which on a busy machine cost minutes."""


def solve(cells: Cells, other: Factors, penalty: Factors) -> Factors:
    """The minimum for every row, [R,K], given factors [C,K]: (A + F' W F) x = F' p."""
    weight, pull = cells
    rows, rank = weight.shape[0], other.shape[1]
    found = np.empty((rows, rank), np.float32)
    for start in range(0, rows, BLOCK):
        places = range(start, min(start + BLOCK, rows))
        left = np.empty((len(places), rank, rank), np.float32)
        right = np.empty((len(places), rank, 1), np.float32)
        for place, row in enumerate(places):
            left[place], right[place] = penalty, 0
            end = weight.indptr[row + 1]
            for first in range(weight.indptr[row], end, CELLS):
                at = slice(first, min(first + CELLS, end))
                factors = other[weight.indices[at]]
                left[place] += factors.T @ (factors * weight.data[at, None])
                right[place, :, 0] += pull.data[at] @ factors
        found[start : start + len(places)] = np.linalg.solve(left, right)[:, :, 0]
    return found


def alternate(cells: Cells, columns: Factors, penalty: Penalty, rounds: int) -> Factors:
    """Factors of the columns [C,K], from a start, after so many rounds of rows, then columns."""
    turned = tuple(part.T.tocsr() for part in cells)
    for _ in range(rounds):
        rows = solve(cells, columns, penalty(columns))
        columns = solve((turned[0], turned[1]), rows, penalty(rows))
    return columns
