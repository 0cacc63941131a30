"""Ranking for users that training never saw, and predicted ratings, beside what is simpler.

Differences between two models are paired: each user contributes to both, and what is common to
both cancels before the standard error is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.manifest import Baseline, Metric
from training.data.ratings import RatingData, Ratings
from training.graphs import Graphs
from training.metrics import rankers, raters
from training.metrics.rankers import Ranker, Scores
from training.metrics.raters import Rater

LISTED = 10
"""Items of a list that somebody looks at."""
DEPTH = 20
"""Of the list that recall looks into."""
RUN_RATINGS = 4_096
"""Ratings, padding included, in one run: the graph gathers a row of weights for each."""


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure over users, who are the sampling unit.

    `influence` [U] is how far each user moved it, to first order: its length is the standard error,
    and that of the difference between two models' is the standard error of their paired difference.
    """

    value: float
    influence: NDArray[np.float64]

    @property
    def error(self) -> float | None:
        return float(np.linalg.norm(self.influence)) if len(self.influence) > 1 else None

    def minus(self, other: Figure) -> Figure:
        """The difference, paired by user."""
        return Figure(self.value - other.value, self.influence - other.influence)


@dataclass(frozen=True)
class Contender:
    """What is measured: a model, or one that it stands beside. `seconds` of fitting, where they were taken."""

    name: str
    ranker: Ranker | None = None
    rater: Rater | None = None
    seconds: float | None = None


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
    first = _first(scores, foldin, DEPTH)
    good = targets.rating >= liked
    gains: list[float] = []
    recalls: list[float] = []
    for user in np.unique(targets.user[good]).tolist():
        wanted = targets.item[good & (targets.user == user)]
        relevant = set(wanted[wanted >= 0].tolist())
        gains.append(ndcg(first[user], relevant, len(wanted)))
        recalls.append(recall(first[user], relevant, len(wanted)))
    return _mean(np.array(gains)), _mean(np.array(recalls)), len(gains)


def listed(scores: Scores, foldin: Ratings) -> NDArray[np.int64]:
    """The first items of everybody's list [U,10], without those of the fold-in."""
    return _first(scores, foldin, LISTED)


def coverage(lists: NDArray[np.int64], items: int) -> float:
    """Share of the items that are on anybody's list."""
    return len(np.unique(lists)) / items


def rmse(predicted: Scores, cells: Ratings, low: float, high: float) -> Figure:
    """Root mean squared error of predictions [R] for the cells, clipped to the scale.

    By the delta method: with the mean square m = sum_u S_u / N, where user u has the sum of squares
    S_u over n_u of the N cells, the user's influence on sqrt(m) is (S_u - n_u m) / (2 N sqrt(m)).
    """
    squares = np.square(np.clip(predicted, low, high) - cells.rating)
    value = float(np.sqrt(squares.mean()))
    # Rows of one user are not independent: they move the figure together.
    moved = np.bincount(cells.user, weights=squares - squares.mean())[np.bincount(cells.user) > 0]
    return Figure(value, moved / (2 * len(squares) * value) if value else np.zeros(len(moved)))


def fold_in(graphs: Graphs, history: Ratings, rows: int = 64) -> tuple[Scores, Scores]:
    """Scores and predicted ratings [U,I] of all users from their histories."""
    outputs = [found for _, found in _blocks(graphs, history, rows)]
    return tuple(np.concatenate([part[name] for part in outputs]) for name in ("score", "predicted_rating"))  # type: ignore[return-value]


def predict(graphs: Graphs, history: Ratings, cells: Ratings, other: float, rows: int = 64) -> Scores:
    """Predicted ratings of the cells [R] from their users' histories; `other` for unknown items.

    Never holds more than `rows` users with all items: there may be many of both.
    """
    predicted = np.full(len(cells.user), other, np.float64)
    asked, user = np.unique(cells.user, return_inverse=True)
    theirs = history.take(np.isin(history.user, asked))
    theirs = Ratings(np.searchsorted(asked, theirs.user).astype(np.int32), theirs.item, theirs.rating)
    for start, outputs in _blocks(graphs, theirs, rows):
        here = np.flatnonzero((user >= start) & (user < start + rows) & (cells.item >= 0))
        predicted[here] = outputs["predicted_rating"][user[here] - start, cells.item[here]]
    return predicted


def _blocks(graphs: Graphs, history: Ratings, rows: int) -> Iterator[tuple[int, dict[str, NDArray[np.float32]]]]:
    """The first user and the outputs of every `rows` users. Nothing is asked to be explained."""
    explains = "target" in graphs.inputs("score")
    order = np.argsort(history.user, kind="stable")
    places = np.split(order, np.cumsum(np.bincount(history.user, minlength=history.users))[:-1])
    for start in range(0, len(places), rows):
        block = places[start : start + rows]
        item = np.full((len(block), max(1, *map(len, block))), -1, np.int32)
        rating = np.zeros(item.shape, np.float32)
        for row, cells in enumerate(block):
            item[row, : len(cells)], rating[row, : len(cells)] = history.item[cells], history.rating[cells]
        most = max(1, RUN_RATINGS // item.shape[1])
        nothing = {"target": np.zeros((len(block), 0), np.int32)} if explains else {}
        yield start, graphs.in_batches("score", most, item_index=item, rating=rating, **nothing)


def evaluate(graphs: Graphs, data: RatingData) -> list[Metric]:
    """NDCG@10, Recall@20 and coverage for unseen users, RMSE on hidden cells and of unseen users where ratings differ.

    Beside popularity and biases; `comparison.compare` has more.
    """
    items = len(data.items)
    beside = [Contender("popularity", ranker=rankers.popularity(data.train, items, data.liked))]
    if data.rated:
        beside.append(Contender("biases only", rater=raters.biases(data.train, items)))
    return measure(contender("this model", graphs, data), beside, data)


def contender(name: str, graphs: Graphs, data: RatingData) -> Contender:
    """Exported graphs, to be measured."""
    centre = float(data.train.rating.mean())
    return Contender(
        name,
        lambda history: fold_in(graphs, history)[0],
        (lambda history, cells: predict(graphs, history, cells, centre)) if data.rated else None,
    )


def measure(ours: Contender, beside: Iterable[Contender], data: RatingData) -> list[Metric]:
    """Every figure of `ours`, with those of the others and how far it is from them."""
    users, found = _figures(ours, data)
    others = [(other.name, other.seconds, _figures(other, data)[1]) for other in beside]
    unseen = f"{data.name}, validation users"
    ranking = "users unseen in training; items of the fold-in left out"
    relevant = f"{ranking}; relevant: targets rated {data.liked:.10g} or more"
    rating = "the model sees the user's other ratings; predictions clipped to the scale"
    told: dict[str, tuple[int, str, str]] = {
        "NDCG@10": (users, unseen, relevant),
        "Recall@20": (users, unseen, relevant),
        "Coverage@10": (
            data.foldin.users,
            unseen,
            f"share of all items in the first 10 of anybody; {ranking}",
        ),
        "RMSE, hidden cells": (len(data.cells.rating), f"{data.name}, validation", rating),
        "RMSE, unseen users": (len(data.targets.rating), f"{data.name}, validation", rating),
    }
    return [
        Metric(
            name=name,
            value=figure.value,
            standard_error=figure.error,
            better="lower" if name.startswith("RMSE") else "higher",
            samples=told[name][0],
            data=told[name][1],
            protocol=told[name][2],
            baselines=tuple(
                _beside(figure, theirs[name], other, seconds) for other, seconds, theirs in others if name in theirs
            ),
        )
        for name, figure in found.items()
    ]


def _figures(one: Contender, data: RatingData) -> tuple[int, dict[str, Figure]]:
    """The number of users whose lists count, and every figure that there is by name."""
    users, found = 0, dict[str, Figure]()
    if one.ranker is not None:
        scores = one.ranker(data.foldin)
        found["NDCG@10"], found["Recall@20"], users = rank_users(scores, data.foldin, data.targets, data.liked)
        found["Coverage@10"] = Figure(coverage(listed(scores, data.foldin), len(data.items)), np.empty(0))
    if one.rater is not None:
        low, high = data.levels[0], data.levels[-1]
        for name, history, cells in (
            ("RMSE, hidden cells", data.train, data.cells),
            ("RMSE, unseen users", data.foldin, data.targets),
        ):
            found[name] = rmse(one.rater(history, cells), cells, low, high)
    return users, found


def _beside(ours: Figure, theirs: Figure, name: str, seconds: float | None) -> Baseline:
    difference = ours.minus(theirs)
    paired = difference.error is not None
    return Baseline(
        name=name,
        value=theirs.value,
        standard_error=theirs.error,
        paired_difference=difference.value if paired else None,
        paired_error=difference.error,
        seconds=seconds,
    )


def _first(scores: Scores, foldin: Ratings, count: int) -> NDArray[np.int64]:
    """So many items with the highest of scores [U,I] for every user [U,count]; what a user told comes last.

    User by user: a copy of all scores would be as large as they are.
    """
    first: list[NDArray[np.int64]] = []
    for user, row in enumerate(scores):
        score = row.astype(np.float64)
        told = foldin.item[foldin.user == user]
        score[told[told >= 0]] = -np.inf
        first.append(np.argsort(-score, kind="stable")[:count])
    return np.stack(first)


def _mean(values: NDArray[np.float64]) -> Figure:
    """The influence has the length of the usual standard error, s / sqrt(n)."""
    count = len(values)
    return Figure(float(values.mean()), (values - values.mean()) / np.sqrt(count * max(1, count - 1)))
