"""Predictors of ratings that a model must beat: biases, and a factorisation of what they leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.data.ratings import Ratings
from training.metrics import factors

Predictions = NDArray[np.floating]
Rater = Callable[[Ratings, Ratings], Predictions]
"""From a history and cells of its users to predicted ratings [R]."""


def biases(train: Ratings, items: int, shrinkage: float = 5.0) -> Rater:
    """Mean + item bias + user bias; the user's comes from the history that the model sees too."""
    centre = float(train.rating.mean())
    off = train.rating - centre
    item_bias = np.bincount(train.item, off, items) / (np.bincount(train.item, minlength=items) + shrinkage)

    def predict(history: Ratings, cells: Ratings) -> Predictions:
        known = history.item >= 0
        rest = history.rating[known] - centre - item_bias[history.item[known]]
        users = max(history.users, cells.users)
        count = np.bincount(history.user[known], minlength=users)
        user_bias = np.bincount(history.user[known], rest, users) / (count + shrinkage)
        return centre + user_bias[cells.user] + np.where(cells.item >= 0, item_bias[cells.item], 0)

    return predict


def biased_mf(train: Ratings, items: int, rank: int, ridge: float, rounds: int, seed: int) -> Rater:
    """Biases, and the product of two factors for what they leave, fitted by alternating ridge regressions.

    Zhou, Wilkinson, Schreiber, Pan, "Large-scale parallel collaborative filtering for the Netflix
    prize", AAIM 2008, with the same penalty for everybody. What is left is divided by the standard
    deviation of the ratings, so that the penalty means the same on every scale.
    """
    simple, spread = biases(train, items), train.rating.std(dtype=np.float64)

    def cells_of(history: Ratings) -> factors.Cells:
        known = history.take(history.item >= 0)
        rest = ((known.rating - simple(history, known)) / spread).astype(np.float32)
        places = known.user.astype(np.int32), known.item.astype(np.int32)
        weight, pull = (
            sparse.csr_array((data, places), shape=(history.users, items)) for data in (np.ones_like(rest), rest)
        )
        return weight, pull

    def penalty(other: Any) -> factors.Factors:
        return ridge * np.eye(rank, dtype=np.float32)

    start = (0.1 * np.random.default_rng(seed).standard_normal((items, rank))).astype(np.float32)
    item = factors.alternate(cells_of(train), start, penalty, rounds)

    def predict(history: Ratings, cells: Ratings) -> Predictions:
        user = factors.solve(cells_of(history), item, penalty(item))
        product = (user[cells.user.clip(max=len(user) - 1)] * item[cells.item]).sum(axis=1)
        return simple(history, cells) + np.where((cells.item >= 0) & (cells.user < len(user)), spread * product, 0)

    return predict
