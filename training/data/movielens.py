"""MovieLens 1M: the fixed split as Parquet files, or the published `ratings.dat` and `movies.dat`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from models.items import Item, Kind
from models.manifest import Credit
from training.data.source import DataError, Source, digest

LEVELS = (1.0, 2.0, 3.0, 4.0, 5.0)
LIKED = 4.0
ATTRIBUTES: dict[str, Kind] = {"year": "number", "genres": "list"}
SPLIT = ("train", "validation_cells", "validation_users_foldin", "validation_users_targets")


@dataclass(frozen=True)
class Ratings:
    """Triples as columns [R]. Users count from 0; an item is its place in the items, -1 if it is none of them."""

    user: NDArray[np.int64]
    item: NDArray[np.int64]
    rating: NDArray[np.float32]

    @property
    def users(self) -> int:
        return int(self.user.max(initial=-1)) + 1


@dataclass(frozen=True)
class RatingData:
    """Ratings split for ranking (users that training never saw) and for rating (hidden cells of training users).

    `cells` bear the users of `train`, `targets` those of `foldin`. Items are those with a
    training rating.
    """

    items: tuple[Item, ...]
    attributes: Mapping[str, Kind]
    levels: tuple[float, ...]
    liked: float
    train: Ratings
    cells: Ratings
    foldin: Ratings
    targets: Ratings
    name: str
    sha256: str


Triples = NDArray[np.float64]
"""Rows of user id, item id, rating."""


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
        return _assemble(split(rows, seed=0), films, "MovieLens 1M, split of this project", digest(raw))
    raw = [(folder / f"{part}.parquet").read_bytes() for part in SPLIT]
    raw.append((folder / "items.csv").read_bytes())
    films = {}
    for row in csv.DictReader(io.StringIO(raw[-1].decode())):
        year = float(row["year"]) if row["year"] else None
        films[int(row["item"])] = (row["title"], {"year": year, "genres": tuple(row["genres"].split("|"))})
    parts = {part: _parquet(part, data) for part, data in zip(SPLIT, raw, strict=False)}
    return _assemble(parts, films, "MovieLens 1M, fixed split", digest(raw[:1]))


def split(rows: Triples, seed: int) -> dict[str, Triples]:
    """A twelfth of the users held out, a fifth of their ratings as targets; a tenth of the other cells hidden."""
    rng = np.random.default_rng(seed)
    users = rng.permutation(np.unique(rows[:, 0]))
    unseen = np.isin(rows[:, 0], users[: max(1, len(users) // 12)])
    drawn = rng.random(len(rows))
    return {
        "train": rows[~unseen & (drawn >= 0.1)],
        "validation_cells": rows[~unseen & (drawn < 0.1)],
        "validation_users_foldin": rows[unseen & (drawn >= 0.2)],
        "validation_users_targets": rows[unseen & (drawn < 0.2)],
    }


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
    return _assemble(split(rows, seed), table, "synthetic", digest([rows.tobytes()]))


def _assemble(
    parts: dict[str, Triples], films: dict[int, tuple[str, dict[str, Any]]], name: str, sha256: str
) -> RatingData:
    train = parts["train"]
    ids = np.unique(train[:, 1].astype(np.int64))
    liked = np.bincount(np.searchsorted(ids, train[:, 1]), weights=train[:, 2] >= LIKED, minlength=len(ids))
    share = liked / len(np.unique(train[:, 0]))
    items = tuple(
        Item(str(number), films[number][0], round(float(part), 6), films[number][1])
        for number, part in zip(ids.tolist(), share, strict=True)
    )

    def columns(rows: Triples, users: NDArray[Any]) -> Ratings:
        place = np.searchsorted(ids, rows[:, 1]).clip(max=len(ids) - 1)
        place = np.where(ids[place] == rows[:, 1], place, -1)
        return Ratings(np.searchsorted(users, rows[:, 0]), place, rows[:, 2].astype(np.float32))

    seen, unseen = np.unique(train[:, 0]), np.unique(parts["validation_users_foldin"][:, 0])
    hidden, targets = parts["validation_cells"], parts["validation_users_targets"]
    return RatingData(
        items, ATTRIBUTES, LEVELS, LIKED,
        columns(train, seen),
        columns(hidden[np.isin(hidden[:, 0], seen)], seen),
        columns(parts["validation_users_foldin"], unseen),
        columns(targets[np.isin(targets[:, 0], unseen)], unseen),
        name, sha256,
    )  # fmt: skip


def _parquet(part: str, data: bytes) -> Triples:
    try:
        table = parquet.read_table(io.BytesIO(data), columns=["user", "item", "rating"])
    except Exception as error:  # pyarrow raises many kinds for a broken file
        raise DataError(f"{part}.parquet cannot be read: {error}") from error
    return np.column_stack([column.to_numpy() for column in table.columns]).astype(np.float64)


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
)
