"""Ratings as a recommender learns from them, and the split by which it is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.items import Item, Kind, Value

MOST_UNSEEN = 2_000
MOST_SCORES = 40_000_000
"""Users who are held out, and these times items, at most: their scores for all items are held at once."""
Entry = tuple[str, str, Mapping[str, Value]]
"""An item's id, title and attributes."""


@dataclass(frozen=True)
class Ratings:
    """Triples as columns [R]. Users count from 0; an item is its place in the items, -1 if it is none of them."""

    user: NDArray[np.int64]
    item: NDArray[np.int64]
    rating: NDArray[np.float32]

    @property
    def users(self) -> int:
        return int(self.user.max(initial=-1)) + 1

    def take(self, rows: NDArray[np.bool_]) -> Ratings:
        """Those of `rows` [R]."""
        return Ratings(self.user[rows], self.item[rows], self.rating[rows])


@dataclass(frozen=True)
class RatingData:
    """Ratings split for ranking (users that training never saw) and for rating (hidden cells of training users).

    `cells` bear the users of `train`, `targets` those of `foldin`. Items are those with a
    training rating. A level need not occur in `train`.
    """

    items: tuple[Item, ...]
    attributes: Mapping[str, Kind]
    levels: tuple[float, ...]
    liked: float
    train: Ratings
    cells: Ratings
    foldin: Ratings
    targets: Ratings
    name: str
    sha256: str


@dataclass(frozen=True)
class Parts:
    """The four parts of a split. Users and items still bear any numbers."""

    train: Ratings
    cells: Ratings
    foldin: Ratings
    targets: Ratings


def split(ratings: Ratings, seed: int) -> Parts:
    """A twelfth of the users held out, a fifth of their ratings as targets; a tenth of the other cells hidden.

    No more than 2,000 users are held out, and fewer where there are more than 20,000 items.
    """
    rng = np.random.default_rng(seed)
    users = rng.permutation(np.unique(ratings.user))
    most = min(MOST_UNSEEN, MOST_SCORES // (int(ratings.item.max(initial=0)) + 1))
    unseen = np.isin(ratings.user, users[: max(1, min(most, len(users) // 12))])
    drawn = rng.random(len(ratings.user))
    return Parts(
        train=ratings.take(~unseen & (drawn >= 0.1)),
        cells=ratings.take(~unseen & (drawn < 0.1)),
        foldin=ratings.take(unseen & (drawn >= 0.2)),
        targets=ratings.take(unseen & (drawn < 0.2)),
    )


def assemble(
    parts: Parts,
    entry: Callable[[int], Entry],
    attributes: Mapping[str, Kind],
    levels: tuple[float, ...],
    liked: float,
    name: str,
    sha256: str,
) -> RatingData:
    """Number users and items anew, each by its place. `entry` describes the item of a number in `parts`.

    Rows of users without a history, which nothing could be predicted from, are left out.
    """
    train = parts.train
    ids = np.unique(train.item)
    seen, unseen = np.unique(train.user), np.unique(parts.foldin.user)
    likes = np.bincount(np.searchsorted(ids, train.item), weights=train.rating >= liked, minlength=len(ids))
    share = likes / len(seen)

    def item(number: int, popularity: float) -> Item:
        identity, title, values = entry(number)
        return Item(identity, title, round(popularity, 6), values)

    def numbered(ratings: Ratings, users: NDArray[Any]) -> Ratings:
        known = ratings.take(np.isin(ratings.user, users))
        place = np.searchsorted(ids, known.item).clip(max=len(ids) - 1)
        place = np.where(ids[place] == known.item, place, -1)
        return Ratings(np.searchsorted(users, known.user), place, known.rating)

    return RatingData(
        tuple(item(number, part) for number, part in zip(ids.tolist(), share.tolist(), strict=True)),
        attributes, levels, liked,
        numbered(train, seen),
        numbered(parts.cells, seen),
        numbered(parts.foldin, unseen),
        numbered(parts.targets, unseen),
        name, sha256,
    )  # fmt: skip
