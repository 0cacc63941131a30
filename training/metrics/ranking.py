"""Ranking for users that training never saw, and predicted ratings, beside popularity and biases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.manifest import Baseline, Metric
from training.data.ratings import RatingData, Ratings
from training.graphs import Graphs

Scores = NDArray[np.floating]
RUN_RATINGS = 32_768
"""Ratings, padding included, in one run: the graph gathers a row of weights for each."""


@dataclass(frozen=True)
class Figure:
    """A mean with its standard error; users are the sampling unit."""

    value: float
    error: float | None


def ndcg(ranked: NDArray[np.int64], relevant: set[int], wanted: int, depth: int = 10) -> float:
    """NDCG of the first `depth` of `ranked`: gain 1, discount 1 / log2(rank + 1), over the best reachable."""
    discount = 1 / np.log2(np.arange(2, depth + 2))
    hits = np.array([item in relevant for item in ranked[:depth].tolist()], dtype=float)
    return float(hits @ discount[: len(hits)] / discount[: min(depth, wanted)].sum())


def recall(ranked: NDArray[np.int64], relevant: set[int], wanted: int, depth: int = 20) -> float:
    """Share of relevant items among the first `depth`, over the most that fit."""
    return len(relevant.intersection(ranked[:depth].tolist())) / min(depth, wanted)


def rank_users(scores: Scores, foldin: Ratings, targets: Ratings, liked: float) -> tuple[Figure, Figure, int]:
    """NDCG@10, Recall@20 and the number of users, from scores [U,I]. Items of the fold-in are not listed."""
    scores = scores.astype(np.float64, copy=True)
    known = foldin.item >= 0
    scores[foldin.user[known], foldin.item[known]] = -np.inf
    good = targets.rating >= liked
    gains: list[float] = []
    recalls: list[float] = []
    for user in np.unique(targets.user[good]).tolist():
        wanted = targets.item[good & (targets.user == user)]
        relevant = set(wanted[wanted >= 0].tolist())
        ranked = np.argsort(-scores[user], kind="stable")[:20]
        gains.append(ndcg(ranked, relevant, len(wanted)))
        recalls.append(recall(ranked, relevant, len(wanted)))
    return _mean(np.array(gains)), _mean(np.array(recalls)), len(gains)


def rmse(predicted: Scores, cells: Ratings, low: float, high: float) -> Figure:
    """Root mean squared error of predictions [R] for the cells, clipped to the scale."""
    squares = np.square(np.clip(predicted, low, high) - cells.rating)
    value = float(np.sqrt(squares.mean()))
    # Rows of one user are not independent: the error of the mean square is taken over users, then propagated.
    users = np.bincount(cells.user)
    residual = np.bincount(cells.user, weights=squares - squares.mean())[users > 0]
    spread = np.sqrt(np.square(residual).sum()) / len(squares)
    return Figure(value, float(spread / (2 * value)) if value else None)


def biases(train: Ratings, history: Ratings, cells: Ratings, items: int, shrinkage: float = 5.0) -> Scores:
    """Mean + user bias + item bias for the cells; a user's bias comes from the `history` that the model sees too."""
    centre = float(train.rating.mean())
    off = train.rating - centre
    item_bias = np.bincount(train.item, off, items) / (np.bincount(train.item, minlength=items) + shrinkage)
    known = history.item >= 0
    rest = history.rating[known] - centre - item_bias[history.item[known]]
    users = max(history.users, cells.users)
    count = np.bincount(history.user[known], minlength=users)
    user_bias = np.bincount(history.user[known], rest, users) / (count + shrinkage)
    return centre + user_bias[cells.user] + np.where(cells.item >= 0, item_bias[cells.item], 0)


def fold_in(graphs: Graphs, history: Ratings, rows: int = 64) -> tuple[Scores, Scores]:
    """Scores and predicted ratings [U,I] of all users from their histories."""
    outputs = [found for _, found in _blocks(graphs, history, rows)]
    return tuple(np.concatenate([part[name] for part in outputs]) for name in ("score", "predicted_rating"))  # type: ignore[return-value]


def predict(graphs: Graphs, history: Ratings, cells: Ratings, other: float, rows: int = 64) -> Scores:
    """Predicted ratings of the cells [R] from their users' histories; `other` for unknown items.

    Never holds more than `rows` users with all items: there may be many of both.
    """
    predicted = np.full(len(cells.user), other, np.float64)
    for start, outputs in _blocks(graphs, history, rows):
        here = np.flatnonzero((cells.user >= start) & (cells.user < start + rows) & (cells.item >= 0))
        predicted[here] = outputs["predicted_rating"][cells.user[here] - start, cells.item[here]]
    return predicted


def _blocks(graphs: Graphs, history: Ratings, rows: int) -> Iterator[tuple[int, dict[str, NDArray[np.float32]]]]:
    """The first user and the outputs of every `rows` users."""
    order = np.argsort(history.user, kind="stable")
    places = np.split(order, np.cumsum(np.bincount(history.user, minlength=history.users))[:-1])
    for start in range(0, len(places), rows):
        block = places[start : start + rows]
        item = np.full((len(block), max(1, *map(len, block))), -1, np.int32)
        rating = np.zeros(item.shape, np.float32)
        for row, cells in enumerate(block):
            item[row, : len(cells)], rating[row, : len(cells)] = history.item[cells], history.rating[cells]
        yield start, graphs.in_batches("score", max(1, RUN_RATINGS // item.shape[1]), item_index=item, rating=rating)


def evaluate(graphs: Graphs, data: RatingData) -> list[Metric]:
    """NDCG@10 and Recall@20 of unseen users, RMSE on hidden cells and of unseen users where ratings differ."""
    score, _ = fold_in(graphs, data.foldin)
    popularity = np.broadcast_to(np.array([item.popularity for item in data.items]), score.shape)
    ranked = rank_users(score, data.foldin, data.targets, data.liked)
    popular = rank_users(popularity, data.foldin, data.targets, data.liked)
    metrics = [
        Metric(
            name=name,
            value=ours.value,
            standard_error=ours.error,
            better="higher",
            samples=ranked[2],
            data=f"{data.name}, validation users",
            protocol="users unseen in training; items of the fold-in left out; relevant: targets rated "
            f"{data.liked:.10g} or more",
            baselines=(Baseline(name="popularity", value=theirs.value, standard_error=theirs.error),),
        )
        for name, ours, theirs in zip(("NDCG@10", "Recall@20"), ranked[:2], popular[:2], strict=True)
    ]
    if data.train.rating.min() == data.train.rating.max():
        return metrics
    low, high, centre = data.levels[0], data.levels[-1], float(data.train.rating.mean())
    for name, history, cells in (
        ("RMSE, hidden cells", data.train, data.cells),
        ("RMSE, unseen users", data.foldin, data.targets),
    ):
        ours = rmse(predict(graphs, history, cells, centre), cells, low, high)
        theirs = rmse(biases(data.train, history, cells, len(data.items)), cells, low, high)
        metrics.append(
            Metric(
                name=name,
                value=ours.value,
                standard_error=ours.error,
                better="lower",
                samples=len(cells.rating),
                data=f"{data.name}, validation",
                protocol="the model sees the user's other ratings; predictions clipped to the scale",
                baselines=(Baseline(name="biases only", value=theirs.value, standard_error=theirs.error),),
            )
        )
    return metrics


def _mean(values: NDArray[np.float64]) -> Figure:
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
    return Figure(float(values.mean()), error)
