import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest

from benchmarks.training_scale import replicated, write
from tests.processes import ROOT, environment
from training.data import movielens
from training.data.own.ratings import Asked, read
from training.data.ratings import Ratings


def test_users_come_several_times_and_never_quite_the_same() -> None:
    data = movielens.synthetic(0)
    train, levels = data.train, data.levels
    found = replicated(train, levels, 5)
    assert found.users == 5 * train.users
    assert (np.diff(found.user) >= 0).all()
    original = {(user, item): rating for user, item, rating in zip(*_columns(train), strict=True)}
    copies = [dict[tuple[int, int], float]() for _ in range(5)]
    for user, item, rating in zip(*_columns(found), strict=True):
        copies[user // train.users][user % train.users, item] = rating
    assert copies[0] == original
    for copy in copies[1:]:
        assert copy.keys() < original.keys()
        assert {user for user, _ in copy} == {user for user, _ in original}, "nobody is left without a rating"
        moved = [abs(rating - original[key]) for key, rating in copy.items() if rating != original[key]]
        assert set(moved) == {1.0}
        assert len(copy) == pytest.approx(0.9 * len(original), rel=0.03)
        assert 0.05 * len(original) < len(moved) < 0.1 * len(original), "at an end of the scale some stay"
    assert len({frozenset(copy.items()) for copy in copies}) == 5


def test_the_made_up_file_holds_about_as_many_different_ratings_as_were_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "ratings.parquet", 40_000)
    table = parquet.read_table(tmp_path / "ratings.parquet").to_pydict()
    pairs = set(zip(table["userId"], table["movieId"], strict=True))
    assert len(pairs) == len(table["rating"])
    assert 30_000 < len(pairs) < 45_000
    assert set(table["rating"]) == {step / 2 for step in range(1, 11)}
    often = np.sort(np.bincount(table["movieId"]))
    assert often[-1] > 5 * np.median(often) > 0


def test_every_line_is_trained_and_exported(tmp_path: Path) -> None:
    done = measure(tmp_path, "movies-autorec", "--synthetic", "--times", "2", "--file", "40000", "--measure")
    assert done.returncode == 0, done.stdout + done.stderr
    train = movielens.synthetic(0).train
    counts = r"\| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| [\d.]+ \| [\d.]+ \| 2 \| [\d.]+ \| [\d.]+ \| [\d.]+ "
    rows = re.findall(f"^{counts}\\| ([\\d.]+) \\| ([\\d.]+) \\|$", done.stdout, re.M)
    twice, file = [[float(cell.replace(",", "")) for cell in row] for row in rows]
    assert twice[:3] == [len(replicated(train, (1, 2, 3, 4, 5), 2).user), 2 * train.users, 60]
    write(tmp_path / "ratings.parquet", 40_000)
    own = read(Asked(tmp_path / "ratings.parquet")).data
    assert file[:3] == [len(own.train.user), own.train.users, len(own.items)]
    assert all(0 < read <= peak for *_, read, peak in (twice, file))


def test_a_line_that_fails_is_told_and_is_a_failure(tmp_path: Path) -> None:
    done = measure(tmp_path, "movies-autorec", "--data-dir", str(tmp_path), "--times", "1", "--file", "0")
    assert done.returncode == 1
    assert "| 1: " in done.stdout


def measure(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.training_scale", *arguments, "--set", "steps=2"],
        env=environment(home, OMP_NUM_THREADS="1"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


def _columns(ratings: Ratings) -> tuple[list[int], list[int], list[float]]:
    return ratings.user.tolist(), ratings.item.tolist(), ratings.rating.tolist()
