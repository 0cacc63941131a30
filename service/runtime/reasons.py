"""What each rating of a user adds to a score: the model's score with it minus its score without it.

A graph that explains tells it in one run. Any other is run without each rating in turn. Either
way only a slice of the page is in memory, and the loop is free between runs.
"""

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.manifest import Recommend
from service.runtime.clock import Clock
from service.runtime.model import GAINS_PER_RATING, RUN_RATINGS, Model
from service.runtime.ranking import History, rounded

MOST = 5
"""Ratings that are told for an item."""
SLICE = GAINS_PER_RATING * RUN_RATINGS
"""Gains, padding included, that are made and sorted at once."""
ROWS = 16
"""Ratings that are left out, one at a time, in one go."""

Gains = AsyncIterator[NDArray[Any]]
"""Slices [K,N] of gains, by item of the page and rating of the history."""


async def strongest(
    model: Model, history: History, score: NDArray[Any], page: NDArray[np.intp], clock: Clock
) -> list[list[tuple[int, float]]]:
    """For each item of the `page` [P] the ratings that raised its score most, as places in the history and gains.

    `score` [I] is what the model gave for the whole history.

    Raises:
        Overloaded, Deadline, NotFinite: of the graph.
    """
    assert model.catalogue is not None
    task = model.catalogue.task
    found: list[list[tuple[int, float]]] = []
    async for gains in (_explained if task.explains else _left_out)(model, task, history, score, page, clock):
        with clock.stage("encode"):
            told = rounded(gains)
            places = np.argsort(-told, axis=1, kind="stable")[:, :MOST]
            best = zip(places.tolist(), np.take_along_axis(told, places, axis=1).tolist(), strict=True)
            found += [list(zip(*each, strict=True)) for each in best]
    return found


async def _explained(
    model: Model, task: Recommend, history: History, score: NDArray[Any], page: NDArray[np.intp], clock: Clock
) -> Gains:
    """From the graph's own account."""
    padded = history.row(task)["item_index"].size
    for targets in _slices(page, padded):
        (answer,) = await model.infer("score", [history.row(task, targets)], clock)
        yield answer["gain"][:, : len(history.index)]


async def _left_out(
    model: Model, task: Recommend, history: History, score: NDArray[Any], page: NDArray[np.intp], clock: Clock
) -> Gains:
    """From a run without each rating."""
    places = range(len(history.index))
    without = np.empty((len(places), len(page)), np.float32)
    for start in places[::ROWS]:  # of each row only the page is kept, however many items there are
        rows = [history.without(place).row(task) for place in places[start : start + ROWS]]
        without[start : start + ROWS] = [row["score"][page] for row in await model.infer("score", rows, clock)]
    for kept in _slices(np.arange(len(page)), len(places)):
        yield score[page[kept], None] - without[:, kept].T


def _slices(items: NDArray[np.intp], ratings: int) -> list[NDArray[np.intp]]:
    size = max(1, SLICE // ratings)
    return [items[start : start + size] for start in range(0, len(items), size)]
