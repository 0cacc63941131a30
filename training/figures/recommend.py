"""What a recommender does for newcomers, how true its ratings are, and how popular its choices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.manifest import Recommend
from training.data.ratings import RatingData, Ratings
from training.figures import plot
from training.figures.figure import Figure
from training.graphs import Graphs
from training.metrics import rankers, ranking, raters
from training.metrics.ranking import Scores

LENGTHS = (1, 2, 5, 10, 20, 50)
BINS = 12
GROUPS = 10


def figures(task: Recommend, graphs: Graphs, data: RatingData) -> list[Figure]:
    """Of users that training never saw: aggregates only, no one's ratings and no titles."""
    score, predicted = ranking.fold_in(graphs, data.foldin)
    known = data.targets.item >= 0
    targets = Ratings(data.targets.user[known], data.targets.item[known], data.targets.rating[known])
    rated = [_calibration(predicted, targets, task)] if data.rated else []
    return [_newcomers(graphs, data, targets, score, predicted), *rated, _popularity(score, data, targets)]


def first(history: Ratings, count: int) -> Ratings:
    """`count` ratings of every user at most, drawn at random; those of a smaller count are among them."""
    drawn = np.random.default_rng(0).permutation(len(history.user))
    order = drawn[np.argsort(history.user[drawn], kind="stable")]
    starts = np.concatenate(([0], np.cumsum(np.bincount(history.user))[:-1]))
    kept = order[np.arange(len(order)) - starts[history.user[order]] < count]
    return Ratings(history.user[kept], history.item[kept], history.rating[kept])


def _newcomers(graphs: Graphs, data: RatingData, targets: Ratings, score: Scores, predicted: Scores) -> Figure:
    low, high = data.levels[0], data.levels[-1]
    popularity = rankers.popularity(data.train, len(data.items), data.liked)(data.foldin)
    simpler = raters.biases(data.train, len(data.items))
    popular, _, _ = ranking.rank_users(popularity, data.foldin, data.targets, data.liked)
    ours: list[tuple[ranking.Figure, ranking.Figure, ranking.Figure]] = []
    for length in (*LENGTHS, None):
        history = data.foldin if length is None else first(data.foldin, length)
        scores, ratings = (score, predicted) if length is None else ranking.fold_in(graphs, history)
        ours.append(
            (
                ranking.rank_users(scores, data.foldin, data.targets, data.liked)[0],
                ranking.rmse(ratings[targets.user, targets.item], targets, low, high),
                ranking.rmse(simpler(history, targets), targets, low, high),
            )
        )
    gain, error, simple = zip(*ours, strict=True)
    rated = data.rated
    figure, panels = plot.panels(2 if rated else 1)
    for panel, title, series, simpler_series, name in zip(
        panels,
        ("NDCG@10 (higher is better)", "RMSE (lower is better)"),
        (gain, error),
        ([popular] * len(gain), simple),
        ("popularity", "biases only"),
        strict=False,
    ):
        for points, look, label in ((series, plot.OURS, "this model"), (simpler_series, plot.OTHERS[0], name)):
            values, errors = [point.value for point in points], [point.error or 0 for point in points]
            panel.errorbar(range(len(points)), values, errors, label=label, **look)
        panel.set(title=title, xlabel="ratings told")
        panel.set_xticks(range(len(ours)), [*map(str, LENGTHS), "all"])
        panel.legend()
    return Figure(
        "newcomers",
        plot.png(figure),
        "Two line plots over the number of ratings that the model is told: NDCG@10 beside popularity, "
        "and RMSE beside biases only"
        if rated
        else "Line plot over the number of ratings that the model is told: NDCG@10 beside popularity",
        "Users unseen in training, of whom only so many ratings are told, with standard errors: to the left of "
        "where the lines cross, the simpler one serves a newcomer better.",
    )


def _calibration(predicted: Scores, targets: Ratings, task: Recommend) -> Figure:
    told = np.clip(predicted[targets.user, targets.item], task.rating_low, task.rating_high).astype(np.float64)
    bins = np.array_split(np.argsort(told, kind="stable"), min(BINS, len(told)))
    middle = [told[rows].mean() for rows in bins]
    actual = [targets.rating[rows].mean() for rows in bins]
    spread = [targets.rating[rows].std() / np.sqrt(len(rows)) for rows in bins]
    figure, (panel,) = plot.panels()
    ends = min(middle), max(middle)
    panel.plot(ends, ends, color=plot.OTHERS[-1]["color"], linestyle="--", linewidth=1.2, label="as predicted")
    panel.errorbar(middle, actual, spread, label="this model", **plot.OURS)
    panel.set(xlabel="predicted rating, mean of a bin", ylabel="rating given, mean")
    panel.legend()
    return Figure(
        "calibration",
        plot.png(figure),
        "Line plot of the mean rating that was given against the mean rating that was predicted, beside the diagonal",
        f"Held-out ratings in {len(bins)} bins of equal size: on the dashed line, "
        "ratings turn out on average as they were predicted.",
    )


def _popularity(score: Scores, data: RatingData, targets: Ratings) -> Figure:
    share = np.array([item.popularity for item in data.items])
    order = np.argsort(-share, kind="stable")
    before = (np.cumsum(share[order]) - share[order]) / max(share.sum(), 1e-12)
    group = np.empty(len(share), np.int64)
    group[order] = np.minimum((before * GROUPS).astype(np.int64), GROUPS - 1)

    def shares(items: NDArray[np.integer[Any]]) -> Scores:
        return 100 * np.bincount(group[items], minlength=GROUPS) / max(1, len(items))

    figure, (panel,) = plot.panels()
    series = (
        ("what they liked", shares(targets.item[targets.rating >= data.liked]), plot.OTHERS[1]),
        ("this model recommends", shares(ranking.listed(score, data.foldin).ravel()), plot.OURS),
        (
            "popularity recommends",
            shares(ranking.listed(np.broadcast_to(share, score.shape), data.foldin).ravel()),
            plot.OTHERS[0],
        ),
    )
    for place, (label, height, look) in enumerate(series):
        panel.bar(np.arange(GROUPS) + 0.27 * (place - 1), height, 0.25, label=label, color=look["color"])
    panel.set_xticks(range(GROUPS), [f"{count:,}" for count in np.bincount(group, minlength=GROUPS)])
    panel.grid(axis="x", visible=False)
    panel.set(xlabel="number of items in the group, the most liked ones first", ylabel="share of the lists, %")
    panel.legend()
    return Figure(
        "popularity",
        plot.png(figure),
        "Bars for ten groups of items from the most to the least liked: shares of what users liked, "
        "of what the model recommends and of what popularity recommends",
        f"Each group of items took a tenth of all likes: where the blue bars of the first {ranking.LISTED} "
        "recommendations are higher than the green ones, the model favours what is popular anyway.",
    )
