"""A file of ratings: user, item and, where they are there, rating and time. Every rule it is read by is told.

- A bad row (a wrong number of columns, no user, no item, a rating that is no finite number, a time that is
  neither a number nor a date of ISO 8601) is skipped and named; more than one in a hundred is refused.
- Ids are text, without spaces around it: `01` is not `1`.
- Of several ratings of an item by a user the last by time counts, and where times are equal or absent
  the last in the file.
- The split is the project's own, at random: times do not enter it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models import items as catalogue
from training.data.own import cells, columns, items, scale
from training.data.own.cells import Column, kernels
from training.data.own.columns import Columns
from training.data.own.faults import ALLOWED, MOST_NAMED
from training.data.own.table import Block, Table
from training.data.own.tables import open_table
from training.data.own.told import Own, count, credit, shown
from training.data.ratings import RatingData, Ratings, assemble, split
from training.data.source import DataError, digest

LEAST = {"rating": 1_000, "user": 100, "item": 10}
"""With less, hardly a user could be held out to measure on."""
MOST_ITEMS = 100_000
"""A training step holds some copies of the states of all items for every user of its batch, 300 MB each."""
SEED = 0
Read = TypeVar("Read")


@dataclass(frozen=True)
class Asked:
    """What the user says about the files. `columns` are names by role; `bad_rows` is the share that may be skipped."""

    ratings: Path
    items: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    scale: scale.Kind | None = None
    liked: float | None = None
    bad_rows: float = ALLOWED


@dataclass(frozen=True)
class _Rows:
    """Rows [R] as they stand in the file. Users and items are numbers; `ids` are the items' names, `first` their lines.

    `place`, the lines, are there until it has been seen which ratings are the last, and so is `time` if the file
    has times.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    value: NDArray[np.float32]
    time: NDArray[np.float64] | None
    place: NDArray[np.int32] | None
    ids: list[str]
    first: NDArray[np.int32]
    users: int


def read(asked: Asked) -> Own[RatingData]:
    """Read the files, find the scale, and split.

    Raises:
        DataError: a file cannot be read, has too many bad rows, or holds too little; the message says what would do.
    """
    table = open_table(asked.ratings)
    found = columns.of_ratings(table, asked.columns)
    rest = columns.unused(table, found)
    if rest and "rating" not in found.place and asked.scale != "likes":
        raise DataError(
            f"{table.file} has no column for the rating, but also {', '.join(rest)}: say --columns rating=..., or "
            "--scale likes if every row is a like"
        )
    if asked.scale == "likes":
        found = Columns({role: place for role, place in found.place.items() if role != "rating"}, found.header)
    rows, repeated = _last(_rows(table, found))
    told = [f"{table.file} ({table.form}; {found.told(table)}): {table.rows:,} {table.unit}s"]
    if rest := columns.unused(table, found):
        told.append(f"  not used: {', '.join(rest)}")
    told += table.faults.told(table.rows, asked.bad_rows)
    if repeated:
        order = "time" if "timestamp" in found.place else "their order in the file"
        told.append(
            f"  {count(len(repeated), 'rating')} of an item that its user rated again: the last by {order} counts"
        )
        told.append(f"    left out: {table.unit}{'s' * (len(repeated) > 1)} {_some(repeated)}")
    size = _enough(table.file, rows)
    how = _scale(rows, found, table, asked)
    if len(rows.ids) > MOST_ITEMS:
        raise DataError(
            f"{len(rows.ids):,} items: {MOST_ITEMS:,} are the most. Leave out those that hardly anybody rated"
        )
    named = items.NONE
    if asked.items is not None:
        item = table.first[found.place["item"]] if found.header else None
        named = items.read(asked.items, asked.columns, item, asked.bad_rows)
        told += [*named.told, *_compare(named, rows, table.unit)]
    data = _split(rows, how, named, shown(asked.ratings))
    told += [f"{size}; {how.told}", *_split_told(data, len(rows.ids))]
    about = f"Trained on {size} ({table.file}); {how.told}."
    return Own(data, credit(f"{size} (file {table.file})"), about, tuple(told))


def _rows(table: Table, found: Columns) -> _Rows:
    """The good rows of the whole file."""
    roles = list(found.place)
    ids: dict[str, list[Column]] = {"user": [], "item": []}
    values: list[NDArray[np.float32]] = []
    times: list[NDArray[np.float64]] = []
    places: list[NDArray[np.int32]] = []
    for block in table.blocks(list(found.place.values()), header=found.header):
        column = dict(zip(roles, block.columns, strict=True))
        checked = _Checked(table, block)
        for role in ids:
            column[role] = _as(cells.text, column[role], role)
            checked.identity(role, column[role])
        value = time = None
        if "rating" in column:
            value = _as(cells.numbers, column["rating"], "rating")
            checked.number("rating", column["rating"], value)
        if "timestamp" in column:
            time = _as(cells.moments, column["timestamp"], "timestamp")
            checked.number("timestamp", column["timestamp"], time)
        good = ~checked.bad
        for role, parts in ids.items():
            parts.append(column[role].filter(pa.array(good)).dictionary_encode())
        places.append(block.place[good].astype(np.int32))
        values.append(np.zeros(good.sum(), np.float32) if value is None else value.value[good].astype(np.float32))
        if time is not None:
            times.append(np.where(time.given, time.value, -np.inf)[good])
    user, users = _codes(ids.pop("user"))
    item, names = _codes(ids.pop("item"))
    value = np.concatenate(values) if values else np.zeros(0, np.float32)
    time = np.concatenate(times) if times else None
    place = np.concatenate(places) if places else np.zeros(0, np.int32)
    first = np.empty(len(names), np.int32)
    first[item[::-1]] = place[::-1]  # the one that is written last stays
    return _Rows(user, item, value, time, place, names.to_pylist(), first, len(users))


class _Checked:
    """The bad rows of one block; each is told once, by the first thing that is wrong with it."""

    def __init__(self, table: Table, block: Block) -> None:
        self.bad = np.zeros(len(block.place), np.bool_)
        self._table, self._block = table, block

    def identity(self, role: str, column: Column) -> None:
        long = kernels.greater(kernels.utf8_length(column), items.LONGEST_ID).to_numpy(zero_copy_only=False)
        broken = kernels.match_substring_regex(column, r"[\r\n]").to_numpy(zero_copy_only=False)
        empty = kernels.equal(column, "").to_numpy(zero_copy_only=False)
        self._add(empty, lambda row: f"no {role}")
        self._add(long, lambda row: f"the {role}'s id is longer than {items.LONGEST_ID} letters")
        self._add(broken, lambda row: f"the {role}'s id has a line break in it: is a quote left open?")

    def number(self, role: str, column: Column, found: cells.Numbers) -> None:
        if role == "rating":
            self._add(~found.given, lambda row: "no rating")
        what = "finite number" if role == "rating" else "finite number and no date of ISO 8601"
        wrong = found.given & ~(found.sound & np.isfinite(found.value))
        self._add(wrong, lambda row: f"{role} {cells.quoted(column, row)} is no {what}{_point(column[row])}")
        if role == "rating":
            beyond = np.abs(found.value) > scale.MOST
            self._add(beyond, lambda row: f"rating {cells.quoted(column, row)} is beyond {scale.MOST:,.0f}")

    def _add(self, wrong: NDArray[np.bool_], reason: Callable[[int], str]) -> None:
        if not wrong.any():
            return
        rows = np.flatnonzero(wrong & ~self.bad)
        reasons = [reason(row) for row in rows[:MOST_NAMED].tolist()]
        self._table.bad(self._block.place[rows], self._block.span[rows], reasons)
        self.bad |= wrong


def _point(cell: Column) -> str:
    """A hint, where a number has a comma."""
    return ": a decimal takes a point" if re.fullmatch(r"\s*[+-]?\d*,\d+\s*", str(cell)) else ""


def _as(reader: Callable[[Column], Read], column: Column, role: str) -> Read:
    try:
        return reader(column)
    except (cells.WrongKind, pa.ArrowException) as error:
        raise DataError(f"the column of the {role} cannot be read: {error}") from error


def _codes(parts: list[Column]) -> tuple[NDArray[np.int32], Column]:
    """Numbers from 0 in the order of first appearance, and what they stand for."""
    if not parts:
        return np.zeros(0, np.int32), pa.array([], pa.string())
    chunks = pa.chunked_array(parts).unify_dictionaries().chunks
    return np.concatenate([chunk.indices.to_numpy() for chunk in chunks]), chunks[0].dictionary


def _last(rows: _Rows) -> tuple[_Rows, list[int]]:
    """Without the ratings that a later one of the same item by the same user replaces, and the lines of these."""
    bare = replace(rows, time=None, place=None)
    key = rows.user.astype(np.int64) * max(1, len(rows.ids)) + rows.item
    ordered = np.sort(key)
    if rows.place is None or not (ordered[1:] == ordered[:-1]).any():
        return bare, []
    del ordered  # 8 bytes a rating, as `key` and `order`
    # Both sorts are stable: of equal times the last in the file stays last.
    order = np.argsort(key, kind="stable") if rows.time is None else np.lexsort((rows.time, key))
    key = key[order]
    kept = np.ones(len(key), np.bool_)
    kept[order[:-1][key[1:] == key[:-1]]] = False
    replaced = rows.place[~kept].tolist()
    return replace(bare, user=rows.user[kept], item=rows.item[kept], value=rows.value[kept]), replaced


def _some(named: Sequence[object]) -> str:
    """The first twenty, and how many more."""
    more = f" and {len(named) - MOST_NAMED:,} more" if len(named) > MOST_NAMED else ""
    return ", ".join(map(str, named[:MOST_NAMED])) + more


def _enough(file: str, rows: _Rows) -> str:
    """How much there is, in words."""
    there = {"rating": len(rows.user), "user": rows.users, "item": len(rows.ids)}
    told = "{} by {} of {}".format(*(count(number, what) for what, number in there.items()))
    if any(there[what] < least for what, least in LEAST.items()):
        least = "{} by {} of {}".format(*(count(number, what) for what, number in LEAST.items()))
        raise DataError(f"{file} holds {told}; the least are {least}")
    return told


def _scale(rows: _Rows, found: Columns, table: Table, asked: Asked) -> scale.Scale:
    if "rating" in found.place:
        name = table.first[found.place["rating"]] if found.header else ""
        return scale.derive(
            rows.value, asked.scale, counted=columns.spelled(name, among=columns.COUNTS), liked=asked.liked
        )
    if asked.scale in ("steps", "counts"):
        raise DataError(f"--scale {asked.scale}: {table.file} has no column of ratings")
    return scale.likes(asked.liked)


def _compare(named: items.Items, rows: _Rows, unit: str) -> list[str]:
    """How the rows of the items' file and the rated items meet."""
    ids = rows.ids
    without = [number for number, identity in enumerate(ids) if identity not in named.rows]
    if len(without) == len(ids):
        known = next(iter(named.rows), "")
        raise DataError(f"no item of the items' file ({known!r} ...) is among the rated ones ({ids[0]!r} ...)")
    unrated = len(named.rows) - (len(ids) - len(without))
    told = [
        f"  {count(unrated, 'item')} of it {'has' if unrated == 1 else 'have'} no rating; "
        f"{count(len(without), 'rated item')} {'has' if len(without) == 1 else 'have'} no row there and the id as title"
    ]
    if without:
        first = _some([f"{ids[number]!r} in {unit} {rows.first[number]}" for number in without])
        told.append(f"    no row for {first}")
    return told


def _split(rows: _Rows, how: scale.Scale, named: items.Items, file: str) -> RatingData:
    data = assemble(
        split(Ratings(rows.user, rows.item, how.place(rows.value)), SEED),
        lambda number: named.entry(rows.ids[number]),
        named.attributes,
        how.levels,
        how.liked,
        f"own ratings {file}, split at random with seed {SEED}",
        "",
    )
    if not len(data.cells.user) or not (data.targets.rating >= how.liked).any():
        raise DataError(
            f"no held-out user of {file} likes an item that is held back (liked is {scale.number(how.liked)} or "
            "more), so nothing could be measured: more ratings, or a lower --liked"
        )
    table = catalogue.write(data.items, data.attributes)
    columns = [
        column.tobytes()
        for part in (data.train, data.cells, data.foldin, data.targets)
        for column in (part.user, part.item, part.rating)
    ]
    return replace(data, sha256=digest([table, repr((how.levels, how.liked)).encode(), *columns]))


def _split_told(data: RatingData, rated: int) -> list[str]:
    train, cells, foldin, targets = (len(part.user) for part in (data.train, data.cells, data.foldin, data.targets))
    told = [
        f"split at random with seed {SEED}, whatever the times: {train:,} ratings to learn from and {cells:,} hidden "
        f"ones of the same users; {count(data.foldin.users, 'user')} held out, of whose ratings {foldin:,} are told "
        f"and {targets:,} guessed"
    ]
    if left := rated - len(data.items):
        told.append(f"  {count(left, 'item')} without a rating to learn from left out of the model")
    return told
