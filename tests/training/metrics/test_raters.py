import numpy as np
import pytest
from numpy.typing import NDArray

from tests.training.metrics.test_ranking import ratings
from training.data import movielens
from training.data.ratings import Ratings
from training.metrics import ranking, raters


def test_biases_by_hand() -> None:
    train = ratings((0, 0, 5), (0, 1, 3), (1, 0, 4), (1, 1, 2))
    history = ratings((0, 0, 5), (0, -1, 1), (1, 1, 4))
    cells = ratings((0, 1, 3), (1, 0, 3), (1, -1, 3), (2, 0, 3))
    centre = 3.5
    item = [(1.5 + 0.5) / (2 + 5), (-0.5 - 1.5) / (2 + 5)]
    user = [(5 - centre - item[0]) / 6, (4 - centre - item[1]) / 6, 0.0]
    expected = [centre + user[0] + item[1], centre + user[1] + item[0], centre + user[1], centre + user[2] + item[0]]
    assert raters.biases(train, items=2)(history, cells) == pytest.approx(expected, abs=1e-6)


def two_tastes(seed: int) -> tuple[Ratings, Ratings]:
    """40 users who love one half of 20 items and hate the other, some of it hidden; no bias tells them apart."""
    rng = np.random.default_rng(seed)
    user, item = (index.ravel() for index in np.indices((40, 20)))
    everything = Ratings(user, item, np.where((user + item) % 2, 5, 1).astype(np.float32))
    hidden = rng.random(len(user)) < 0.2
    return everything.take(~hidden), everything.take(hidden)


def test_factors_find_what_biases_do_not() -> None:
    train, cells = two_tastes(0)
    simple = ranking.rmse(raters.biases(train, 20)(train, cells), cells, 1, 5)
    factored = raters.biased_mf(train, 20, rank=2, ridge=0.5, rounds=8, seed=0)
    assert simple.value > 1.9, "the mean is all that they know"
    assert ranking.rmse(factored(train, cells), cells, 1, 5).value < 0.3


def test_factors_are_those_of_ridge_regressions_in_turn() -> None:
    """One user or item after the other, and unseen users by one more regression."""
    data, rank, ridge = movielens.synthetic(0), 3, 4.0
    items = len(data.items)
    simple = raters.biases(data.train, items)

    def step(
        rows: NDArray[np.int64], columns: NDArray[np.int64], rest: NDArray[np.float64], other: NDArray[np.float64]
    ):
        found = np.zeros((rows.max() + 1, rank))
        for row in np.unique(rows):
            mine = rows == row
            inputs = other[columns[mine]]
            found[row] = np.linalg.solve(inputs.T @ inputs + ridge * np.eye(rank), inputs.T @ rest[mine])
        return found

    spread = data.train.rating.std()
    rest = (data.train.rating - simple(data.train, data.train)) / spread
    item = 0.1 * np.random.default_rng(0).standard_normal((items, rank))
    for _ in range(3):
        user = step(data.train.user, data.train.item, rest, item)
        item = step(data.train.item, data.train.user, rest, user)
    told = data.foldin.take(data.foldin.item >= 0)
    user = step(told.user, told.item, (told.rating - simple(told, told)) / spread, item)
    cells = data.targets.take(data.targets.item >= 0)
    expected = simple(told, cells) + spread * (user[cells.user] * item[cells.item]).sum(axis=1)
    found = raters.biased_mf(data.train, items, rank, ridge, rounds=3, seed=0)(data.foldin, cells)
    assert found == pytest.approx(expected, abs=1e-3)
    assert np.abs(found - simple(told, cells)).max() > 0.1, "the factors say something"


def test_who_is_unknown_gets_the_bias_alone() -> None:
    train, _ = two_tastes(1)
    cells = ratings((0, -1, 3), (99, 1, 3))
    history = train.take(train.user == 0)
    found = raters.biased_mf(train, 20, rank=2, ridge=1, rounds=2, seed=0)(history, cells)
    assert np.array_equal(found, raters.biases(train, 20)(history, cells))
