"""A table of any length that is read block by block, with the exact line or row of every cell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.own.cells import Column
from training.data.own.faults import Faults
from training.data.own.told import shown


@dataclass(frozen=True)
class Block:
    """Some rows: where each begins, how many lines it takes, and the columns that were asked for."""

    place: NDArray[np.int64]
    span: NDArray[np.int64]
    columns: list[Column]


class Table(ABC):
    """A file of rows.

    `first` are the cells of its first row, `named` whether they surely are names. `rows` counts
    what was read so far, bad rows included, which are also in `faults`; a row over several lines
    counts as so many.
    """

    form: str
    unit: str
    named: bool

    def __init__(self, path: Path, first: Sequence[str]) -> None:
        self.path, self.file, self.rows = path, shown(path), 0
        self.first = tuple(cell.strip() for cell in first)
        self.faults = Faults(f"{self.unit}s of {self.file}", "Mend them, or say with --allow-bad-rows how many may be.")

    @abstractmethod
    def blocks(self, columns: Sequence[int], *, header: bool) -> Iterator[Block]:
        """The rows, without the first if it is a header, with the columns at these places.

        Rows of another length are bad; lines with nothing on them are passed over.

        Raises:
            DataError: the file cannot be read to its end.
        """

    def bad(self, place: NDArray[np.int64], span: NDArray[np.int64], reasons: Sequence[str]) -> None:
        """Count rows as bad. `reasons` may end early, for only the first are named."""
        named = [
            (line, f"{self.file} {self.unit} {line}: {reason}")
            for line, reason in zip(place.tolist(), reasons, strict=False)
        ]
        self.faults.add(len(place), named, int(span.sum()))
