"""MovieLens 1M: the fixed split as Parquet files, or the published `ratings.dat` and `movies.dat`."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from models.items import Kind
from models.manifest import Credit
from training.data.ratings import Parts, RatingData, Ratings, assemble, split
from training.data.source import DataError, Source, digest

LEVELS = (1.0, 2.0, 3.0, 4.0, 5.0)
LIKED = 4.0
ATTRIBUTES: dict[str, Kind] = {"year": "number", "genres": "list"}
SPLIT = ("train", "validation_cells", "validation_users_foldin", "validation_users_targets")


def read(folder: Path) -> RatingData:
    """Read either form of the data. The published files are split by the same rules with a seed of this project.

    Raises:
        DataError: a file cannot be read.
        FileNotFoundError: neither form is there.
    """
    if (folder / "ratings.dat").is_file():
        raw = [(folder / "ratings.dat").read_bytes(), (folder / "movies.dat").read_bytes()]
        try:
            rows = np.array([line.split(b"::")[:3] for line in raw[0].splitlines()], dtype=np.float64)
            table = [line.decode("latin-1").split("::") for line in raw[1].splitlines()]
            films = {int(number): _film(title, genres) for number, title, genres in table}
        except ValueError as error:
            raise DataError(f"ratings.dat or movies.dat in {folder} cannot be read: {error}") from error
        return _assemble(split(_columns(rows), seed=0), films, "MovieLens 1M, split of this project", digest(raw))
    raw = [(folder / f"{part}.parquet").read_bytes() for part in SPLIT]
    raw.append((folder / "items.csv").read_bytes())
    films = {}
    for row in csv.DictReader(io.StringIO(raw[-1].decode())):
        year = float(row["year"]) if row["year"] else None
        films[int(row["item"])] = (row["title"], {"year": year, "genres": tuple(row["genres"].split("|"))})
    parts = (_parquet(part, data) for part, data in zip(SPLIT, raw, strict=False))
    return _assemble(Parts(*parts), films, "MovieLens 1M, fixed split", digest(raw[:1]))


def synthetic(seed: int) -> RatingData:
    """Users and films of three tastes: a user rates mostly films of the own taste, and likes them."""
    rng = np.random.default_rng(seed)
    users, films = 240, 60
    taste_of_user, taste_of_film = rng.integers(3, size=users), rng.integers(3, size=films)
    same = taste_of_user[:, None] == taste_of_film[None]
    user, film = np.nonzero(rng.random((users, films)) < np.where(same, 0.6, 0.1))
    rating = np.clip(np.round(rng.normal(np.where(same[user, film], 4.2, 2.5), 0.7)), 1, 5)
    rows = np.column_stack((user + 1, film + 1, rating)).astype(np.float64)
    genres = ("Comedy", "Drama", "Horror")
    table = {
        number + 1: (f"Film {number + 1}", {"year": 1950.0 + number, "genres": (genres[taste],)})
        for number, taste in enumerate(taste_of_film.tolist())
    }
    return _assemble(split(_columns(rows), seed), table, "synthetic", digest([rows.tobytes()]))


def _assemble(parts: Parts, films: dict[int, tuple[str, dict[str, Any]]], name: str, sha256: str) -> RatingData:
    def entry(number: int) -> tuple[str, str, dict[str, Any]]:
        if number not in films:
            raise DataError(f"film {number} has ratings, but no row in the table of films")
        return str(number), *films[number]

    return assemble(parts, entry, ATTRIBUTES, LEVELS, LIKED, name, sha256)


def _columns(rows: NDArray[np.float64]) -> Ratings:
    """Rows [R,3] of user id, item id, rating."""
    return Ratings(rows[:, 0].astype(np.int32), rows[:, 1].astype(np.int32), rows[:, 2].astype(np.float32))


def _parquet(part: str, data: bytes) -> Ratings:
    try:
        table = parquet.read_table(io.BytesIO(data), columns=["user", "item", "rating"])
    except Exception as error:  # pyarrow raises many kinds for a broken file
        raise DataError(f"{part}.parquet cannot be read: {error}") from error
    return _columns(np.column_stack([column.to_numpy() for column in table.columns]).astype(np.float64))


def _film(title: str, genres: str) -> tuple[str, dict[str, Any]]:
    """`Toy Story (1995)`, `Animation|Comedy` as the published file has them."""
    found = re.fullmatch(r"(.*) \((\d{4})\)", title)
    year = float(found[2]) if found else None
    return found[1] if found else title, {"year": year, "genres": tuple(genres.split("|"))}


SOURCE = Source(
    name="movielens",
    credit=Credit(
        data="MovieLens 1M, 1,000,209 ratings of 3,706 films by 6,040 users, GroupLens Research, 2003",
        source="https://grouplens.org/datasets/movielens/1m/",
        licence="The weights and the item table: research and non-commercial use. The ratings themselves: the same, "
        "not to be redistributed, and nobody may claim an endorsement by the University of Minnesota or GroupLens.",
        citation="Harper, Konstan: The MovieLens Datasets: History and Context. ACM TiiS 5, 4, Article 19, 2015. "
        "https://doi.org/10.1145/2827872",
    ),
    files="ratings.dat and movies.dat of ml-1m.zip (MD5 of the zip c4d9eecfca2ab87c1945afe126590906), "
    "or the fixed split as train.parquet, validation_*.parquet and items.csv.",
    read=read,
    synthetic=synthetic,
    own="ratings",
)
