from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from models.manifest import Recommend
from service.runtime import profiles
from service.runtime.clock import Clock
from service.runtime.profiles import Profiles
from service.runtime.ranking import Catalogue
from tests.versions import film_items, recommend

ITEMS = film_items(30)
WEIGHTS = np.random.default_rng(0).normal(0, 1, (30, 30)).astype(np.float32)
WEIGHTS[5] = 0


class Graph:
    """Scores that are linear in what was liked, so that an item's profile is its row of WEIGHTS times the rating."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        """Rows in each run."""

    async def score(self, rows: Sequence[dict[str, Any]], clock: Clock) -> list[dict[str, Any]]:
        self.rows.append(len(rows))
        return [
            {"score": 7 + sum((r * WEIGHTS[i] for i, r in zip(*row.values(), strict=True) if i >= 0), 0 * WEIGHTS[0])}
            for row in rows
        ]


def made() -> tuple[Profiles, Graph]:
    task = recommend()[0].task(Recommend)
    assert task is not None
    graph = Graph()
    return Profiles(Catalogue(ITEMS, task), graph.score), graph


async def test_a_gain_is_the_score_with_the_item_minus_the_score_without() -> None:
    made_of, _ = made()
    gains = await made_of.gains([3, 5], Clock(9))
    assert np.array(gains) == pytest.approx(4 * WEIGHTS[[3, 5]], abs=1e-5)


async def test_units_are_profiles_of_length_one() -> None:
    made_of, _ = made()
    units = await made_of.units(np.array([9, 5, 2]), Clock(9))
    expected = WEIGHTS / np.maximum(np.linalg.norm(WEIGHTS, axis=1, keepdims=True), 1e-9)
    assert units == pytest.approx(expected[[9, 5, 2]], abs=1e-5)
    assert not units[1].any()


async def test_a_profile_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made_of, graph = made()
    first = await made_of.units(np.arange(20), Clock(9))
    assert graph.rows == [1, 8, 8, 4]
    again = await made_of.units(np.arange(24), Clock(9))
    assert graph.rows == [1, 8, 8, 4, 4]
    assert (again[:20] == first).all()


async def test_those_that_were_needed_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "KEPT", 3)
    made_of, graph = made()
    await made_of.units(np.array([0, 1, 2]), Clock(9))
    await made_of.units(np.array([0]), Clock(9))
    await made_of.units(np.array([3]), Clock(9))  # 1 goes
    graph.rows.clear()
    await made_of.units(np.array([2, 0, 3]), Clock(9))
    assert graph.rows == []
    await made_of.units(np.array([0, 1, 2, 3]), Clock(9))  # more than are kept, all the same
    assert graph.rows == [1]


async def test_a_large_catalogue_is_compared_by_its_popular_items(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "WIDTH", 4)
    made_of, _ = made()
    popular = sorted(range(30), key=lambda place: -ITEMS[place].popularity)[:4]
    units = await made_of.units(np.array([9]), Clock(9))
    profile = WEIGHTS[9, sorted(popular)]
    assert units[0] == pytest.approx(profile / np.linalg.norm(profile), abs=1e-5)
