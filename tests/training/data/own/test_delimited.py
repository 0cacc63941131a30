"""CSV: any bytes are rows or a refusal, and every row has the line that an editor shows."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from training.data.own.table import Table
from training.data.own.tables import open_table
from training.data.source import DataError

Row = tuple[int, int, tuple[str, ...]]
"""Line, number of lines, cells."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("csv") / "table.csv"


def opened(file: Path, data: bytes | str) -> Table:
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    return open_table(file)


def read(table: Table, *, header: bool = False) -> list[Row]:
    found: list[Row] = []
    for block in table.blocks(range(len(table.first)), header=header):
        cells = zip(*(column.to_pylist() for column in block.columns), strict=True)
        found += zip(block.place.tolist(), block.span.tolist(), cells, strict=True)
    return found


def named(table: Table) -> list[str]:
    """The bad rows as they are told."""
    return [line.strip() for line in table.faults.told(table.rows, allowed=1)[1:]]


plain = st.text(st.sampled_from("ab1. é"), max_size=4)
cell = plain | st.builds(
    lambda text: '"' + text.replace('"', '""') + '"', st.text(st.sampled_from('ab,;\t"\n\r é'), max_size=5)
)
ends = st.sampled_from(["\n", "\r\n", "\r"])


@given(st.lists(st.lists(cell, min_size=1, max_size=4), min_size=1, max_size=12), ends, st.booleans(), st.data())
@settings(max_examples=300, deadline=None)
def test_rows_and_lines_are_those_of_the_standard_library(
    file: Path, rows: list[list[str]], end: str, last: bool, data: st.DataObject
) -> None:
    separator = data.draw(st.sampled_from(",;\t"))
    text = end.join(separator.join(row) for row in [["u", "v", "w"], *rows]) + end * last
    table = opened(file, text)
    expected: list[Row] = []
    bad: list[str] = []
    reader, line = csv.reader(io.StringIO(text, newline=""), delimiter=separator), 1
    for row in reader:
        lines = reader.line_num + 1 - line
        if len(row) == 3 and any(row):
            expected.append((line, lines, tuple(row)))
        elif row and len(row) != 3:
            bad.append(f"table.csv line {line}: {len(row)} columns instead of 3")
        line += lines
    assert read(table, header=True) == expected[1:]
    assert named(table) == bad
    assert table.faults.total >= len(bad)
    assert table.rows == sum(lines for _, lines, _ in expected[1:]) + table.faults.total


@given(st.binary(max_size=80) | st.text(st.sampled_from('a1,;\t"\n\r'), max_size=40).map(str.encode))
@example(b"a,b\n\xff,2\n")
@example(b'a,b\n"')
@example(b'"')
@example(b"\x00,\x00\n")
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_rows_or_a_refusal(file: Path, data: bytes) -> None:
    try:
        table = opened(file, data)
        rows = read(table)
        table.faults.told(table.rows, allowed=0.5)
    except DataError:
        return
    assert all(len(cells) == len(table.first) for *_, cells in rows)
    assert [line for line, *_ in rows] == sorted({line for line, *_ in rows})


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_separator_is_found_and_a_byte_order_mark_is_not_data(file: Path, separator: str, mark: str) -> None:
    table = opened(file, mark + separator.join(("user", '"a item"', "x")) + "\n" + separator.join("123") + "\n")
    assert table.first == ("user", "a item", "x")
    assert read(table, header=True) == [(2, 1, ("1", "2", "3"))]


def test_lines_are_counted_over_blocks_and_over_line_breaks_in_quotes(file: Path) -> None:
    lines = [f"u{number},i{number},{number}" for number in range(500_000)]
    lines[0] = "user,item,rating"
    lines[100] = 'u,"a\r\nb",1'  # lines 101 and 102
    lines[200] = ""  # line 202
    lines[300_000] = "u,i"  # line 300,002
    lines[-1] = "u,i,1,2"
    table = opened(file, "\n".join(lines))
    rows = read(table, header=True)
    assert file.stat().st_size > 8 * 2**20, "several blocks"
    assert [(line, span) for line, span, cells in rows if cells[0] == "u"] == [(101, 2)]
    assert all(line == int(cells[2]) + 1 + (line > 101) for line, _, cells in rows if cells[0] != "u")
    assert len(rows) == 500_000 - 4
    assert named(table) == [
        "table.csv line 300002: 2 columns instead of 3",
        "table.csv line 500001: 4 columns instead of 3",
    ]


@pytest.mark.parametrize("row", ['u,"i,3', 'u,i,"3', '"u,i,3'])
@pytest.mark.parametrize("rest", [1, 100, 400_000])
def test_a_quote_that_is_never_closed_is_refused_with_its_line(file: Path, row: str, rest: int) -> None:
    table = opened(file, "user,item,rating\nu,i,1\n" + row + "\n" + "u,i,2\n" * rest)
    with pytest.raises(
        DataError, match=r"table\.csv line 3: a quote is opened|table\.csv cannot be read after line 2, "
    ):
        read(table)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_what_is_not_utf8_is_refused_with_its_line(file: Path, end: str) -> None:
    lines = [b"user,item,rating"] + [b"u,i,1"] * 800_000 + [b"caf\xe9,i,1", b"u,i,1"]
    table = opened(file, end.encode().join(lines))
    with pytest.raises(DataError, match=r"^table\.csv line 800002 is not UTF-8: save the file as UTF-8$"):
        read(table)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "table.csv has nothing in it"),
        (b"\n\n", "table.csv has nothing in it"),
        (b"\none\ntwo\n", "table.csv has one column in line 2"),
        ("user,item\n".encode("utf-16"), "table.csv is UTF-16 text: save it as UTF-8"),
        (b"PK\x03\x04....", "table.csv is a spreadsheet or a ZIP archive: save or unpack it as CSV"),
        (b"\x1f\x8b\x08..", "table.csv is compressed: unpack it"),
        (b"PAR1 and no more", "table.csv cannot be read as Parquet"),
    ],
)
def test_what_is_no_table_is_refused(file: Path, data: bytes, told: str) -> None:
    with pytest.raises(DataError) as caught:
        opened(file, data)
    assert str(caught.value).startswith(told)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(DataError, match=rf"^{path} cannot be read: "):
            open_table(path)
