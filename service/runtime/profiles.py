"""What liking one item does to every score: which items a recommender itself holds to be alike.

An item's profile is the graph's answer for somebody who liked just that item, minus its
answer for somebody who rated nothing. It is the same kind of difference that `reasons` tell.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.runtime.clock import Clock
from service.runtime.ranking import Catalogue, History

WIDTH = 2048
"""Scores, those of the most popular items, by which profiles are compared, however large the catalogue is."""
KEPT = 4096
"""Profiles in memory, of up to 8 KiB each: those that were needed last."""
ROWS = 8
"""Rows that are asked of the graph at once, so that they never hold the loop for long."""

Row = dict[str, NDArray[Any]]
Score = Callable[[Sequence[Row], Clock], Awaitable[list[Row]]]


class Profiles:
    """The profiles of one version, made when they are needed; used on the event loop only."""

    def __init__(self, catalogue: Catalogue, score: Score) -> None:
        """`score` runs the graph `score` on rows."""
        self._catalogue, self._score = catalogue, score
        self._columns = np.sort(np.argsort(-catalogue.popularity, kind="stable")[:WIDTH])
        self._nobody: NDArray[Any] | None = None
        self._kept: dict[int, NDArray[np.float32]] = {}

    async def gains(self, places: Sequence[int], clock: Clock) -> list[NDArray[np.float32]]:
        """What liking each of these items adds to the scores [I] of all, from one run of the graph.

        Raises:
            Overloaded, Deadline, NotFinite: of the graph.
        """
        task = self._catalogue.task
        rows = [History((place,), (task.liked,)).row(task) for place in places]
        if self._nobody is None:
            (row,) = await self._score([History((), ()).row(task)], clock)
            self._nobody = row["score"]
        return [row["score"] - self._nobody for row in await self._score(rows, clock)]

    async def units(self, places: NDArray[np.intp], clock: Clock) -> NDArray[np.float32]:
        """The items' profiles [K,D], each divided by its length; zeros for an item that changes nothing.

        Raises:
            Overloaded, Deadline, NotFinite: of the graph.
        """
        wanted: list[int] = places.tolist()
        found = {place: self._kept[place] for place in wanted if place in self._kept}
        missing = [place for place in wanted if place not in found]
        for start in range(0, len(missing), ROWS):
            block = missing[start : start + ROWS]
            for place, gain in zip(block, await self.gains(block, clock), strict=True):
                profile = gain[self._columns]
                found[place] = profile / max(float(np.linalg.norm(profile)), np.finfo(np.float32).tiny)
        for place in wanted:
            self._kept.pop(place, None)
            self._kept[place] = found[place]
        while len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        return np.stack([found[place] for place in wanted])
