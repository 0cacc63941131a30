"""A file of items of one's own: titles, and attributes that serving can filter by."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import items as catalogue
from models.items import Item
from training.data.own import items, ratings
from training.data.own.items import Items
from training.data.own.ratings import Asked
from training.data.source import DataError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "films.csv"


def read(
    file: Path, text: str, item: str | None = None, bad_rows: float = 0.01, named: dict[str, str] | None = None
) -> Items:
    file.write_text(text)
    return items.read(file, named or {}, item, bad_rows)


def test_further_columns_are_attributes_numbers_or_lists(file: Path) -> None:
    found = read(
        file,
        "movieId,title,releaseYear,Genres (IMDB),Länge,\n"
        '1,"One, Two",1999,Drama| War ||,90.5,x\n02,,,Comedy,,\n3,"A ""B""",-1e3,,1,y|z\n',
    )
    assert found.attributes == {
        "release-year": "number",
        "genres-imdb": "list",
        "l-nge": "number",
        "attribute-4": "list",
    }
    assert found.entry("1") == (
        "1",
        "One, Two",
        {"release-year": 1999.0, "genres-imdb": ("Drama", "War"), "l-nge": 90.5, "attribute-4": ("x",)},
    )
    assert found.entry("02") == (
        "02",
        "02",
        {"release-year": None, "genres-imdb": ("Comedy",), "l-nge": None, "attribute-4": ()},
    )
    assert found.entry("2") == (
        "2",
        "2",
        {"release-year": None, "genres-imdb": (), "l-nge": None, "attribute-4": ()},
    ), "an item without a row has its id as title"
    assert found.told == (
        "films.csv (CSV with commas; item=movieId, title=title): 3 items",
        "  attribute release-year (column 'releaseYear'): number",
        "  attribute genres-imdb (column 'Genres (IMDB)'): list",
        "  attribute l-nge (column 'Länge'): number",
        "  attribute attribute-4 (column ''): list",
    )


def test_names_that_are_taken_get_a_number_and_empty_columns_are_left_out(file: Path) -> None:
    found = read(file, "id,title,popularity,a b,a_b,void\n1,One,3,1,2,\n")
    assert list(found.attributes) == ["popularity-2", "a-b", "a-b-2"]
    assert "  column 'void' is empty: left out" in found.told


def test_what_keeps_a_column_of_numbers_from_being_one_is_told(file: Path) -> None:
    rows = [f"{item},{1990 + item},{'x' if item % 2 else item}" for item in range(20)]
    found = read(file, "\n".join(["id,year,half", *rows, "20,199O,"]))
    assert found.attributes == {"year": "list", "half": "list"}
    assert found.told[1:] == ("  attribute year: list, as 1 entry is no number: '199O'", "  attribute half: list")


@pytest.mark.parametrize(
    ("text", "item", "named"),
    [
        ("id,title,year\nK,T,7\n", None, {}),
        ("title,year,Product_ID\nT,7,K\n", None, {}),
        ("sku,title,id\nK,T,7\n", "sku", {}),
        ("movie,book,title\n7,K,T\n", None, {"item": "book"}),
        ("number,words,id\nK,T,7\n", "id", {"item": "number", "title": "words"}),
        ("movie,title,year\nK,T,7\n", None, {"user": "who", "item": "what the ratings call it"}),
    ],
)
def test_the_id_is_found_by_its_name(file: Path, text: str, item: str | None, named: dict[str, str]) -> None:
    assert read(file, text, item, named=named).entry("K")[:2] == ("K", "T")


def test_two_columns_without_a_header_are_id_and_title(file: Path) -> None:
    found = read(file, "1;Toy Story\n2;Heat\n")
    assert [found.entry(number)[1] for number in "12"] == ["Toy Story", "Heat"]


def test_of_repeated_rows_the_last_counts_and_bad_rows_are_named(file: Path) -> None:
    text = "id,title\n1,One\n,None\n1,Uno\n2,Two,Deux\n" + "3," + "x" * 2_001 + "\n" + "4" * 65 + ",Four\n"
    assert read(file, text, bad_rows=0.9).told == (
        "films.csv (CSV with commas; item=id, title=title): 1 item",
        "  4 of 6 lines of films.csv are bad: skipped",
        "    films.csv line 3: no item",
        "    films.csv line 5: 3 columns instead of 2",
        "    films.csv line 6: a cell is longer than 2,000 letters",
        "    films.csv line 7: the item's id is longer than 64 letters",
        "  1 repeated row of an item: the last one counts",
    )
    with pytest.raises(DataError, match=r"^4 of 6 lines of films\.csv are bad; 1 % may be\."):
        read(file, text)


def test_parquet_may_hold_lists_and_numbers(tmp_path: Path) -> None:
    table = {"item": [1, 2], "title": ["One", None], "genres": [["A", "B"], None], "year": [1999.0, float("nan")]}
    parquet.write_table(pa.table(table), tmp_path / "films.parquet")
    found = items.read(tmp_path / "films.parquet", {}, None, 0.01)
    assert found.entry("1") == ("1", "One", {"genres": ("A", "B"), "year": 1999.0})
    assert found.entry("2") == ("2", "2", {"genres": (), "year": None})


@pytest.mark.parametrize(
    ("text", "named", "told"),
    [
        ("when,where,what\n1,2,3\n", {}, "films.csv has no column for the item; it has when, where, what"),
        ("movie,book,title\n1,2,3\n", {}, "films.csv has movie and book, of which one is the item"),
        ("id,title,name\n1,2,3\n", {}, "films.csv has title and name, of which one is the title"),
        ("id,label\n1,2\n", {"title": "words"}, "films.csv has no column 'words' (--columns title=...); it has id, "),
    ],
)
def test_what_is_not_clear_is_refused(file: Path, text: str, named: dict[str, str], told: str) -> None:
    with pytest.raises(DataError) as caught:
        read(file, text, named=named)
    assert str(caught.value).startswith(told)


def ratings_file(folder: Path) -> Path:
    path = folder / "my.csv"
    path.write_text(
        "user,item,rating\n"
        + "".join(f"u{user},{item:02},{1 + (user + item) % 5}\n" for user in range(120) for item in range(12))
    )
    return path


def test_the_data_bear_titles_and_attributes_and_what_does_not_meet_is_counted(tmp_path: Path, file: Path) -> None:
    file.write_text("id,title,year\n00,Zero,2000\n01,One,\n2,Two,2002\n99,None,1999\n")
    own = ratings.read(Asked(ratings_file(tmp_path), file))
    assert own.data.attributes == {"year": "number"}
    known = {item.id: (item.title, dict(item.attributes)) for item in own.data.items}
    assert known["00"] == ("Zero", {"year": 2000.0})
    assert known["02"] == ("02", {"year": None}), "02 is not 2"
    told = own.told.index("  2 items of it have no rating; 10 rated items have no row there and the id as title")
    unknown = ", ".join(f"'{item:02}' in line {item + 2}" for item in range(2, 12))
    assert own.told[told + 1] == f"    no row for {unknown}"
    assert own.data.sha256 != ratings.read(Asked(ratings_file(tmp_path))).data.sha256


def test_items_of_another_shop_are_refused(tmp_path: Path, file: Path) -> None:
    file.write_text("id,title\n0,Zero\n1,One\n")
    with pytest.raises(DataError, match=r"^no item of the items' file \('0' \.\.\.\) is among the rated ones \('00'"):
        ratings.read(Asked(ratings_file(tmp_path), file))


cells = st.text(st.characters(codec="utf-8"), max_size=8).map(lambda text: '"' + text.replace('"', '""') + '"')


@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=6), st.tuples(cells, cells))
@settings(max_examples=100, deadline=None)
def test_what_is_read_can_be_served(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], names: tuple[str, str]
) -> None:
    file = tmp_path_factory.getbasetemp() / "films.csv"
    file.write_bytes("\n".join(",".join(row) for row in [("id", *names), *rows]).encode())
    try:
        found = items.read(file, {}, None, 0.9)
    except DataError:
        return
    made = [Item(name, title, 0.5, values) for name, title, values in map(found.entry, found.rows)]
    written = catalogue.write(made, found.attributes)
    assert catalogue.read(written, found.attributes) == tuple(made)
