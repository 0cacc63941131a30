"""What a reader of own data hands on: the data, whose they are, and what was done with them in words."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from models.manifest import Credit

Data = TypeVar("Data")


@dataclass(frozen=True)
class Own(Generic[Data]):
    """`told` are the lines for the person who trains; `about` is a sentence for whoever uses the model."""

    data: Data
    credit: Credit
    about: str
    told: tuple[str, ...]


def shown(path: Path) -> str:
    """The last part of `path` as a manifest and a table of a card may hold it: printable, without `|`, never long."""
    name = Path(os.path.abspath(path)).name.encode("utf-8", "replace").decode()
    return "".join(letter if letter.isprintable() and letter != "|" else "?" for letter in name)[:100] or "?"


def credit(data: str) -> Credit:
    """Own data, described in words. Nothing is claimed about them that only their owner knows."""
    return Credit(
        data=f"Own data: {data}",
        source="Whoever trained this version.",
        licence="Not stated. The data are their owner's, who decides what may be done with these weights.",
        citation="None.",
    )


def count(number: int, what: str, many: str = "") -> str:
    """`1 rating`, `1,204 ratings`."""
    return f"{number:,} {what if number == 1 else many or what + 's'}"
