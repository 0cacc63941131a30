"""CSV. pyarrow parses; line numbers are counted here, for it knows rows only."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow
from numpy.typing import NDArray

from training.data.own.cells import kernels
from training.data.own.table import Block, Table
from training.data.own.told import shown
from training.data.source import DataError

BLOCK = 4 * 2**20
"""Bytes that are held as text at once. No row may be longer."""
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
END = "\x1eend of file\x1e"
"""A last line that is added to the file. It comes out whole unless a quote is still open."""


class Csv(Table):
    """UTF-8 text, with or without a byte order mark, separated by commas, semicolons or tabs, quoted by `"`."""

    unit = "line"
    named = False

    def __init__(self, path: Path, head: bytes) -> None:
        """`head` is the beginning of the file.

        Raises:
            DataError: there are no two columns.
        """
        text = head.removeprefix(codecs.BOM_UTF8).decode(errors="replace")
        rows = {mark: _first_row(text, mark) for mark in SEPARATORS}
        self._separator = max(SEPARATORS, key=lambda mark: len(rows[mark][1]))
        self._begin, first = rows[self._separator]
        self.form = f"CSV with {SEPARATORS[self._separator]}"
        super().__init__(path, first)
        if len(first) < 2:
            what = f"has one column in line {self._begin}" if first else "has nothing in it"
            raise DataError(f"{self.file} {what}; two columns, separated by commas, semicolons or tabs, are the least")

    def blocks(self, columns: Sequence[int], *, header: bool) -> Iterator[Block]:
        skipped: list[_Skipped] = []
        ended = False

        def skip(row: Any) -> str:
            nonlocal ended
            ended = row.text == END
            if not ended:
                reason = f"{row.actual_columns} columns instead of {row.expected_columns}"
                skipped.append(_Skipped(row.number, _breaks(row.text), reason))
            return "skip"

        after = self._begin if header else 0
        lines = _Lines()
        try:
            with self.path.open("rb") as file:
                text = _Text(file, self.path)
                for batch in self._batches(text, skip):
                    if batch.num_rows:
                        place, span = lines.count(batch.num_rows, _breaks_of(batch) if text.quoted else None, skipped)
                        self._skip(lines, after)
                        wanted = (place > after) & ~_blank(batch)
                        block = _block(batch, columns, place, span, wanted)
                        self.rows += int(block.span.sum())
                        yield block
            lines.count(0, None, skipped)
            self._skip(lines, after)
        except pa.ArrowException as error:
            raise DataError(
                f"{self.file} cannot be read after line {lines.next - 1}, perhaps for a quote that is left open: no "
                f"row may be longer than 4 MB ({error})"
            ) from error
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror or error}") from error
        if not ended:
            raise DataError(f"{self.file} line {lines.last}: a quote is opened there and never closed")

    def _skip(self, lines: _Lines, after: int) -> None:
        """Take the rows that were skipped, below the header, for bad ones."""
        bad = [row for row in lines.skipped if row[0] > after]
        lines.skipped.clear()
        if bad:
            place, span, reasons = zip(*bad, strict=True)
            self.bad(np.array(place), np.array(span), reasons)
            self.rows += sum(span)

    def _batches(self, text: io.RawIOBase, skip: Callable[[Any], str]) -> Iterator[Any]:
        names = [str(place) for place in range(len(self.first))]
        return arrow.open_csv(
            text,
            arrow.ReadOptions(column_names=names, block_size=BLOCK, use_threads=False),
            arrow.ParseOptions(
                delimiter=self._separator,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=skip,
            ),
            arrow.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=False
            ),
        )


class _Skipped(NamedTuple):
    """A row of another length: its number, the line breaks inside it, and what is wrong with it."""

    number: int
    breaks: int
    reason: str


class _Lines:
    """Line numbers of the rows, those included that pyarrow skips.

    A row takes one line, and one more for every line break inside it. `skipped` are line,
    number of lines and reason of the skipped ones; `last` and `next` are the lines of
    the last row that was counted, and of the one after it.
    """

    def __init__(self) -> None:
        self._row = self.last = self.next = 1
        self.skipped: list[tuple[int, int, str]] = []

    def count(
        self, rows: int, breaks: NDArray[np.int64] | None, skipped: list[_Skipped]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Line and number of lines of the next `rows` rows. The `skipped` ones among them are taken away."""
        ahead = np.arange(self._row, self._row + rows + len(skipped))
        gone = np.isin(ahead, [row.number for row in skipped])
        good = ahead[~gone][:rows]
        end = int(good[-1]) + 1 if rows else int(ahead[-1]) + 1 if len(ahead) else self._row
        span = np.ones(end - self._row, np.int64)
        if breaks is not None:
            span[good - self._row] += breaks
        here = [row for row in skipped if row.number < end]
        for row in here:
            span[row.number - self._row] += row.breaks
        place = self.next + np.cumsum(span) - span
        for row in here:
            offset = row.number - self._row
            self.skipped.append((int(place[offset]), int(span[offset]), row.reason))
        found = place[good - self._row], span[good - self._row]
        if len(place):
            self._row, self.last, self.next = end, int(place[-1]), int(place[-1] + span[-1])
        del skipped[: len(here)]
        return found


class _Text(io.RawIOBase):
    """A file's bytes followed by the line `END`, refused where they are not UTF-8; `quoted` once a quote was seen."""

    def __init__(self, file: io.BufferedReader, path: Path) -> None:
        self._file, self._path, self._end = file, path, f"\n{END}\n".encode()
        self._check = codecs.getincrementaldecoder("utf-8")()
        self.quoted = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._file.read(len(buffer))
        try:
            self._check.decode(data, final=not data)
        except UnicodeDecodeError as error:
            offset = self._file.tell() - len(error.object) + error.start
            raise DataError(
                f"{shown(self._path)} line {_line(self._path, offset)} is not UTF-8: save the file as UTF-8"
            ) from error
        self.quoted = self.quoted or b'"' in data
        if not data:
            data, self._end = self._end[: len(buffer)], self._end[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


def _first_row(text: str, separator: str) -> tuple[int, list[str]]:
    """Line and cells of the first row with anything in it."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    line = 1
    try:
        for row in reader:
            if any(row):
                return line, row
            line = reader.line_num + 1
    except csv.Error:  # a quote that closes far off, if at all
        pass
    return line, []


def _block(
    batch: Any, columns: Sequence[int], place: NDArray[np.int64], span: NDArray[np.int64], wanted: NDArray[np.bool_]
) -> Block:
    kept = [batch.column(column) for column in columns]
    if wanted.all():
        return Block(place, span, kept)
    mask = pa.array(wanted)
    return Block(place[wanted], span[wanted], [column.filter(mask) for column in kept])


def _breaks(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _breaks_of(batch: Any) -> NDArray[np.int64]:
    """Line breaks inside each row."""
    total = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        for mark, sign in (("\n", 1), ("\r", 1), ("\r\n", -1)):
            total += sign * kernels.count_substring(column, mark).to_numpy(zero_copy_only=False)
    return total


def _blank(batch: Any) -> NDArray[np.bool_]:
    """Rows with nothing in any column."""
    blank = np.ones(batch.num_rows, np.bool_)
    for column in batch.columns:
        if blank.any():
            blank &= kernels.equal(column, "").to_numpy(zero_copy_only=False)
    return blank


def _line(path: Path, offset: int) -> int:
    """The line of a byte."""
    line = 1
    with path.open(encoding="latin-1", newline="") as file:  # one letter a byte
        for text in file:
            offset -= len(text)
            if offset < 0:
                break
            line += 1
    return line
