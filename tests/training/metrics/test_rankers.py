"""Each ranker against the plainest way to the same scores, on a dense matrix of a few users and items."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from training.data.ratings import Ratings
from training.metrics import rankers

USERS, ITEMS, LIKED = 30, 9, 4.0


def made(seed: int, users: int = USERS) -> tuple[Ratings, NDArray[np.float64]]:
    """Ratings, and the same as a dense matrix [U,I] with 0 where there is none."""
    rng = np.random.default_rng(seed)
    dense = rng.integers(1, 6, (users, ITEMS)) * (rng.random((users, ITEMS)) < np.linspace(0.8, 0.2, ITEMS))
    dense[-1, 0] = 5  # the last user has a rating: their number is the number of users
    user, item = np.nonzero(dense)
    return Ratings(user, item, dense[user, item].astype(np.float32)), dense.astype(np.float64)


TRAIN, DENSE = made(0)
HISTORY, TOLD = made(1, users=6)
RATED, LIKES = (DENSE > 0).astype(float), (DENSE >= LIKED).astype(float)


def with_stranger(history: Ratings) -> Ratings:
    """The same and an item that is none of the items."""
    return Ratings(np.append(history.user, 0), np.append(history.item, -1), np.append(history.rating, np.float32(5)))


FITS: dict[str, Callable[[], rankers.Ranker]] = {
    "popularity": lambda: rankers.popularity(TRAIN, ITEMS, LIKED),
    "item-kNN": lambda: rankers.item_knn(TRAIN, ITEMS, LIKED, neighbours=3),
    "EASE": lambda: rankers.ease(TRAIN, ITEMS, ridge=5),
    "EASE, two inputs": lambda: rankers.ease_two_inputs(TRAIN, ITEMS, LIKED, ridge=5),
    "iALS": lambda: rankers.ials(TRAIN, ITEMS, LIKED, rank=3, ridge=2, alpha=4, rated=0.3, rounds=4, seed=0),
}


@pytest.mark.parametrize("name", FITS)
def test_items_that_are_unknown_change_nothing(name: str) -> None:
    ranker = FITS[name]()
    assert np.array_equal(ranker(with_stranger(HISTORY)), ranker(HISTORY))
    assert ranker(HISTORY).shape == (6, ITEMS)


def test_popularity_counts_likes() -> None:
    assert np.array_equal(FITS["popularity"]()(HISTORY), np.tile(LIKES.sum(axis=0), (6, 1)))


@pytest.mark.parametrize("neighbours", [1, 3, ITEMS - 1, 50])
def test_neighbours_are_found_by_loops(neighbours: int) -> None:
    cosine = np.zeros((ITEMS, ITEMS))
    for one in range(ITEMS):
        for two in range(ITEMS):
            if one != two:
                lengths = np.linalg.norm(LIKES[:, one]) * np.linalg.norm(LIKES[:, two])
                cosine[one, two] = LIKES[:, one] @ LIKES[:, two] / max(lengths, 1e-12)
    expected = np.zeros((6, ITEMS))
    for user in range(6):
        for item in range(ITEMS):
            least = sorted(cosine[item], reverse=True)[min(neighbours, ITEMS) - 1]
            expected[user, item] = sum(
                cosine[item, other]
                for other in range(ITEMS)
                if cosine[item, other] >= least - 1e-9 and TOLD[user, other] >= LIKED
            )
    found = rankers.item_knn(TRAIN, ITEMS, LIKED, neighbours)(HISTORY)
    assert found == pytest.approx(expected, abs=1e-5)


def ridge_regression(
    inputs: NDArray[np.float64], target: NDArray[np.float64], ridge: float, barred: list[int]
) -> NDArray[np.float64]:
    """Weights of a target's inputs by least squares, without the barred ones: they are left out of the regression."""
    free = [place for place in range(inputs.shape[1]) if place not in barred]
    chosen = inputs[:, free]
    weights = np.zeros(inputs.shape[1])
    weights[free] = np.linalg.solve(chosen.T @ chosen + ridge * np.eye(len(free)), chosen.T @ target)
    return weights


def test_ease_is_a_ridge_regression_of_every_item_on_the_others() -> None:
    weights = np.column_stack([ridge_regression(RATED, RATED[:, item], 5, [item]) for item in range(ITEMS)])
    found = rankers.ease(TRAIN, ITEMS, ridge=5)(HISTORY)
    assert found == pytest.approx((TOLD > 0) @ weights, abs=1e-5)


def test_ease_with_two_inputs_is_a_ridge_regression_on_both_inputs_of_the_others() -> None:
    inputs = np.hstack((RATED, LIKES))
    weights = np.column_stack(
        [ridge_regression(inputs, LIKES[:, item], 5, [item, ITEMS + item]) for item in range(ITEMS)]
    )
    found = rankers.ease_two_inputs(TRAIN, ITEMS, LIKED, ridge=5)(HISTORY)
    assert found == pytest.approx(np.hstack((TOLD > 0, TOLD >= LIKED)) @ weights, abs=1e-5)


def test_ials_is_the_factorisation_of_all_cells_by_confidence() -> None:
    """A round of alternating least squares over the dense matrix, zeros and all."""
    rank, ridge, rounds = 3, 2.0, 4

    def confidence(dense: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.select([dense >= LIKED, dense > 0], [4.0, 4 * 0.3], 1.0)

    def step(
        weights: NDArray[np.float64], ones: NDArray[np.float64], other: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        return np.stack(
            [
                np.linalg.solve(other.T @ (other * c[:, None]) + ridge * np.eye(rank), other.T @ (c * p))
                for c, p in zip(weights, ones, strict=True)
            ]
        )

    item = 0.01 * np.random.default_rng(0).random((ITEMS, rank)).astype(np.float32).astype(np.float64)
    for _ in range(rounds):
        user = step(confidence(DENSE), RATED, item)
        item = step(confidence(DENSE).T, RATED.T, user)
    expected = step(confidence(TOLD), (TOLD > 0).astype(float), item) @ item.T
    assert FITS["iALS"]()(HISTORY) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("name", "inputs"), [("item-kNN", 1), ("EASE", 1), ("EASE, two inputs", 2)])
def test_with_too_many_items_the_most_rated_ones_are_ranked(
    name: str, inputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if there were no others."""
    monkeypatch.setattr(rankers, "MOST_BYTES", 4 * (5 * inputs) ** 2)
    assert rankers.most_items(inputs) == 5
    found = FITS[name]()(HISTORY)
    kept = np.sort(np.argsort(-RATED.sum(axis=0), kind="stable")[:5])
    left_out = np.setdiff1d(np.arange(ITEMS), kept)
    assert (found[:, left_out] == -np.inf).all()

    def only(ratings: Ratings) -> Ratings:
        return ratings.take(np.isin(ratings.item, kept))

    monkeypatch.setattr(rankers, "MOST_BYTES", 2**20)
    monkeypatch.setattr("tests.training.metrics.test_rankers.TRAIN", only(TRAIN))
    assert found[:, kept] == pytest.approx(FITS[name]()(only(HISTORY))[:, kept], abs=1e-5)


def test_gram_matrices_are_whole_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rankers, "BLOCK", 2)
    assert np.array_equal(rankers.gram(rankers._matrix(TRAIN, ITEMS, TRAIN.rating)), DENSE.T @ DENSE)


def test_where_everything_is_liked_both_inputs_are_one() -> None:
    likes = Ratings(TRAIN.user, TRAIN.item, np.ones_like(TRAIN.rating))
    told = Ratings(HISTORY.user, HISTORY.item, np.ones_like(HISTORY.rating))
    one, two = rankers.ease(likes, ITEMS, ridge=5), rankers.ease_two_inputs(likes, ITEMS, 1, ridge=10)
    assert two(told) == pytest.approx(one(told), abs=1e-5), "each carries half of the weight, at half of the price"
