import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import items
from models.items import Item, ItemsError
from tests.models import reproducible
from tests.versions import film_items

KINDS: dict[str, items.Kind] = {"genres": "list", "year": "number"}
HEAD = "item,title,popularity,genres,year\n"

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
part = text.filter(lambda entry: entry and "|" not in entry)
number = st.floats(allow_nan=False, allow_infinity=False)
rows = st.lists(
    st.builds(
        Item,
        id=text.filter(bool),
        title=text,
        popularity=number,
        attributes=st.fixed_dictionaries({"genres": st.lists(part, max_size=3).map(tuple), "year": st.none() | number}),
    ),
    unique_by=lambda item: item.id,
    max_size=5,
).map(tuple)


@given(rows)
@reproducible
def test_what_was_written_is_read(table: tuple[Item, ...]) -> None:
    assert items.read(items.write(table, KINDS), KINDS) == table


@given(st.binary(max_size=80))
@reproducible
def test_any_bytes_are_a_table_or_refused(tail: bytes) -> None:
    for data in (tail, HEAD.encode() + tail):
        try:
            table = items.read(data, KINDS)
        except ItemsError:
            continue
        assert items.read(items.write(table, KINDS), KINDS) == table


@pytest.mark.parametrize("mark", ["\r", "\n", "\r\n", ",", '"', "|", "'", "\t", "\x00", "\u2028", "\ufeff", " "])
def test_a_title_may_hold_any_mark(mark: str) -> None:
    table = (Item("1", f"a{mark}b", 0.5, {}), Item(f"2{mark}", mark, 0.5, {}))
    assert items.read(items.write(table, {}), {}) == table


def test_numbers_of_numpy_are_numbers() -> None:
    table = (Item("1", "", np.float64(0.1), {"year": np.float64(1999.5)}),)
    assert items.read(items.write(table, {"year": "number"}), {"year": "number"}) == table


def test_an_attribute_that_an_item_lacks_is_empty() -> None:
    table = items.read(items.write([Item("1", "", 0.0, {})], KINDS), KINDS)
    assert table[0].attributes == {"genres": (), "year": None}


def test_columns_may_stand_in_any_order() -> None:
    table = items.read(b"year,item,genres,popularity,title\n1980,7,a|b,0.5,T\n", KINDS)
    assert table == (Item("7", "T", 0.5, {"genres": ("a", "b"), "year": 1980.0}),)


def test_the_order_of_items_is_kept() -> None:
    table = film_items(40)
    assert items.read(items.write(table, KINDS), KINDS) == table
    assert [item.id for item in table[:3]] == ["1196", "260", "1"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("", "must have the columns"),
        ("item,title,popularity\n", "must have the columns"),
        ("item,title,popularity,genres,year,more\n", "must have the columns"),
        ("item,item,popularity,genres,year\n", "must have the columns"),
        (HEAD + "1,a,0.5,x\n", "line 2: 4 values for 5 columns"),
        (HEAD + "1,a,0.5,x,1980\n\n", "line 3: 0 values"),
        (HEAD + "1,a,0.5,x,1980\n1,b,0.5,x,1980\n", "line 3: the item id '1' is empty or repeated"),
        (HEAD + ",a,0.5,x,1980\n", "line 2: the item id '' is empty or repeated"),
        (HEAD + "1,a,0.5,x,soon\n", "line 2: could not convert string to float: 'soon'"),
        (HEAD + "1,a,0.5,x,nan\n", "line 2: 'nan' is not a finite number"),
        (HEAD + "1,a,1e999,x,1980\n", "line 2: '1e999' is not a finite number"),
        (HEAD + "1,a,,x,1980\n", "line 2: could not convert"),
        (HEAD + '1,"a,0.5,x,1980\n', "is not UTF-8 CSV"),
        (HEAD + "1," + "a" * 200_000 + ",0.5,x,1980\n", "is not UTF-8 CSV"),
    ],
)
def test_a_broken_table_is_refused_with_its_line(data: str, reason: str) -> None:
    with pytest.raises(ItemsError) as refused:
        items.read(data.encode(), KINDS)
    assert reason in str(refused.value)


def test_bytes_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(ItemsError, match="not UTF-8"):
        items.read(HEAD.encode() + b"1,\xff,0.5,x,1980\n", KINDS)


@pytest.mark.parametrize("name", items.FIXED)
def test_an_attribute_may_not_hide_a_fixed_column(name: str) -> None:
    data = items.write([Item("1", "T", 0.5, {name: ("x",)})], {name: "list"})
    with pytest.raises(ItemsError, match=f"no attribute may be called \\['{name}'\\]"):
        items.read(data, {name: "list"})
