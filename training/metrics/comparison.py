"""A recommender beside everything that it should beat, fitted to the same ratings.

The settings are those that did well on MovieLens 1M.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from models.manifest import Metric
from training.data.ratings import RatingData
from training.graphs import Graphs
from training.metrics import rankers, ranking, raters
from training.metrics.rankers import Ranker
from training.metrics.ranking import Contender
from training.metrics.raters import Rater


def compare(graphs: Graphs, data: RatingData, others: Mapping[str, Graphs]) -> list[Metric]:
    """The figures of `ranking.evaluate` beside every baseline, and beside other versions made from the same data."""
    return ranking.measure(ranking.contender("this model", graphs, data), _beside(data, others), data)


def _beside(data: RatingData, others: Mapping[str, Graphs]) -> Iterator[Contender]:
    """One after the other, so that no two are in memory."""
    train, items, liked = data.train, len(data.items), data.liked

    def of(inputs: int) -> str:
        most = rankers.most_items(inputs)
        return f", the {most:,} most rated items" if items > most else ""

    ranking_fits: dict[str, Callable[[], Ranker]] = {
        "popularity": lambda: rankers.popularity(train, items, liked),
        f"item-kNN (liked, cosine, k 100{of(1)})": lambda: rankers.item_knn(train, items, liked, neighbours=100),
        f"EASE (rated, lambda 800{of(1)})": lambda: rankers.ease(train, items, ridge=800),
        f"EASE, two inputs (lambda 1600{of(2)})": lambda: rankers.ease_two_inputs(train, items, liked, ridge=1600),
        "iALS (rank 64, lambda 40, alpha 4 and 1.2)": lambda: rankers.ials(
            train, items, liked, rank=64, ridge=40, alpha=4, rated=0.3, rounds=15, seed=0
        ),
    }
    rating_fits: dict[str, Callable[[], Rater]] = {
        "biases only": lambda: raters.biases(train, items),
        "biased MF (rank 20, lambda 10.7)": lambda: raters.biased_mf(
            train, items, rank=20, ridge=10.7, rounds=8, seed=0
        ),
    }
    for name, fit in ranking_fits.items():
        start = time.perf_counter()
        yield Contender(name, ranker=fit(), seconds=_since(start))
    if data.rated:
        for name, fit in rating_fits.items():
            start = time.perf_counter()
            yield Contender(name, rater=fit(), seconds=_since(start))
    for name, graphs in others.items():
        yield ranking.contender(name, graphs, data)


def _since(start: float) -> float:
    return round(time.perf_counter() - start, 1)
