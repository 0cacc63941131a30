"""A file of items: their titles, and further columns as attributes that a request can filter by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from models.items import FIXED, Kind, Value
from training.data.own import cells, columns
from training.data.own.table import Block, Table
from training.data.own.tables import open_table
from training.data.own.told import count
from training.data.ratings import Entry
from training.data.source import DataError

LONGEST_ID = 64
"""Letters of an item's id: what a request can name."""
LONGEST = 2_000
"""Letters of a title or an attribute."""


@dataclass(frozen=True)
class Items:
    """Title and attributes by id, and the kind of each attribute."""

    rows: Mapping[str, tuple[str, Mapping[str, Value]]]
    attributes: Mapping[str, Kind]
    told: tuple[str, ...]

    def entry(self, identity: str) -> Entry:
        """Id, title and attributes; an item without a row has its id as title."""
        empty: dict[str, Value] = {name: () if kind == "list" else None for name, kind in self.attributes.items()}
        return identity, *self.rows.get(identity, (identity, empty))


NONE = Items({}, {}, ())


def read(path: Path, named: Mapping[str, str], item: str | None, bad_rows: float) -> Items:
    """Read the file. A column of numbers becomes numbers, any other a list whose entries `|` separates.

    Raises:
        DataError: it cannot be read, has no column of ids, or too many bad rows.
    """
    table = open_table(path)
    found = columns.of_items(table, named, item)
    rest = [place for place in range(len(table.first)) if place not in found.place.values()]
    rows: dict[str, list[str]] = {}
    repeated = 0
    used = [*found.place.values(), *rest]
    for block in table.blocks(used, header=found.header):
        texts = [
            _text(column, table.first[place], place == used[0])
            for column, place in zip(block.columns, used, strict=True)
        ]
        repeated += _keep(table, block, texts, rows)
    told = [f"{table.file} ({table.form}; {found.told(table)}): {count(len(rows), 'item')}"]
    told += table.faults.told(table.rows, bad_rows)
    if repeated:
        told.append(f"  {count(repeated, 'repeated row')} of an item: the last one counts")
    titled = "title" in found.place
    names = _names([table.first[place] for place in rest])
    kinds: dict[str, Kind] = {}
    values: list[list[Value]] = []
    for column, (heading, name) in enumerate(names, start=len(found.place)):
        texts = [row[column] for row in rows.values()]
        if not any(texts):
            told.append(f"  column {heading!r} is empty: left out")
            continue
        kinds[name], attribute = _attribute(texts)
        values.append(attribute)
        said = f"  attribute {name}" + (f" (column {heading!r})" if heading != name else "") + f": {kinds[name]}"
        told.append(said + (_stray(texts) if kinds[name] == "list" else ""))
    made = {
        identity: (
            (row[1] if titled else "") or identity,
            dict(zip(kinds, (attribute[place] for attribute in values), strict=True)),
        )
        for place, (identity, row) in enumerate(rows.items())
    }
    return Items(made, kinds, tuple(told))


def _text(column: Any, name: str, identity: bool) -> list[str]:
    try:
        return cells.text(column).to_pylist() if identity else cells.words(column)
    except (cells.WrongKind, pa.ArrowException) as error:
        raise DataError(f"the column {name!r} of the items cannot be read: {error}") from error


def _keep(table: Table, block: Block, texts: list[list[str]], rows: dict[str, list[str]]) -> int:
    """Put the block's rows into `rows` by id; how many were there before."""
    repeated = 0
    for place, span, *row in zip(block.place.tolist(), block.span.tolist(), *texts, strict=True):
        reason = problem(row[0]) or ("a cell is longer than 2,000 letters" if max(map(len, row)) > LONGEST else "")
        if reason:
            table.bad(np.array([place]), np.array([span]), [reason])
        else:
            repeated += row[0] in rows
            rows[row[0]] = row
    return repeated


def problem(identity: str) -> str:
    """Why this cannot be the id of an item; empty if it can."""
    if not identity:
        return "no item"
    if len(identity) > LONGEST_ID:
        return f"the item's id is longer than {LONGEST_ID} letters"
    return "the item's id has a line break in it" if len(identity.splitlines()) > 1 else ""


def _attribute(texts: list[str]) -> tuple[Kind, list[Value]]:
    numbers = [_number(text) for text in texts if text]
    if all(number is not None for number in numbers):
        return "number", [_number(text) if text else None for text in texts]
    return "list", [tuple(part for part in map(str.strip, text.split("|")) if part) for text in texts]


def _stray(texts: list[str]) -> str:
    """What keeps a column that is mostly numbers from being one; empty if it is not."""
    filled = [text for text in texts if text]
    others = [text for text in filled if _number(text) is None]
    return f", as {count(len(others), 'entry')} is no number: {others[0]!r}" if len(others) < len(filled) / 10 else ""


def _number(text: str) -> float | None:
    """A finite number as people write it."""
    return value if re.fullmatch(cells.NUMBER, text) and np.isfinite(value := float(text)) else None


def _names(headings: list[str]) -> list[tuple[str, str]]:
    """Each heading with the name that it is served by: small letters, digits and single hyphens."""
    taken, found = set[str](FIXED), list[tuple[str, str]]()
    for number, heading in enumerate(headings, start=1):
        split = re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", heading).lower()
        name = re.sub(r"[^a-z0-9]+", "-", split).strip("-")[:56].strip("-") or f"attribute-{number}"
        whole, again = name, 1
        while whole in taken:
            again += 1
            whole = f"{name}-{again}"
        taken.add(whole)
        found.append((heading, whole))
    return found
