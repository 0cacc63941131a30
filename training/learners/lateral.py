"""Lateral weights: from the items that somebody rated and liked to those that they rate, in closed form.

For every output item i the weights b [2L] minimise

    sum_u w_u (y_ui - x_u . b)^2 + ridge |b|^2 + sum_j d_j b_j^2,   b_i = b_{L+i} = 0,

where x_u are the 0/1 units "rated" and "liked" of a user over the L frequent items, y_u their first half and
w_u = n_u^-1/2 for a user with n_u ratings. d is p / (1 - p) of the diagonal of the weighted Gram matrix: the
expectation over inputs that are dropped with probability p (Steck, "Autoencoders that don't overfit towards the
identity", NeurIPS 2020). With one unit an item, equal weights and p = 0 this is EASE (Steck, "Embarrassingly shallow
autoencoders for sparse data", WWW 2019). In terms of a Boltzmann machine these are lateral connections between
visible units, fitted by the pseudo-likelihood of Gaussian units.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data.ratings import Ratings

USERS = 256
"""Users whose units are held as dense rows at a time."""


@dataclass(frozen=True)
class Lateral:
    """`frequent` int64 [L] are the items that have weights; their units are rows of `weight` int8 [2L,L], first all
    "rated", then all "liked". The columns are outputs, each with its `scale` [L].
    """

    frequent: Tensor
    weight: Tensor
    scale: Tensor


def frequent_items(ratings: Ratings, items: int, least: int, most: int) -> NDArray[np.int64]:
    """In ascending order the items with `least` ratings or more, no more than the `most` that have the most."""
    count = np.bincount(ratings.item, minlength=items)
    best = np.argsort(-count, kind="stable")[:most]
    return np.sort(best[count[best] >= least])


def fit(ratings: Ratings, liked: float, frequent: NDArray[np.int64], ridge: float, dropout: float) -> Tensor:
    """The weights [2L,L] of the module's docstring."""
    gram = _gram(ratings, liked, frequent)
    size = len(frequent)
    penalty = ridge + dropout / (1 - dropout) * gram.diagonal()
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram + penalty.diag()))
    # Without the condition: inverse @ gram[:, :L], and gram is what was inverted less the penalty.
    weight = -inverse[:, :size] * penalty[:size]
    weight.diagonal().add_(1)
    # With it: less the multiple of the two own columns of the inverse that makes the two own weights 0.
    rated, likes = inverse[:, :size], inverse[:, size:]
    own = torch.stack((rated[:size].diagonal(), likes[:size].diagonal(), likes[size:].diagonal()))
    first, second = weight[:size].diagonal(), weight[size:].diagonal()
    determinant = own[0] * own[2] - own[1] ** 2
    return (
        weight
        - rated * ((own[2] * first - own[1] * second) / determinant)
        - likes * ((own[0] * second - own[1] * first) / determinant)
    ).float()


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """int8 [V,O] and a scale for each output [O], whose product is nearest to `weight`."""
    least = weight.new_full((1, weight.shape[1]), 1e-12)  # as a row: there may be no weights at all
    scale = torch.cat((weight.abs(), least)).amax(dim=0) / 127
    return torch.round(weight / scale).to(torch.int8), scale


def _gram(ratings: Ratings, liked: float, frequent: NDArray[np.int64]) -> Tensor:
    """Sum over users of n^-1/2 x x' [2L,2L], in float64."""
    size = len(frequent)
    place = np.full(int(ratings.item.max(initial=0)) + 1, -1)
    place[frequent] = np.arange(size)
    order = np.argsort(ratings.user, kind="stable")
    ends = np.searchsorted(ratings.user[order], np.arange(0, ratings.users + USERS, USERS))
    total = torch.zeros(2 * size, 2 * size, dtype=torch.float64)
    count = np.bincount(ratings.user, minlength=ratings.users)
    for block, (start, end) in enumerate(pairwise(ends)):
        rows = order[start:end]
        rows = rows[place[ratings.item[rows]] >= 0]
        user, item = ratings.user[rows] - block * USERS, place[ratings.item[rows]]
        units = np.zeros((USERS, 2 * size), np.float32)
        root = (count[ratings.user[rows]] ** -0.25).astype(np.float32)
        units[user, item] = root
        likes = ratings.rating[rows] >= liked
        units[user[likes], size + item[likes]] = root[likes]
        dense = torch.from_numpy(units)
        total += dense.T @ dense
    return total
