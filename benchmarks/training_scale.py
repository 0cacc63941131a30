"""`python -m benchmarks.training_scale RECIPE`: seconds and memory of training a recommender, by ratings. Linux only.

Each line of the table, which is Markdown, is a process of its own. Some learn from a copy of the recipe's data,
whose users come as many times as asked: after the first time each without a random tenth of the ratings, and with
another tenth of them moved by one level. One learns from a made-up file of ratings, read as a person's own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as arrow
from numpy.typing import NDArray

from training import recipe
from training.data.own.ratings import Asked
from training.data.own.ratings import read as read_own
from training.data.ratings import RatingData, Ratings
from training.graphs import Graphs

MOVED = 0.1
"""Share of a copied user's ratings that are left out, and of those that are moved by a level."""
RATINGS_OF_A_USER = 156
"""On average in the made-up file, where one user in six has fewer than 35 and one in six more than 260."""
MOST_USERS, MOST_ITEMS = 160_000, 60_000
HEAD = "| ratings | users | items | read s | prepare s | steps | steps s | export s | measure s | GiB read | GiB peak |"


def main() -> int:
    """Measure; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_scale", description="Training by ratings.")
    parser.add_argument("recipe", help="movies-rbm, or another that learns from ratings")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data-dir", type=Path, help="where its data are")
    source.add_argument("--synthetic", action="store_true", help="take their small made-up twin")
    parser.add_argument("--times", type=int, nargs="*", default=[1, 4, 16], help="of the users (default 1 4 16)")
    parser.add_argument(
        "--file", type=int, default=25_000_000, metavar="RATINGS", help="of the made-up file; 0 leaves it out"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting")
    parser.add_argument("--measure", action="store_true", help="measure each model too, as `training run` does")
    parser.add_argument("--one", help=argparse.SUPPRESS)  # what one line learns from
    options = parser.parse_args()
    if options.one:
        print(json.dumps(line(options)))
        return 0
    print(f"{options.recipe} {' '.join(options.set)}, {platform.machine()}, {os.cpu_count()} cores\n")
    print(HEAD)
    print("|---" * HEAD.count(" |") + "|", flush=True)
    failed = False
    for times in options.times:
        failed = not _told(str(times)) or failed
    if options.file:
        with tempfile.TemporaryDirectory() as folder:
            write(path := Path(folder) / "ratings.parquet", options.file)
            failed = not _told(str(path)) or failed
    return int(failed)


def _told(one: str) -> bool:
    """Print a line of the table; whether there is one."""
    command = [sys.executable, "-m", "benchmarks.training_scale", *sys.argv[1:], "--one", one]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        print(f"| {Path(one).name}: {last} |" + " |" * (HEAD.count(" |") - 1), flush=True)
        return False
    print("| " + " | ".join(json.loads(done.stdout)) + " |", flush=True)
    return True


def line(options: argparse.Namespace) -> list[str]:
    """Train and export; the cells of a line."""
    from training import export, loop

    found = recipe.find(options.recipe)
    settings = found.settings.changed(options.set)
    seconds = dict[str, float]()

    @contextmanager
    def timed(phase: str) -> Generator[None]:
        start = time.perf_counter()
        yield
        seconds[phase] = time.perf_counter() - start

    with timed("read"):
        if options.one.isdecimal():
            data = found.source.synthetic(0) if options.synthetic else found.source.load(options.data_dir)
            data = replace(data, train=replicated(data.train, data.levels, int(options.one)))
        else:
            data: RatingData = read_own(Asked(Path(options.one))).data
    after_reading = peak()
    with tempfile.TemporaryDirectory() as folder:
        with timed("prepare"):
            loop.seed(settings.seed, -1)
            learner = found.learner(settings, data)
        with timed("steps"):
            run = loop.train(learner, Path(folder), quiet=True)
    with timed("export"):
        graphs, _ = export.export(learner)
    if options.measure:
        with timed("measure"):
            found.evaluate(Graphs(graphs), data)
    return [
        f"{len(data.train.user):,}",
        f"{data.train.users:,}",
        f"{len(data.items):,}",
        f"{seconds['read']:.1f}",
        f"{seconds['prepare'] + run.prepared:.1f}",
        f"{run.step:,}",
        f"{seconds['steps'] - run.prepared:.1f}",
        f"{seconds['export']:.1f}",
        f"{seconds['measure']:.1f}" if options.measure else "",
        f"{after_reading:.2f}",
        f"{peak():.2f}",
    ]


def replicated(ratings: Ratings, levels: tuple[float, ...], times: int) -> Ratings:
    """The users of `ratings`, which are in their order, and `times` - 1 copies of each. See the module's docstring.

    The first rating of a user is never left out.
    """
    rng = np.random.default_rng(0)
    scale = np.array(levels, np.float32)
    place = np.searchsorted(scale, ratings.rating)
    first = np.concatenate(([True], ratings.user[1:] != ratings.user[:-1]))
    parts = [ratings]
    for copy in range(1, times):
        drawn = rng.random(len(first))
        step = np.where(drawn > 1 - MOVED, rng.choice((-1, 1), len(first)), 0)
        moved = scale[(place + step).clip(0, len(levels) - 1)]
        user = ratings.user + np.int32(copy * ratings.users)
        parts.append(Ratings(user, ratings.item, moved).take(first | (drawn >= MOVED)))
    columns = zip(*((part.user, part.item, part.rating) for part in parts), strict=True)
    return Ratings(*map(np.concatenate, columns))


def write(path: Path, ratings: int) -> None:
    """Write a Parquet file with about so many ratings in half stars, no two of an item by one user.

    A user's number of ratings is log-normal, an item is rated with a probability that falls by a power law.
    """
    rng = np.random.default_rng(0)
    users = min(MOST_USERS, max(100, ratings // RATINGS_OF_A_USER))
    items = min(MOST_ITEMS, max(100, ratings // 40))
    chance = (np.arange(items) + 20.0) ** -0.9
    ids, taste = rng.permutation(items), rng.normal(3.5, 0.5, items)
    share = rng.lognormal(0, 1, users)
    expected = np.minimum(ratings * share / share.sum(), items / 4)
    schema = pa.schema([("userId", pa.int32()), ("movieId", pa.int32()), ("rating", pa.float32())])
    with arrow.ParquetWriter(path, schema) as file:
        for start in range(0, users, 1_000):
            user, item = _pairs(rng, expected[start : start + 1_000], chance.cumsum() / chance.sum())
            stars = np.rint(2 * (taste[item] + rng.normal(0, 1, len(item)))).clip(1, 10) / 2
            table = [(start + user).astype(np.int32), ids[item].astype(np.int32), stars.astype(np.float32)]
            file.write_table(pa.table(table, schema=schema))


def _pairs(
    rng: np.random.Generator, expected: NDArray[np.float64], cumulated: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Different pairs of user and item, of each user about as many as expected."""
    count = np.maximum(10, expected).astype(np.int64)
    key = np.empty(0, np.int64)
    while (missing := (count - np.bincount(key // len(cumulated), minlength=len(count))).clip(0)).any():
        user = np.repeat(np.arange(len(count)), missing)
        item = np.searchsorted(cumulated, rng.random(len(user))).clip(max=len(cumulated) - 1)
        key = np.unique(np.concatenate((key, user * len(cumulated) + item)))
    return np.divmod(key, len(cumulated))


def peak() -> float:
    """The most memory that this process has held so far, in GiB."""
    status: dict[str, Any] = dict(row.split(":", 1) for row in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 2**20


if __name__ == "__main__":
    sys.exit(main())
