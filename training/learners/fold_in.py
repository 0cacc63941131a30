"""Posterior means of Gaussian hidden units given what was told, and given that without one rating.

The hidden units' precision is A = 1 + sum_j u_j u_j' over the units of what was told (`gram` is the sum), and their
mean solves A x = `right`. Without rating m both lose one term, and A^-1 changes by a matrix of rank one (Sherman,
Morrison, "Adjustment of an inverse matrix corresponding to a change in one element", 1950):

    (A - u u')^-1 y = A^-1 y + A^-1 u (u' A^-1 y) / (1 - u' A^-1 u)

Leading axes are batches. ONNX knows no solver: conjugate gradients find A^-1, in a number of
steps that is fixed when a graph is made, by histories of training.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from training.learners.operators import conjugate_gradients, one_if_any

SOLVED = 1e-4
"""Of a solved system: how long what is left of a right side may be, as a share of it. Means are then off by less."""


@dataclass(frozen=True)
class System:
    """gram [..,R,R] and right [..,1,R], see the module's docstring."""

    gram: Tensor
    right: Tensor

    @property
    def precision(self) -> Tensor:
        return torch.eye(self.gram.shape[-1]) + self.gram

    def solved(self, rows: Tensor, steps: int) -> Tensor:
        """x [..,1+M,R] for the right side and for `rows` [M,R] as further ones."""
        precision = self.precision
        diagonal = precision.diagonal(dim1=-2, dim2=-1).unsqueeze(-2)
        return conjugate_gradients(precision, diagonal, self.sides(rows), steps)

    def sides(self, rows: Tensor) -> Tensor:
        return torch.cat((self.right, rows.expand(*self.right.shape[:-2], *rows.shape)), dim=-2)


def steps(systems: Iterable[System]) -> int:
    """How many solve all of these and find their inverses: fewer where what is told weighs little beside the prior.

    Twice the number of unknowns at most, where rounding leaves more than `SOLVED`.
    """
    needed = 1
    for system in systems:
        size = system.gram.shape[-1]
        rows = torch.eye(size)
        sides = system.sides(rows)
        while needed < 2 * size:
            rest = sides - system.solved(rows, needed) @ system.precision
            if (rest.norm(dim=-1) <= SOLVED * sides.norm(dim=-1)).all():
                break
            needed += 1
    return needed


def means(system: System, left_unit: Tensor, left_right: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The mean [..,1,R], and those without one rating [..,M,R].

    Of the M ratings that are left out one at a time, `left_unit` [..,M,R] are the u, and `left_right` [..,M,R] what the
    right side is without them. If M is 0, nothing is spent on them.
    """
    size = system.gram.shape[-1]
    rows = torch.eye(size)[: size * one_if_any(left_unit.shape[-2])]  # of the inverse: all or none
    solved = system.solved(rows, steps)
    mean, inverse = solved[..., :1, :], solved[..., 1:, :]
    # Times `rows`, which changes nothing: where there are none, sizes still agree. The exporter would drop a slice.
    unit, without = left_unit @ rows.T @ inverse, left_right @ rows.T @ inverse
    share = (left_unit * unit).sum(dim=-1, keepdim=True)
    return mean, without + unit * (left_unit * without).sum(dim=-1, keepdim=True) / (1 - share)
