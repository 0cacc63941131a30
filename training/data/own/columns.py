"""Which column is which: by its usual names, or as the user says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.data.own.tables import Table
from training.data.source import DataError

USER = "user userid uid username customer customerid member memberid reviewer reviewerid person account accountid"
ITEM = (
    "item itemid iid movie movieid film filmid product productid asin sku book bookid isbn song songid track trackid "
    "artist artistid anime animeid game gameid show showid article articleid"
)
COUNTS = "plays playcount count counts listens listencount views viewcount clicks purchases orders quantity"
USUAL: Mapping[str, frozenset[str]] = {
    role: frozenset(names.split())
    for role, names in {
        "user": USER,
        "item": ITEM,
        "rating": f"rating ratings stars star score grade thumb thumbs value overall {COUNTS}",
        "timestamp": "timestamp time ts date datetime ratedat ratingtime createdat unixreviewtime reviewtime",
        "title": "title name itemtitle itemname movietitle moviename",
    }.items()
}
"""By role, the names that say it; capitals, spaces, `_` and `-` do not count."""
IN_ORDER: tuple[str, ...] = ("user", "item", "rating", "timestamp")
"""What the columns are without a header."""


@dataclass(frozen=True)
class Columns:
    """The place of each column by its role, and whether the first row is a header."""

    place: Mapping[str, int]
    header: bool

    def told(self, table: Table) -> str:
        """`user=userId, item=movieId`, or that there is no header."""
        if not self.header:
            return f"no header, so the columns are {', '.join(self.place)}"
        return ", ".join(f"{role}={table.first[place]}" for role, place in self.place.items())


def unused(table: Table, found: Columns) -> list[str]:
    """The names of the columns that have no role."""
    used = set(found.place.values())
    return [name for column, name in enumerate(table.first) if found.header and column not in used]


def of_ratings(table: Table, named: Mapping[str, str]) -> Columns:
    """The columns user, item and, where they are there, rating and timestamp. `named` are the user's words.

    An empty word says that there is none.

    Raises:
        DataError: a column is not there, or more than one could be meant.
    """
    roles = {role: role in ("user", "item") for role in IN_ORDER}
    if table.named or any(cell in filter(None, named.values()) or _role(cell, roles) for cell in table.first):
        return _by_name(table, roles, named)
    width = len(table.first)
    seen = ", ".join(repr(cell) for cell in table.first[:6])
    if named or width > len(IN_ORDER):
        raise DataError(
            f"{table.file} begins with {seen}, of which none is a known name of a column: add a header, or name the "
            "columns with --columns user=...,item=...,rating=..."
        )
    if width > 2 and not _number(table.first[2]):
        raise DataError(
            f"{table.file} begins with {seen}: without a header the third column is a rating, and if it is a header "
            "its names are not known: name the columns with --columns user=...,item=...,rating=..."
        )
    return Columns({role: place for place, role in enumerate(IN_ORDER[:width])}, header=False)


def of_items(table: Table, named: Mapping[str, str], item: str | None) -> Columns:
    """The columns item and title. `item` is what the ratings call an item, which goes before the usual names.

    Raises:
        DataError: a column is not there, or more than one could be meant.
    """
    roles = {"item": True, "title": False}
    if (title := named.get("title")) is not None and title not in table.first:
        raise DataError(f"{table.file} has no column {title!r} (--columns title=...); it has {', '.join(table.first)}")
    chosen = {role: name for role, name in named.items() if role in roles and name in table.first}
    if "item" not in chosen and item in table.first:
        chosen["item"] = item
    alone = [cell for cell in table.first if _plain(cell) == "id"]
    if "item" not in chosen and len(alone) == 1 and not any(_plain(cell) in USUAL["item"] for cell in table.first):
        chosen["item"] = alone[0]
    if not chosen and not any(_role(cell, roles) for cell in table.first) and len(table.first) == 2:
        return Columns({"item": 0, "title": 1}, header=False)
    return _by_name(table, roles, chosen)


def spelled(name: str, *, among: str) -> bool:
    """Whether a column's name is one of these words."""
    return _plain(name) in among.split()


def _by_name(table: Table, roles: Mapping[str, bool], named: Mapping[str, str]) -> Columns:
    place: dict[str, int] = {}
    header = ", ".join(table.first)
    for role, needed in roles.items():
        wanted = named.get(role)
        if wanted == "":
            continue
        found = [
            column
            for column, cell in enumerate(table.first)
            if (cell == wanted if wanted is not None else _role(cell, [role]) and cell not in named.values())
        ]
        if len(found) > 1:
            raise DataError(
                f"{table.file} has {' and '.join(table.first[column] for column in found)}, of which one is the "
                f"{role}: say which with --columns {role}=..."
            )
        if wanted is not None and not found:
            raise DataError(f"{table.file} has no column {wanted!r} (--columns {role}=...); it has {header}")
        if needed and not found:
            raise DataError(f"{table.file} has no column for the {role}; it has {header}: say --columns {role}=...")
        if found:
            place[role] = found[0]
    if len(set(place.values())) < len(place):
        raise DataError("--columns names one column twice")
    return Columns(place, header=True)


def _role(cell: str, roles: Mapping[str, bool] | Sequence[str]) -> str | None:
    return next((role for role in roles if _plain(cell) in USUAL[role]), None)


def _plain(cell: str) -> str:
    return re.sub(r"[\s_-]", "", cell).lower()


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
