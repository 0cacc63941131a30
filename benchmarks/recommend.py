"""`python -m benchmarks.recommend`: how long a recommender's calls take over HTTP, and how much memory. Linux only.

A service is started for it, with the models of HARMONIUM_MODELS; it is asked over one connection, one call at a
time. Prints tables in Markdown.
"""

import argparse
import itertools
import json
import platform
import statistics
import sys
import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.served import Served, serving

RATINGS = 20, 200, 2000, 5000
"""Ratings of one user. More than the catalogue has items are told twice; then the last counts."""
KINDS: dict[str, dict[str, Any]] = {"plain": {}, "with reasons": {"reasons": True}, "diversity 0.3": {"diversity": 0.3}}
USERS = 1, 16, 256
"""Users in one call."""
FEW = 20, 200
"""Their ratings."""
DIFFERENT = 8
"""Calls of each kind that are asked in turn."""
FEWEST = 3
"""Times that a kind of call is repeated at least."""


class Caller:
    """Makes calls of users at random, drawn from a seed."""

    def __init__(self, served: Served, model: str, seed: int) -> None:
        self._served, self._model = served, model
        self._ids = served.catalogue(model)
        task = served.recommender(model)
        self._levels = [task["rating_low"], (task["rating_low"] + task["rating_high"]) / 2, task["rating_high"]]
        self._draw = np.random.default_rng(seed)

    def user(self, ratings: int) -> dict[str, Any]:
        """Ratings of different items, as far as there are any."""
        order = np.resize(self._draw.permutation(len(self._ids)), ratings).tolist()
        levels = self._draw.choice(self._levels, ratings).tolist()
        told = zip(order, levels, strict=True)
        return {"ratings": [{"item": self._ids[item], "rating": level} for item, level in told]}

    def seconds(self, users: int, ratings: int, least: float, **fields: Any) -> list[float]:
        """How long calls take; they are repeated for `least` seconds, after one that does not count."""
        calls = [
            json.dumps(
                {"model": self._model, "users": [self.user(ratings) for _ in range(users)], "include_rated": True}
                | fields  # whoever rated everything gets a list too
            ).encode()
            for _ in range(DIFFERENT)
        ]
        self._served.send("/v1/recommend", calls[-1])
        spent: list[float] = []
        for call in itertools.cycle(calls):
            if len(spent) >= FEWEST and sum(spent) >= least:
                return spent
            start = time.perf_counter()
            self._served.send("/v1/recommend", call)
            spent.append(time.perf_counter() - start)
        raise AssertionError("a cycle ends")


def main() -> int:
    """Measure; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recommend", description="Calls of a recommender.")
    parser.add_argument("--model", default="movies-rbm", help="the recommender (default movies-rbm)")
    parser.add_argument("--seconds", type=float, default=2, help="for which each call is repeated (default 2)")
    parser.add_argument("--ratings", type=int, nargs="+", default=RATINGS, help="of one user (default: 20 to 5000)")
    parser.add_argument("--users", type=int, nargs="+", default=USERS, help="in one call (default 1 16 256)")
    parser.add_argument("--seed", type=int, default=0, help="of the histories (default 0)")
    options = parser.parse_args()
    with serving(max_reason_rows=max(options.ratings)) as served:
        rest = served.resident()
        caller = Caller(served, options.model, options.seed)
        print(f"{options.model} on {platform.machine()}, one process, one call at a time, {rest:.0f} MB at rest\n")
        print("Milliseconds of a call for one user, ten items: median, and 95th percentile of the calls made. MB: the")
        print("most memory that the process took meanwhile, above what it takes at rest.\n")
        print("| ratings |" + "".join(f" {kind} | p95 | calls | MB |" for kind in KINDS))
        print("|---|" + "---|---|---|---|" * len(KINDS))
        for ratings in options.ratings:
            cells: list[str] = []
            for fields in KINDS.values():
                served.forget_peak()
                spent = caller.seconds(1, ratings, options.seconds, **fields)
                cells.append(f"{_milliseconds(spent)} | {len(spent)} | {max(0, served.peak() - rest):.0f}")
            print(f"| {ratings} | {' | '.join(cells)} |", flush=True)
        print("\nUsers a second, ten items each.\n")
        print("| users in a call |" + "".join(f" {ratings} ratings each |" for ratings in FEW))
        print("|---|" + "---|" * len(FEW))
        for users in options.users:
            speeds = [users / statistics.median(caller.seconds(users, each, options.seconds)) for each in FEW]
            print(f"| {users} | {_joined(speeds)} |", flush=True)
    return 0


def _milliseconds(spent: list[float]) -> str:
    return f"{1000 * statistics.median(spent):,.1f} | {1000 * np.quantile(spent, 0.95):,.1f}"


def _joined(speeds: Iterable[float]) -> str:
    return " | ".join(f"{speed:,.0f}" for speed in speeds)


if __name__ == "__main__":
    sys.exit(main())
