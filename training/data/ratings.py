"""Ratings as a recommender learns from them, and the split by which it is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.items import Item, Kind, Value

MOST_UNSEEN = 2_000
MOST_SCORES = 40_000_000
"""Users who are held out, and these times items, at most: their scores for all items are held at once."""
MOST_ASKED = 20_000
"""Users of training of whom ratings are hidden, at most: whoever measures runs all their histories."""
Entry = tuple[str, str, Mapping[str, Value]]
"""An item's id, title and attributes."""


@dataclass(frozen=True)
class Ratings:
    """Triples as columns [R]. Users count from 0; an item is its place in the items, -1 if it is none of them."""

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    rating: NDArray[np.float32]

    @property
    def users(self) -> int:
        return int(self.user.max(initial=-1)) + 1

    def take(self, rows: NDArray[np.bool_ | np.intp]) -> Ratings:
        """Those where `rows` [R] is true, or those at the places `rows`, in their order."""
        return Ratings(self.user[rows], self.item[rows], self.rating[rows])


@dataclass(frozen=True)
class RatingData:
    """Ratings split for ranking (users that training never saw) and for rating (hidden cells of training users).

    `cells` bear the users of `train`, `targets` those of `foldin`. Items are those with a
    training rating. `train` is in the order of its users; a level need not occur there.
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

    @property
    def rated(self) -> bool:
        """Whether ratings differ, so that there is something to predict."""
        return bool(self.train.rating.min() < self.train.rating.max())


@dataclass(frozen=True)
class Parts:
    """The four parts of a split. Users and items still bear any numbers from 0, of which tables are made."""

    train: Ratings
    cells: Ratings
    foldin: Ratings
    targets: Ratings


def split(ratings: Ratings, seed: int) -> Parts:
    """A twelfth of the users held out, a fifth of their ratings as targets; a tenth of the other cells hidden.

    No more than 2,000 users are held out, and fewer where there are more than 20,000 items. No more than
    20,000 of the others have hidden cells.
    """
    rng = np.random.default_rng(seed)
    users = rng.permutation(np.unique(ratings.user))
    most = min(MOST_UNSEEN, MOST_SCORES // (int(ratings.item.max(initial=0)) + 1))
    held_out = max(1, min(most, len(users) // 12))
    unseen = np.isin(ratings.user, users[:held_out])
    asked = np.isin(ratings.user, users[held_out : held_out + MOST_ASKED])
    drawn = rng.random(len(ratings.user))
    target, hidden = unseen & (drawn < 0.2), asked & (drawn < 0.1)
    del drawn  # 8 bytes a rating, where a part has 12
    return Parts(
        train=ratings.take(~unseen & ~hidden),
        cells=ratings.take(hidden),
        foldin=ratings.take(unseen & ~target),
        targets=ratings.take(target),
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
    """Number users and items anew, each by its place, and order `train` by user.

    `entry` describes the item of a number in `parts`.
    Rows of users without a history, which nothing could be predicted from, are left out.
    """
    whole = (parts.train, parts.cells, parts.foldin, parts.targets)
    item_place = _places(parts.train.item, 1 + max(int(part.item.max(initial=-1)) for part in whole))

    def numbered(history: Ratings, *others: Ratings) -> Iterator[Ratings]:
        user_place = _places(history.user, max(part.users for part in (history, *others)))
        for part in (history, *others):
            user = user_place[part.user]
            found = Ratings(user, item_place[part.item], part.rating)
            yield found if (user >= 0).all() else found.take(user >= 0)

    train, cells = numbered(parts.train, parts.cells)
    if (train.user[1:] < train.user[:-1]).any():
        train = train.take(np.argsort(train.user, kind="stable"))
    foldin, targets = numbered(parts.foldin, parts.targets)
    likes = np.bincount(train.item[train.rating >= liked], minlength=int(item_place.max(initial=-1)) + 1)

    def item(number: int, popularity: float) -> Item:
        identity, title, values = entry(number)
        return Item(identity, title, round(popularity, 6), values)

    ids = np.flatnonzero(item_place >= 0)
    share = likes / train.users
    return RatingData(
        tuple(item(number, part) for number, part in zip(ids.tolist(), share.tolist(), strict=True)),
        attributes, levels, liked, train, cells, foldin, targets, name, sha256,
    )  # fmt: skip


def _places(numbers: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    """By number below `size`: which of `numbers` it is in ascending order, -1 if it is none."""
    there = np.zeros(size, np.bool_)
    there[numbers] = True
    return np.where(there, np.cumsum(there, dtype=np.int32) - 1, np.int32(-1))
