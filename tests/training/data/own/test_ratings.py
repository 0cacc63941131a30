"""A file of ratings of one's own: every rule by which it is read."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from training.data.own import ratings
from training.data.own.ratings import Asked
from training.data.own.told import Own
from training.data.ratings import RatingData
from training.data.source import DataError

USERS, ITEMS = 120, 15
Cell = str | float
Rows = list[list[Cell]]


def rows(values: Sequence[float] = (1, 2, 3, 4, 5), seed: int = 0) -> Rows:
    """Some 1,260 rows of user, item and rating, no pair twice."""
    rng = np.random.default_rng(seed)
    pairs = np.argwhere(rng.random((USERS, ITEMS)) < 0.7).tolist()
    return [[f"u{user}", f"i{item}", values[rng.integers(len(values))]] for user, item in pairs]


def spell(table: Rows, header: str = "user,item,rating", separator: str = ",") -> str:
    lines = [header.replace(",", separator)] if header else []
    return "\n".join([*lines, *(separator.join(map(str, row)) for row in table)]) + "\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "my.csv"


def read(file: Path, text: str | bytes, **asked: Any) -> Own[RatingData]:
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return ratings.read(Asked(file, **asked))


def refused(file: Path, text: str | bytes, **asked: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(file, text, **asked)
    return str(caught.value)


def triples(data: RatingData) -> set[tuple[str, float]]:
    """What is known of all ratings without the users' ids, which are not kept."""
    parts = (data.train, data.cells, data.foldin, data.targets)
    return {
        (data.items[item].id, rating)
        for part in parts
        for item, rating in zip(part.item.tolist(), part.rating.tolist(), strict=True)
        if item >= 0
    }


def size(data: RatingData) -> int:
    return sum(len(part.user) for part in (data.train, data.cells, data.foldin, data.targets))


# What is read, and what is said of it.


def test_what_was_read_is_told_and_nothing_of_the_path(file: Path) -> None:
    table = rows()
    own = read(file, spell(table))
    data, count = own.data, len(table)
    what = f"{count:,} ratings by 120 users of 15 items"
    how = "scale 1..5 in steps of 1; liked from 4 (the top quarter of the scale)"
    parts = [len(part.user) for part in (data.train, data.cells, data.foldin, data.targets)]
    assert own.told == (
        f"my.csv (CSV with commas; user=user, item=item, rating=rating): {count:,} lines",
        f"{what}; {how}",
        f"split at random with seed 0, whatever the times: {parts[0]:,} ratings to learn from and {parts[1]} hidden "
        f"ones of the same users; 10 users held out, of whose ratings {parts[2]} are told and {parts[3]} guessed",
    )
    assert own.about == f"Trained on {what} (my.csv); {how}."
    assert own.credit.data == f"Own data: {what} (file my.csv)"
    assert data.name == "own ratings my.csv, split at random with seed 0"
    told = " ".join([*own.told, own.about, own.credit.data, own.credit.source, own.credit.licence, data.name])
    assert str(file.parent) not in told
    assert "MovieLens" not in told
    assert (data.levels, data.liked) == ((1, 2, 3, 4, 5), 4)
    assert [item.id for item in data.items] == [item.title for item in data.items]
    assert size(data) == count
    assert triples(data) == {(item, rating) for _, item, rating in table}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["user,item,rating", "userId,movie_id,stars", "UID,Product ID,Score", ""])
def test_every_form_of_csv_gives_the_same_data(file: Path, separator: str, header: str) -> None:
    plain = read(file, spell(rows())).data
    found = read(file, "\ufeff" + spell(rows(), header, separator).replace("\n", "\r\n")).data
    assert found.sha256 == plain.sha256


def test_columns_may_lie_anywhere_and_be_named_by_the_user(file: Path) -> None:
    plain = read(file, spell(rows())).data
    table = [["x", rating, item, f'"a, ""{user}"""', user] for user, item, rating in rows()]
    text = spell(table, "rating,note,sku,comment,who")
    asked = {"user": "who", "item": "sku", "rating": "note"}
    own = read(file, text, columns=asked)
    assert own.data.sha256 == plain.sha256
    assert own.told[0].startswith("my.csv (CSV with commas; user=who, item=sku, rating=note)")


KINDS = {
    "text": pa.string(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "large": pa.large_string(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [pa.int8(), pa.float32(), pa.decimal128(20, 1), pa.string()], ids=str)
def test_parquet_gives_the_same_data(tmp_path: Path, file: Path, kind: str, number: pa.DataType) -> None:
    plain = read(file, spell(rows())).data
    user, item, rating = zip(*rows(), strict=True)
    written = pa.array(map(str, rating)) if number == pa.string() else pa.array(rating, pa.int64()).cast(number)
    table = {"userId": pa.array(user).cast(KINDS[kind]), "movieId": pa.array(item).cast(KINDS[kind]), "rating": written}
    parquet.write_table(pa.table(table), tmp_path / "my.parquet")
    own = ratings.read(Asked(tmp_path / "my.parquet"))
    assert own.data.sha256 == plain.sha256
    assert own.told[0].startswith("my.parquet (Parquet; user=userId, item=movieId, rating=rating): 1,")


def test_whole_numbers_are_ids_in_parquet_even_as_floats_and_a_missing_one_is_a_bad_row(tmp_path: Path) -> None:
    table = [(float(user[1:]), int(item[1:]), rating) for user, item, rating in rows()]
    user, item, rating = zip(*table, (None, 3, 4), (5.0, None, 4), (5.0, 3, None), strict=True)
    parquet.write_table(pa.table({"user": user, "item": item, "rating": rating}), tmp_path / "my.parquet")
    own = ratings.read(Asked(tmp_path / "my.parquet"))
    assert {item.id for item in own.data.items} == {str(number) for number in range(ITEMS)}
    count = len(table)
    assert own.told[1:5] == (
        f"  3 of {count + 3:,} rows of my.parquet are bad: skipped",
        f"    my.parquet row {count + 1}: no user",
        f"    my.parquet row {count + 2}: no item",
        f"    my.parquet row {count + 3}: no rating",
    )


@pytest.mark.parametrize(
    ("column", "values"),
    [("user", pa.array([1.5])), ("item", pa.array([True])), ("rating", pa.array([[1]])), ("item", pa.array([[1]]))],
    ids=["half ids", "yes or no", "nested rating", "nested item"],
)
def test_a_parquet_column_of_another_kind_is_refused(tmp_path: Path, column: str, values: pa.Array) -> None:
    table = {"user": pa.array(["u"]), "item": pa.array(["i"]), "rating": pa.array([1])} | {column: values}
    parquet.write_table(pa.table(table), tmp_path / "my.parquet")
    with pytest.raises(DataError, match=f"the column of the {column} cannot be read: it "):
        ratings.read(Asked(tmp_path / "my.parquet"))


def test_ids_are_text_and_spaces_around_them_do_not_count(file: Path) -> None:
    table: Rows = [[user, item.replace("i", "0"), rating] for user, item, rating in rows() if isinstance(item, str)]
    table += [[f"u{user}", " 1 ", 5] for user in range(USERS)]
    found = {item.id for item in read(file, spell(table)).data.items}
    assert {"1", "01"} <= found
    assert " 1 " not in found


# Bad rows.

BAD = [
    ("u1,i1", "2 columns instead of 3"),
    ("u1,i1,4,5", "4 columns instead of 3"),
    (",i1,4", "no user"),
    ("u1, ,4", "no item"),
    ("u1,i1,", "no rating"),
    ("u1,i1,good", "rating 'good' is no finite number"),
    ('u1,i1,"4,5"', "rating '4,5' is no finite number: a decimal takes a point"),
    ("u1,i1,nan", "rating 'nan' is no finite number"),
    ("u1,i1,-inf", "rating '-inf' is no finite number"),
    ("u1,i1,1e999", "rating '1e999' is no finite number"),
    ("u1,i1,2e9", "rating '2e9' is beyond 1,000,000,000"),
    ("u1," + "i" * 65 + ",4", "the item's id is longer than 64 letters"),
    ('"u\n1",i1,4', "the user's id has a line break in it: is a quote left open?"),
]


@pytest.mark.parametrize(("row", "told"), BAD, ids=[told for _, told in BAD])
def test_a_bad_row_is_named_by_its_line_and_skipped(file: Path, row: str, told: str) -> None:
    lines = spell(rows()).splitlines()
    lines.insert(700, row)
    own = read(file, "\n".join(lines))
    taken = 1 + row.count("\n")
    bad = f"{taken} of {len(lines) - 2 + taken:,} lines of my.csv {'is' if taken == 1 else 'are'} bad"
    assert own.told[1:3] == (f"  {bad}: skipped", f"    my.csv line 701: {told}")
    assert own.data.sha256 == read(file, spell(rows())).data.sha256


def test_every_bad_row_is_counted_and_the_first_twenty_are_named(file: Path) -> None:
    lines = spell(rows()).splitlines()
    places = sorted(np.random.default_rng(0).permutation(np.arange(1, 1_200))[: 2 * len(BAD)].tolist())
    for number, place in enumerate(places):
        lines.insert(place, BAD[number % (len(BAD) - 1)][0])
    count = len(lines) - 1
    named = [f"my.csv line {place + 1}: {BAD[number % (len(BAD) - 1)][1]}" for number, place in enumerate(places)]
    own = read(file, "\n".join(lines), bad_rows=0.05)
    assert own.told[1] == f"  26 of {count:,} lines of my.csv are bad: skipped"
    assert [line.strip() for line in own.told[2:23]] == [*named[:20], "and 6 more"]
    assert own.data.sha256 == read(file, spell(rows())).data.sha256
    remedy = "Mend them, or say with --allow-bad-rows how many may be."
    assert refused(file, "\n".join(lines)).split("\n") == [
        f"26 of {count:,} lines of my.csv are bad; 1 % may be. {remedy}",
        *(f"  {line}" for line in named[:20]),
        "  and 6 more",
    ]


@pytest.mark.parametrize(("bad", "allowed"), [(12, True), (13, False)])
def test_one_bad_row_in_a_hundred_is_the_most(file: Path, bad: int, allowed: bool) -> None:
    text = spell([*rows()[: 1_250 - bad], *([["u", "i", "x"]] * bad)])
    if allowed:
        read(file, text)
    else:
        assert refused(file, text).startswith(f"{bad} of 1,250 lines of my.csv are bad; 1 % may be.")


def test_blank_lines_are_no_rows(file: Path) -> None:
    plain = read(file, spell(rows()))
    blank = read(file, "\n\n" + spell(rows()).replace("\n", "\n\n"))
    assert blank.data.sha256 == plain.data.sha256
    assert blank.told == plain.told


# Ratings that were given again.


def again(table: Rows, *more: Cell) -> Rows:
    """The same users and items, each rated 10 higher."""
    return [[user, item, rating + 10, *more] for user, item, rating in table if isinstance(rating, int)]


def ten_higher(table: Rows) -> set[tuple[Cell, Cell]]:
    return {(item, rating) for _, item, rating, *_ in again(table)}


def test_without_times_the_last_in_the_file_counts(file: Path) -> None:
    table = rows()
    own = read(file, spell([*again(table[:500]), *table, *again(table[:500])]))
    assert triples(own.data) == ten_higher(table[:500]) | {(item, rating) for _, item, rating in table[500:]}
    assert size(own.data) == len(table)
    told = "1,000 ratings of an item that its user rated again: the last by their order in the file counts"
    lines = ", ".join(str(2 + row) for row in range(20))
    assert own.told[1:3] == (f"  {told}", f"    left out: lines {lines} and 980 more")


@pytest.mark.parametrize(
    ("early", "late"),
    [
        ("5", "10"),
        ("1e9", "1000000001.5"),
        ("2020-01-02", "2020-01-10"),
        ("2020-01-01T12:00:00+03:00", "2020-01-01T10:00:00Z"),
        ("2020-01-01 09:59:59.5", "2020-01-01T10:00:00"),
        ("", "-7"),
        ("1577836799", "2020-01-01"),
    ],
)
def test_the_last_by_time_counts_wherever_it_stands(file: Path, early: str, late: str) -> None:
    table = rows()
    first, second = again(table, late), [[*row, early] for row in table]
    for both in ([*first, *second], [*second, *first]):
        own = read(file, spell(both, "user,item,rating,timestamp"))
        assert triples(own.data) == ten_higher(table)
        assert own.told[1].endswith("the last by time counts")
        start = 2 + len(table) * (both[0] is first[0])
        assert own.told[2].startswith(f"    left out: lines {start}, {start + 1}, ")


def test_of_equal_times_the_last_in_the_file_counts(file: Path) -> None:
    table = rows()
    first = [[*row, 100] for row in table]
    own = read(file, spell([*first, *again(table, 100)], "user,item,rating,timestamp"))
    assert triples(own.data) == ten_higher(table)


@pytest.mark.parametrize("times", [True, False])
def test_of_many_repeated_ratings_the_last_ones_count(file: Path, times: bool) -> None:
    rng = np.random.default_rng(1)
    user, item = rng.integers(USERS, size=4_000), rng.integers(ITEMS, size=4_000)
    rating, time = rng.integers(1, 6, size=4_000), rng.integers(5, size=4_000)
    table = np.column_stack((user, item, rating, *([time] if times else []))).tolist()
    own = read(file, spell(table, header="user,item,rating,timestamp" if times else "user,item,rating"))
    last: dict[tuple[int, int], tuple[int, int]] = {}
    for row in table:
        key, when = (row[0], row[1]), row[3] if times else 0
        if when >= last.get(key, (0, 0))[0]:
            last[key] = when, row[2]
    assert size(own.data) == len(last)
    told = f"{4_000 - len(last):,} ratings of an item that its user rated again"
    assert any(told in line for line in own.told)
    parts = (own.data.train, own.data.cells, own.data.foldin, own.data.targets)
    found = sorted(
        zip(np.concatenate([part.item for part in parts]), np.concatenate([part.rating for part in parts]), strict=True)
    )
    place = {known.id: number for number, known in enumerate(own.data.items)}
    assert found == sorted((place[str(item)], rating) for (_, item), (_, rating) in last.items())


@pytest.mark.parametrize("time", ["yesterday", "2020-13-01", "nan", "inf", "12:30"])
def test_a_time_that_is_none_makes_a_bad_row(file: Path, time: str) -> None:
    table: Rows = [[*row, 1_000 + place] for place, row in enumerate(rows())]
    own = read(file, spell([*table, ["u1", "i1", 4, time]], "user,item,rating,timestamp"))
    assert own.told[2] == (
        f"    my.csv line {len(table) + 2}: timestamp {time!r} is no finite number and no date of ISO 8601"
    )


def test_times_that_cannot_be_read_can_be_left_out(file: Path) -> None:
    text = spell([[*row, "20.04.2019"] for row in rows()], "user,item,rating,timestamp")
    assert "timestamp" in refused(file, text)
    own = read(file, text, columns={"timestamp": ""})
    assert own.told[0].startswith("my.csv (CSV with commas; user=user, item=item, rating=rating): ")
    assert own.told[1] == "  not used: timestamp"


def test_times_of_parquet_order_ratings(tmp_path: Path) -> None:
    table = rows()
    user, item, rating = zip(*again(table), *table, strict=True)
    time = [datetime(2021, 1, 1, tzinfo=UTC)] * len(table) + [datetime(2020, 1, 1, tzinfo=UTC)] * len(table)
    columns = {"user": user, "item": item, "rating": rating, "time": time}
    parquet.write_table(pa.table(columns), tmp_path / "my.parquet")
    assert triples(ratings.read(Asked(tmp_path / "my.parquet")).data) == ten_higher(table)


# Scales, end to end; the rules are in test_scale.py.


def test_without_ratings_every_row_is_liked(file: Path) -> None:
    for text, scale in ((spell([row[:2] for row in rows()], "user,item"), None), (spell(rows(values=(7,))), "likes")):
        own = read(file, text, scale=scale)
        assert (own.data.levels, own.data.liked) == ((0, 1), 1)
        assert {rating for _, rating in triples(own.data)} == {1}
        assert "no ratings: every row is a like, 1 on the scale 0..1; predicted ratings say nothing" in own.about


def test_a_column_that_may_be_the_rating_is_never_passed_over(file: Path) -> None:
    """Or whoever voted against something would be taught as one who likes it."""
    text = spell(rows(values=(0, 1)), "user,item,vote")
    words = "my.csv has no column for the rating, but also vote: say --columns rating=..., or --scale likes if every"
    assert refused(file, text).startswith(words)
    voted = read(file, text, columns={"rating": "vote"})
    assert {rating for _, rating in triples(voted.data)} == {0, 1}
    liked = read(file, text, scale="likes")
    assert "  not used: vote" in liked.told
    assert {rating for _, rating in triples(liked.data)} == {1}


def test_a_column_called_plays_is_one_of_counts(file: Path) -> None:
    own = read(file, spell(rows(values=(1, 2, 3, 4, 9)), "user,song,plays"))
    assert own.data.levels == (1, 2, 4, 8)
    assert {rating for _, rating in triples(own.data)} == {1, 2, 4, 8}


# What does not do.


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (spell([["u", "i", 1]] * 3), "my.csv holds 1 rating by 1 user of 1 item; the least are 1,000 ratings by 100 "),
        (spell(rows()[:900]), "my.csv holds 900 ratings by "),
        (spell([["u1", f"i{row}", 1 + row % 2] for row in range(2_000)]), "my.csv holds 2,000 ratings by 1 user of 2"),
        ("user,item,rating\n", "my.csv holds 0 ratings by 0 users of 0 items; the least are 1,000 ratings by 100"),
        (spell(rows(values=(4,))), "every rating is 4: two different ones are the least. --scale likes takes every"),
        (
            spell([*rows(values=(1, 2)), ["u1", "i1", 99]]),
            "no held-out user of my.csv likes an item that is held back ",
        ),
        ("a,b,c,d,e\n1,2,3,4,5\n", "my.csv begins with 'a', 'b', 'c', 'd', 'e', of which none is a known name"),
        ("kunde,artikel,note\n1,2,3\n", "my.csv begins with 'kunde', 'artikel', 'note': without a header the third"),
        ("user,movie,book,rating\n", "my.csv has movie and book, of which one is the item: say which with --columns "),
        ("user,when,rating\n", "my.csv has no column for the item; it has user, when, rating: say --columns item=..."),
    ],
)
def test_too_little_and_too_unclear_is_refused_with_what_would_do(file: Path, text: str, told: str) -> None:
    assert refused(file, text).startswith(told)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"columns": {"user": "who"}}, "my.csv has no column 'who' (--columns user=...); it has user, item, rating"),
        ({"columns": {"user": "item"}}, "my.csv has no column for the item"),
        ({"columns": {"user": "item", "item": "item"}}, "--columns names one column twice"),
        ({"liked": 6}, "--liked 6 does not lie on the scale 1..5"),
    ],
)
def test_words_of_the_user_that_do_not_fit_are_refused(file: Path, asked: dict[str, Any], told: str) -> None:
    assert refused(file, spell(rows()), **asked).startswith(told)


def test_a_scale_without_a_column_of_ratings_is_refused(file: Path) -> None:
    text = spell([row[:2] for row in rows()], "user,item")
    assert refused(file, text, scale="counts") == "--scale counts: my.csv has no column of ratings"


def test_more_items_than_a_training_step_can_hold_are_refused(file: Path) -> None:
    text = "user,item,rating\n" + "".join(f"u{row % 999},i{row},{1 + row % 20}\n" for row in range(100_001))
    assert refused(file, text).startswith("100,001 items: 100,000 are the most.")


@pytest.mark.parametrize("header", ["user,item,rating\n", ""])
@given(st.binary(max_size=60) | st.text(st.sampled_from('u1,;\t"\n\r.-e'), max_size=40).map(str.encode))
@example(b"u,i,1e-400\n")
@example(b"u,i,5,9999-12-31T23:59:59+00:00\n")
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_data_or_a_refusal(tmp_path_factory: pytest.TempPathFactory, header: str, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.csv"
    good = spell(rows()) if header else spell(rows(), header="")
    file.write_bytes(good.encode() + data)
    try:
        own = ratings.read(Asked(file, bad_rows=0.5))
    except DataError:
        return
    assert size(own.data) >= 1_000
