import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from models.items import Item
from training.data import movielens
from training.data.ratings import RatingData, Ratings
from training.data.source import DataError
from training.metrics import ranking, raters

MOVIES = """1::Toy Story (1995)::Animation|Comedy
2::Postman, The (Il Postino) (1994)::Drama
3::Untitled::Drama
10::Caf\xe9 (1::2)
"""


def columns(ratings: Ratings) -> list[tuple[int, int, float]]:
    return list(zip(ratings.user.tolist(), ratings.item.tolist(), ratings.rating.tolist(), strict=True))


def table(path: Path, *rows: tuple[int, int, int]) -> None:
    kinds = {"user": pa.uint16(), "item": pa.uint16(), "rating": pa.uint8()}
    values = zip(kinds.items(), zip(*rows, strict=True), strict=True)
    parquet.write_table(pa.table({name: pa.array(column, kind) for (name, kind), column in values}), path)


@pytest.fixture
def fixed(tmp_path: Path) -> Path:
    """The fixed split in miniature: training users 7 and 9, unseen users 3 and 5, film 40 without a training rating."""
    table(tmp_path / "train.parquet", (7, 10, 5), (7, 20, 2), (9, 10, 4), (9, 30, 3))
    table(tmp_path / "validation_cells.parquet", (9, 20, 4), (7, 40, 1), (8, 10, 5))
    table(tmp_path / "validation_users_foldin.parquet", (5, 30, 5), (3, 40, 4), (3, 10, 2))
    table(tmp_path / "validation_users_targets.parquet", (3, 20, 4), (5, 40, 5), (4, 10, 5))
    (tmp_path / "items.csv").write_text(
        "item,title,year,genres\n10,Ten,1990,Drama|War\n20,Twenty,,Comedy\n"
        '30,"Thirty, Too",2000,Drama\n40,Forty,1,War\n'
    )
    return tmp_path


def published(folder: Path, ratings: str, movies: str = MOVIES) -> Path:
    (folder / "ratings.dat").write_text(ratings)
    (folder / "movies.dat").write_text(movies, encoding="latin-1")
    return folder


def many() -> str:
    """59 users who rated the same three films."""
    pairs = [(user, film) for user in range(1, 60) for film in range(1, 4)]
    return "".join(f"{user}::{film}::{1 + (user + film) % 5}::97830{user}\n" for user, film in pairs)


def test_the_fixed_split_is_read_as_it_is(fixed: Path) -> None:
    data = movielens.read(fixed)
    assert data.items == (
        Item("10", "Ten", 1.0, {"year": 1990.0, "genres": ("Drama", "War")}),
        Item("20", "Twenty", 0.0, {"year": None, "genres": ("Comedy",)}),
        Item("30", "Thirty, Too", 0.0, {"year": 2000.0, "genres": ("Drama",)}),
    )
    assert columns(data.train) == [(0, 0, 5), (0, 1, 2), (1, 0, 4), (1, 2, 3)]
    assert (data.name, data.levels, data.liked) == ("MovieLens 1M, fixed split", (1, 2, 3, 4, 5), 4)


def test_an_item_without_a_training_rating_is_minus_one(fixed: Path) -> None:
    data = movielens.read(fixed)
    assert columns(data.cells) == [(1, 1, 4), (0, -1, 1)]
    assert columns(data.foldin) == [(1, 2, 5), (0, -1, 4), (0, 0, 2)]
    assert columns(data.targets) == [(0, 1, 4), (1, -1, 5)]


def test_rows_of_a_user_whose_history_is_not_there_are_left_out(fixed: Path) -> None:
    data = movielens.read(fixed)  # user 8 has a cell and no training rating, user 4 a target and no fold-in
    assert len(data.cells.user) == 2
    assert len(data.targets.user) == 2
    assert data.train.users == data.foldin.users == 2


@pytest.mark.parametrize("part", [*movielens.SPLIT, "items"])
def test_a_missing_part_is_named(fixed: Path, part: str) -> None:
    file = fixed / f"{part}.{'csv' if part == 'items' else 'parquet'}"
    file.unlink()
    with pytest.raises(DataError) as caught:
        movielens.SOURCE.load(fixed)
    assert str(caught.value).startswith(f"{file} is not there. The folder must hold ratings.dat and movies.dat")
    assert "MD5 of the zip c4d9eecfca2ab87c1945afe126590906" in str(caught.value)
    assert movielens.SOURCE.credit.licence in str(caught.value)


@pytest.mark.parametrize("part", movielens.SPLIT)
def test_a_damaged_part_is_named(fixed: Path, part: str) -> None:
    (fixed / f"{part}.parquet").write_bytes((fixed / f"{part}.parquet").read_bytes()[:-9])
    with pytest.raises(DataError, match=rf"{part}\.parquet cannot be read: "):
        movielens.read(fixed)


def test_a_parquet_file_without_the_columns_is_refused(fixed: Path) -> None:
    parquet.write_table(pa.table({"user": [1], "film": [2], "rating": [3]}), fixed / "train.parquet")
    with pytest.raises(DataError, match=r"train\.parquet cannot be read: "):
        movielens.read(fixed)


def test_the_published_form_is_read_with_titles_and_years(tmp_path: Path) -> None:
    data = movielens.read(published(tmp_path, many()))
    assert [(item.id, item.title, item.attributes) for item in data.items] == [
        ("1", "Toy Story", {"year": 1995.0, "genres": ("Animation", "Comedy")}),
        ("2", "Postman, The (Il Postino)", {"year": 1994.0, "genres": ("Drama",)}),
        ("3", "Untitled", {"year": None, "genres": ("Drama",)}),
    ]
    assert data.name == "MovieLens 1M, split of this project"
    rows = sum(len(part.user) for part in (data.train, data.cells, data.foldin, data.targets))
    assert rows == 59 * 3
    assert data.foldin.users <= 59 // 12


def test_popularity_is_the_share_of_training_users_who_liked_it(tmp_path: Path) -> None:
    data = movielens.read(published(tmp_path, many()))
    for place, item in enumerate(data.items):
        liked = (data.train.item == place) & (data.train.rating >= 4)
        assert item.popularity == pytest.approx(liked.sum() / data.train.users, abs=1e-6)
        assert item.popularity > 0


@pytest.mark.parametrize(
    ("ratings", "movies"),
    [
        ("1::2\n1::2::3::4\n", MOVIES),
        ("a::b::c::d\n", MOVIES),
        (many(), "1::Toy Story (1995)\n"),
        (many(), "x::y::z\n"),
    ],
    ids=["short row", "no numbers", "short film", "no film number"],
)
def test_what_is_not_the_published_form_is_refused(tmp_path: Path, ratings: str, movies: str) -> None:
    with pytest.raises(DataError, match=r"ratings\.dat or movies\.dat in .* cannot be read"):
        movielens.read(published(tmp_path, ratings, movies))


def test_a_rated_film_that_the_table_lacks_is_named(tmp_path: Path) -> None:
    published(tmp_path, many() + "1::99::5::9783001\n")
    with pytest.raises(DataError, match="film 99 has ratings, but no row in the table of films"):
        movielens.read(tmp_path)


def test_ratings_without_the_films_are_missing_the_films(tmp_path: Path) -> None:
    published(tmp_path, many())
    (tmp_path / "movies.dat").unlink()
    with pytest.raises(DataError, match=r"movies\.dat is not there"):
        movielens.SOURCE.load(tmp_path)


def test_the_twin_is_the_same_for_a_seed_and_has_tastes() -> None:
    first, again, other = (movielens.synthetic(seed) for seed in (3, 3, 4))
    assert first.items == again.items
    for part in ("train", "cells", "foldin", "targets"):
        assert columns(getattr(first, part)) == columns(getattr(again, part)) != columns(getattr(other, part))
    assert first.sha256 == again.sha256 != other.sha256
    genre = np.array([item.attributes["genres"] for item in first.items])[:, 0]
    for user in range(10):
        mine = genre[first.train.item[first.train.user == user]]
        _, counts = np.unique(mine, return_counts=True)
        assert counts.max() > len(mine) / 2, "a user rates mostly films of one taste"


# The real ratings, where they are.

FOLDER = Path(os.environ.get("HARMONIUM_DATA") or Path(__file__).parents[4] / "shared" / "data")


@pytest.fixture(scope="module")
def real() -> RatingData:
    if not (FOLDER / "movielens" / "train.parquet").is_file():
        pytest.skip(f"no MovieLens in {FOLDER}: set HARMONIUM_DATA to a folder that holds movielens/")
    return movielens.SOURCE.load(FOLDER)


def test_the_real_split_has_its_published_size(real: RatingData) -> None:
    assert [len(part.user) for part in (real.train, real.cells, real.foldin, real.targets)] == [
        749_098,
        41_616,
        66_723,
        16_686,
    ]
    assert (len(real.items), real.train.users, real.foldin.users) == (3685, 5040, 500)
    assert np.bincount(real.train.rating.astype(int)).tolist() == [0, 42839, 81346, 196136, 260542, 168235]
    assert (real.targets.item < 0).sum() == 1


def test_popularity_ranks_the_real_films_as_well_as_it_is_known_to(real: RatingData) -> None:
    scores = np.tile([item.popularity for item in real.items], (real.foldin.users, 1))
    gain, recall, users = ranking.rank_users(scores, real.foldin, real.targets, real.liked)
    assert users == 499
    assert round(gain.value, 4) == 0.1760
    assert 0.1858 <= round(recall.value, 4) <= 0.1861


@pytest.mark.parametrize(
    ("history", "cells", "low", "high"),
    [("train", "cells", 0.9053, 0.9059), ("foldin", "targets", 0.8948, 0.8949)],
)
def test_biases_predict_the_real_ratings_as_well_as_they_are_known_to(
    real: RatingData, history: str, cells: str, low: float, high: float
) -> None:
    hidden = getattr(real, cells)
    predicted = raters.biases(real.train, len(real.items))(getattr(real, history), hidden)
    assert low <= round(ranking.rmse(predicted, hidden, 1, 5).value, 4) <= high
