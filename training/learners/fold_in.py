"""Posterior means of Gaussian hidden units given what was told, and given that without one rating.

The hidden units' precision is A = 1 + sum_j u_j u_j' over the units of what was told (`gram` is the sum), and their
mean solves A x = `right`. Without rating m both lose one term, and A^-1 changes by a matrix of rank one (Sherman,
Morrison, "Adjustment of an inverse matrix corresponding to a change in one element", 1950):

    (A - u u')^-1 y = A^-1 y + A^-1 u (u' A^-1 y) / (1 - u' A^-1 u)

Leading axes are batches. ONNX knows no solver: conjugate gradients, in a fixed number of steps, find A^-1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.learners.operators import conjugate_gradients, one_if_any

STEPS = 12
"""Enough for systems of hundreds of ratings to be solved to the fifth digit; each makes the graph longer."""


def means(gram: Tensor, right: Tensor, left_unit: Tensor, left_right: Tensor) -> tuple[Tensor, Tensor]:
    """The mean [..,1,R] from gram [..,R,R] and right [..,1,R], and those without one rating [..,M,R].

    Of the M ratings that are left out one at a time, `left_unit` [..,M,R] are the u, and `left_right` [..,M,R] what the
    right side is without them. If M is 0, nothing is spent on them.
    """
    precision = torch.eye(gram.shape[-1]) + gram
    rows = torch.eye(gram.shape[-1])[: gram.shape[-1] * one_if_any(left_unit.shape[-2])]  # of the inverse: all or none
    sides = torch.cat((right, rows.expand(*right.shape[:-2], *rows.shape)), dim=-2)
    diagonal = precision.diagonal(dim1=-2, dim2=-1).unsqueeze(-2)
    solved = conjugate_gradients(precision, diagonal, sides, STEPS)
    mean, inverse = solved[..., :1, :], solved[..., 1:, :]
    # Times `rows`, which changes nothing: where there are none, sizes still agree. The exporter would drop a slice.
    unit, without = left_unit @ rows.T @ inverse, left_right @ rows.T @ inverse
    share = (left_unit * unit).sum(dim=-1, keepdim=True)
    return mean, without + unit * (left_unit * without).sum(dim=-1, keepdim=True) / (1 - share)
