"""From scores to lists: histories in, items masked, filtered and put in order. Pure numpy."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.items import Item, Value
from models.manifest import Recommend
from service.runtime.titles import Titles

DECIMALS = 4
"""Scores that agree to this many decimals are equal, and the item's place in the catalogue decides."""
SHORTEST = 8
POOL = 200
"""The best items, which novelty and diversity put in another order. The rest follow by score."""


@dataclass(frozen=True)
class History:
    """What one user rated, each item once. `index` and `rating` are parallel."""

    index: tuple[int, ...]
    rating: tuple[float, ...]
    unknown: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()

    def without(self, place: int) -> "History":
        """The same user without one of the ratings."""
        return History(
            self.index[:place] + self.index[place + 1 :],
            self.rating[:place] + self.rating[place + 1 :],
        )

    def row(self, task: Recommend, target: Sequence[int] | NDArray[np.intp] = ()) -> dict[str, NDArray[Any]]:
        """The graph's inputs for one row, padded with -1. `target`: items whose scores a graph that does it explains.

        Lengths are powers of two (at most the model's largest), so that histories of similar length
        run together and a short one never pays for a long one.
        """
        size = SHORTEST if self.index else 1
        while size < len(self.index):
            size *= 2
        size = min(size, task.max_ratings)
        index, rating = np.full(size, -1, np.int32), np.zeros(size, np.float32)
        index[: len(self.index)] = self.index
        rating[: len(self.index)] = self.rating
        row = {"item_index": index, "rating": rating}
        return row | {"target": np.array(target, np.int32)} if task.explains else row


@dataclass(frozen=True)
class ListRule:
    """For an attribute that is a list; an empty tuple asks for nothing."""

    any: tuple[str, ...] = ()
    all: tuple[str, ...] = ()
    none: tuple[str, ...] = ()


@dataclass(frozen=True)
class NumberRule:
    """For an attribute that is a number, both ends included. An item without the number does not pass."""

    low: float = -np.inf
    high: float = np.inf


Rules = Mapping[str, ListRule | NumberRule]


class Catalogue:
    """The items of one recommender, in the order of its graph's columns."""

    def __init__(self, items: Sequence[Item], task: Recommend) -> None:
        self.task = task
        self.items = items
        self.index = {item.id: place for place, item in enumerate(items)}
        self.popularity = np.array([item.popularity for item in items])
        self.information = _self_information(self.popularity)
        self.titles = Titles([item.title for item in items], self.popularity)
        self.answers = [{"item": item.id, "title": item.title} for item in items]
        self.attributes = [{name: _plain(value) for name, value in item.attributes.items()} for item in items]
        self._nothing = np.zeros(len(items), bool)
        self._numbers: dict[str, NDArray[np.float64]] = {}
        self._lists: dict[str, dict[str, NDArray[np.bool_]]] = {}
        for name, kind in task.attributes.items():
            values = [item.attributes[name] for item in items]
            if kind == "number":
                self._numbers[name] = np.array([value if isinstance(value, float) else np.nan for value in values])
                continue
            members = self._lists[name] = {}
            for place, value in enumerate(values):
                for entry in value if isinstance(value, tuple) else ():
                    members.setdefault(entry, np.zeros(len(items), bool))[place] = True

    def history(self, ratings: Iterable[tuple[str, float]]) -> History:
        """Ratings by index. Of an item rated twice the last rating counts."""
        known: dict[int, float] = {}
        unknown: dict[str, None] = {}
        repeated: dict[str, None] = {}
        for item, rating in ratings:
            place = self.index.get(item)
            if place is None:
                unknown[item] = None
                continue
            if place in known:
                repeated[item] = None
            known[place] = rating
        return History(tuple(known), tuple(known.values()), tuple(unknown), tuple(repeated))

    def listable(self, allow: Iterable[str], deny: Iterable[str], rules: Rules) -> NDArray[np.bool_]:
        """Which items a list may hold [I]. No `allow` allows all; ids that are not in the catalogue match nothing."""
        allowed = list(allow)
        mask = np.full(len(self.items), not allowed)
        mask[self._places(allowed)] = True
        mask[self._places(deny)] = False
        for name, rule in rules.items():
            if isinstance(rule, NumberRule):
                mask &= (self._numbers[name] >= rule.low) & (self._numbers[name] <= rule.high)
                continue
            if rule.any:
                found = np.zeros(len(self.items), bool)
                for entry in set(rule.any):
                    found |= self._having(name, entry)
                mask &= found
            for entry in set(rule.all):
                mask &= self._having(name, entry)
            for entry in set(rule.none):
                mask &= ~self._having(name, entry)
        return mask

    def unknown_values(self, rules: Rules) -> dict[str, list[str]]:
        """By attribute, what rules name and no item has: mostly a slip, such as another case."""
        found: dict[str, list[str]] = {}
        for name, rule in rules.items():
            if isinstance(rule, ListRule):
                named = dict.fromkeys((*rule.any, *rule.all, *rule.none))
                if unknown := [entry for entry in named if entry not in self._lists[name]]:
                    found[name] = unknown
        return found

    def _places(self, ids: Iterable[str]) -> list[int]:
        return [self.index[item] for item in ids if item in self.index]

    def _having(self, name: str, entry: str) -> NDArray[np.bool_]:
        return self._lists[name].get(entry, self._nothing)


def _self_information(popularity: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bits that tell one item apart, -log2 of its popularity [I] (Zhou et al., PNAS 107, 2010).

    What nobody liked counts as the rarest that somebody did.
    """
    liked = popularity[popularity > 0]
    return -np.log2(np.maximum(popularity, liked.min())) if liked.size else np.zeros(len(popularity))


def _plain(value: Value) -> list[str] | float | None:
    """An attribute as JSON tells it: a year is 1999, not 1999.0."""
    if isinstance(value, tuple):
        return list(value)
    return int(value) if value is not None and value % 1 == 0 else value


def rounded(values: NDArray[Any]) -> NDArray[np.float64]:
    """Values as they are compared and told."""
    return np.round(values.astype(np.float64), DECIMALS) + 0.0  # + 0.0 turns -0.0 into 0.0


def order(score: NDArray[Any], listable: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Indices of the listable items, best first: by rounded score, then by index. A total order, so pages are sound."""
    places = np.flatnonzero(listable)
    return places[np.argsort(-rounded(score[places]), kind="stable")]


def novel(score: NDArray[Any], information: NDArray[Any], novelty: float) -> NDArray[np.float64]:
    """What items are worth [K], 0 to 1: their scores and their self-information, each scaled over them, mixed."""
    return (1 - novelty) * _scaled(rounded(score)) + novelty * _scaled(information)


def diverse(
    worth: NDArray[np.float64], units: NDArray[np.floating], diversity: float, most: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The first `most` of K items by maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998), and their values.

    The next is always the one with the greatest (1 - diversity) * worth [K] - diversity * (its
    greatest likeness to those before it); among equals the one that stands first. So a longer
    list begins with the shorter one. The likeness of two items is the product of their rows of
    `units` [K,D], which have length 1.

    An item's value is that sum when it was chosen, scaled from -diversity..1 to 0..1. It never
    rises along the list: what is chosen only takes from what others are worth. Before the first
    choice the likeness is -1, its least.
    """
    chosen: list[int] = []
    values: list[float] = []
    worth = (1 - diversity) * worth
    nearest = np.full(len(worth), -1.0)
    while len(chosen) < min(most, len(worth)):
        relevance = rounded(worth - diversity * nearest)
        best = int(np.argmax(relevance))
        # One product with a vector for each item listed: BLAS would share the product of all with all among
        # threads, which spin, and takes a hundred times longer when other processes want the same cores.
        likeness = units @ units[best]
        nearest = np.maximum(nearest, likeness)
        worth[best] = -np.inf
        chosen.append(best)
        values.append((relevance[best] + diversity) / (1 + diversity))
    return np.array(chosen, np.intp), np.array(values)


def _scaled(values: NDArray[Any]) -> NDArray[np.float64]:
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if low < high else np.zeros(len(values))
