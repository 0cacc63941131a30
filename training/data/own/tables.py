"""What kind of table a file is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as arrow

from training.data.own.delimited import Csv
from training.data.own.table import Block, Table
from training.data.own.told import shown
from training.data.source import DataError

ROWS = 2**17
"""Rows of a Parquet file that are held at once."""
NOT_TEXT = {
    b"\xff\xfe": "UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
    b"PK\x03\x04": "a spreadsheet or a ZIP archive: save or unpack it as CSV",
    b"\x1f\x8b": "compressed: unpack it",
}


def open_table(path: Path) -> Table:
    """Look at the beginning of a file.

    Raises:
        DataError: it is not there, is empty, or is neither CSV nor Parquet.
    """
    try:
        with path.open("rb") as file:
            head = file.read(2**20)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    for mark, what in NOT_TEXT.items():
        if head.startswith(mark):
            raise DataError(f"{shown(path)} is {what}")
    return Parquet(path) if head.startswith(b"PAR1") else Csv(path, head)


class Parquet(Table):
    """A Parquet file with plain columns."""

    form = "Parquet"
    unit = "row"
    named = True

    def __init__(self, path: Path) -> None:
        try:
            self._names: list[str] = arrow.read_schema(path).names
        except Exception as error:  # pyarrow raises many kinds for a broken file
            raise DataError(f"{shown(path)} cannot be read as Parquet: {error}") from error
        super().__init__(path, self._names)

    def blocks(self, columns: Sequence[int], *, header: bool) -> Iterator[Block]:
        names = [self._names[column] for column in columns]
        try:
            with arrow.ParquetFile(self.path) as file:
                for batch in file.iter_batches(ROWS, columns=names):
                    place = np.arange(self.rows + 1, self.rows + 1 + batch.num_rows)
                    self.rows += batch.num_rows
                    yield Block(place, np.ones_like(place), [batch.column(name) for name in names])
        except Exception as error:  # as above
            raise DataError(f"{self.file} cannot be read after row {self.rows}: {error}") from error
