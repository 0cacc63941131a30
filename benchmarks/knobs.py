"""`python -m benchmarks.knobs FOLDER`: what diversity and novelty cost, for users who were not trained on.

FOLDER holds `validation_users_foldin.parquet` and `validation_users_targets.parquet`, each with the columns user, item
and rating: what a service with the models of HARMONIUM_MODELS is told over HTTP, and what its lists are judged by. An
item is relevant that was rated as high as the model's "liked" value. Users without one are left out. Prints tables in
Markdown: NDCG@10 with its difference to the list by score, paired by user, and their standard errors; the mean
likeness of two of the ten; and the mean share of training users who liked an item of the ten.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from benchmarks.served import Served, serving
from models.store import Store, verify
from service import settings as configuration
from service.metrics import Metrics
from service.runtime.clock import Clock
from service.runtime.model import Model

LISTED = 10
SETTINGS = 0.1, 0.3, 0.5, 1
USERS = 50
"""Users in one call."""
DISCOUNT = 1 / np.log2(np.arange(2, LISTED + 2))

Ratings = dict[int, dict[str, float]]
"""By user and item."""


def main() -> int:
    """Measure; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.knobs", description="The price of diversity and novelty."
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="with the validation users' ratings as Parquet")
    parser.add_argument("--model", default="movies-rbm", help="the recommender (default movies-rbm)")
    options = parser.parse_args()
    told = read(options.folder / "validation_users_foldin.parquet")
    targets = read(options.folder / "validation_users_targets.parquet")
    with serving() as served:
        liked = served.recommender(options.model)["liked"]
        relevant = {
            user: found for user in told if (found := {item for item, r in targets.get(user, {}).items() if r >= liked})
        }
        known = Known(options.model, served.get(f"/v1/models/{options.model}")["version"])
        plain = ndcg(lists(served, options.model, told, relevant), relevant)
        for knob in ("diversity", "novelty"):
            print(f"| {knob} | NDCG@{LISTED} | minus {knob} 0 | likeness of two | liked by |\n|---|---|---|---|---|")
            for value in (0, *SETTINGS):
                found = lists(served, options.model, told, relevant, **{knob: value})
                gains = ndcg(found, relevant)
                alike = np.mean([known.likeness(items) for items in found])
                share = np.mean([known.popularity(item) for items in found for item in items])
                print(f"| {value} | {mean(gains)} | {mean(gains - plain)} | {alike:.3f} | {share:.3f} |", flush=True)
            print()
    print(f"{options.model}, {len(relevant)} users of {options.folder}")
    return 0


def read(path: Path) -> Ratings:
    """Ratings by user and item; ids of items as text."""
    columns = parquet.read_table(path, columns=["user", "item", "rating"]).to_pydict()
    ratings: Ratings = {}
    for user, item, rating in zip(columns["user"], columns["item"], columns["rating"], strict=True):
        ratings.setdefault(user, {})[str(item)] = rating
    return ratings


def lists(served: Served, model: str, told: Ratings, users: Mapping[int, object], **fields: float) -> list[list[str]]:
    """The items that each of the users gets."""
    bodies = [{"ratings": [{"item": item, "rating": r} for item, r in told[user].items()]} for user in users]
    found: list[list[str]] = []
    for start in range(0, len(bodies), USERS):
        body: dict[str, Any] = {"model": model, "users": bodies[start : start + USERS], "count": LISTED, **fields}
        answer = served.post("/v1/recommend", body)
        found += [[item["item"] for item in user["items"]] for user in answer["users"]]
    return found


def ndcg(found: Sequence[Sequence[str]], relevant: Mapping[int, set[str]]) -> NDArray[np.float64]:
    """NDCG@10 of each user: gain 1 for a relevant item, over the best that could be reached."""
    gains: list[float] = []
    for items, wanted in zip(found, relevant.values(), strict=True):
        hits = np.array([item in wanted for item in items])
        gains.append((hits @ DISCOUNT[: len(hits)]) / DISCOUNT[: min(LISTED, len(wanted))].sum())
    return np.array(gains)


class Known:
    """What the service itself knows of the items of a version.

    Two are alike by the cosine of what liking either adds to the scores.
    """

    def __init__(self, name: str, number: int) -> None:
        settings = configuration.read()
        model = Model(verify(Store(settings.folders).find()[name][number], name, number), settings, Metrics())
        assert model.catalogue is not None
        self._popularity = model.catalogue.popularity
        assert model.profiles is not None
        self._index = model.catalogue.index
        self._units = asyncio.run(model.profiles.units(np.arange(len(self._index)), Clock(3600)))

    def popularity(self, item: str) -> float:
        """The share of training users who liked it."""
        return float(self._popularity[self._index[item]])

    def likeness(self, items: Sequence[str]) -> float:
        """Over all pairs of two items of a list."""
        units = self._units[[self._index[item] for item in items]]
        pairs = units @ units.T
        return float((pairs.sum() - np.trace(pairs)) / (len(items) * (len(items) - 1)))


def mean(values: NDArray[np.float64]) -> str:
    """The mean and its standard error."""
    return f"{values.mean():.4f} ± {values.std(ddof=1) / np.sqrt(len(values)):.4f}"


if __name__ == "__main__":
    sys.exit(main())
