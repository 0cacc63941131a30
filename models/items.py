"""`items.csv`: the items that a recommender knows, in the order of its graph's columns."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["list", "number"]
Value = float | tuple[str, ...] | None
FIXED = ("item", "title", "popularity")


class ItemsError(ValueError):
    """The table cannot be read; the message names the line."""


@dataclass(frozen=True)
class Item:
    """`popularity` is the share of training users who liked it; `attributes` are by name."""

    id: str
    title: str
    popularity: float
    attributes: Mapping[str, Value]


def write(items: Sequence[Item], attributes: Mapping[str, Kind]) -> bytes:
    """The table as UTF-8 CSV; the entries of a list are separated by `|`."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\r\n")  # both are then quoted inside a cell
    table.writerow([*FIXED, *attributes])
    for item in items:
        values = [_spell(item.attributes.get(name)) for name in attributes]
        table.writerow([item.id, item.title, repr(float(item.popularity)), *values])
    return text.getvalue().encode()


def read(data: bytes, attributes: Mapping[str, Kind]) -> tuple[Item, ...]:
    """Read what `write` wrote.

    Raises:
        ItemsError: wrong columns, a repeated id, a value that is no number, bytes that are no UTF-8.
    """
    try:
        rows = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ItemsError(f"items.csv is not UTF-8 CSV: {error}") from error
    header = [*FIXED, *attributes]
    if len(set(header)) != len(header):
        raise ItemsError(f"no attribute may be called {sorted(set(FIXED) & set(attributes))}")
    if not rows or sorted(rows[0]) != sorted(header):
        raise ItemsError(f"items.csv must have the columns {header}, not {rows[0] if rows else []}")
    items: dict[str, Item] = {}
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != len(header):
            raise ItemsError(f"items.csv line {line}: {len(row)} values for {len(header)} columns")
        cells = dict(zip(rows[0], row, strict=True))
        if not cells["item"] or cells["item"] in items:
            raise ItemsError(f"items.csv line {line}: the item id {cells['item']!r} is empty or repeated")
        try:
            values = {name: _parse(cells[name], kind) for name, kind in attributes.items()}
            items[cells["item"]] = Item(cells["item"], cells["title"], _number(cells["popularity"]), values)
        except ValueError as error:
            raise ItemsError(f"items.csv line {line}: {error}") from error
    return tuple(items.values())


def _spell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return "|".join(value)
    return str(int(value)) if value == int(value) else repr(float(value))


def _parse(cell: str, kind: Kind) -> Value:
    if kind == "list":
        return tuple(part for part in cell.split("|") if part)
    return _number(cell) if cell else None


def _number(cell: str) -> float:
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError(f"{cell!r} is not a finite number")
    return value
