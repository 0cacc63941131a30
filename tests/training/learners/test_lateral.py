"""The closed form against ridge regressions written out, item by item."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.data.ratings import Ratings
from training.learners import lateral

ITEMS, LIKED = 6, 4.0


def ratings(users: int, seed: int = 3) -> Ratings:
    """Most users rated some items, the first ones more often, in no order."""
    rng = np.random.default_rng(seed)
    user, item = np.nonzero(rng.random((users, ITEMS)) < np.linspace(0.8, 0.2, ITEMS))
    order = rng.permutation(len(user))
    return Ratings(user[order], item[order], rng.integers(1, 6, len(user)).astype(np.float32))


def units(train: Ratings, frequent: NDArray[np.int64]) -> NDArray[np.float64]:
    """The users' 0/1 rows over the frequent items, [U,2L]."""
    whole = np.zeros((train.users, 2 * ITEMS))
    whole[train.user, train.item] = 1
    likes = train.rating >= LIKED
    whole[train.user[likes], ITEMS + train.item[likes]] = 1
    return whole[:, np.concatenate((frequent, ITEMS + frequent))]


def regressed(train: Ratings, frequent: NDArray[np.int64], ridge: float, dropout: float) -> NDArray[np.float64]:
    """Each output's ridge regression on the other items' units alone, a user weighted by count^-1/2."""
    x, count = units(train, frequent), np.bincount(train.user, minlength=train.users)
    weight = np.maximum(count, 1)[:, None] ** -0.5
    width = len(frequent)
    found = np.zeros((2 * width, width))
    for item in range(width):
        rest = [unit for unit in range(2 * width) if unit % width != item]
        gram = x[:, rest].T @ (weight * x[:, rest])
        # E[drop(x)' drop(x)] where a unit stays with probability 1 - p and is then 1 / (1 - p)
        gram += np.diag(np.diag(gram) * (1 / (1 - dropout) - 1)) + ridge * np.eye(len(rest))
        found[rest, item] = np.linalg.solve(gram, x[:, rest].T @ (weight[:, 0] * x[:, item]))
    return found


@pytest.mark.parametrize("users", [30, lateral.USERS - 1, lateral.USERS, lateral.USERS + 1, 3 * lateral.USERS + 20])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_weights_are_those_of_a_regression_without_the_item_itself(users: int, dropout: float) -> None:
    train, frequent = ratings(users), np.array([0, 2, 3, 5])
    found = lateral.fit(train, LIKED, frequent, 3.0, dropout)
    assert found.dtype == torch.float32
    assert np.abs(found.numpy() - regressed(train, frequent, 3.0, dropout)).max() < 1e-5


def test_a_user_of_many_ratings_weighs_less_in_each() -> None:
    """The weights of a user count ratings of all items, also of those that have no lateral weights."""
    train, two = ratings(300), np.array([0, 1])
    fewer = train.take(train.item < 2)
    assert np.abs(lateral.fit(train, LIKED, two, 3.0, 0.3).numpy() - regressed(train, two, 3.0, 0.3)).max() < 1e-5
    assert not torch.allclose(
        lateral.fit(train, LIKED, two, 3.0, 0.3), lateral.fit(fewer, LIKED, two, 3.0, 0.3), atol=1e-2
    )


def test_own_weights_are_zero_and_others_are_not() -> None:
    found = lateral.fit(ratings(1000), LIKED, np.arange(ITEMS), 3.0, 0.2)
    own = torch.eye(ITEMS, dtype=torch.bool).repeat(2, 1)
    assert found[own].abs().max() < 1e-6
    assert found[~own].abs().min() > 1e-5
    assert not lateral.quantise(found)[0][own].any()


def test_likes_only_make_both_inputs_equal_and_the_weights_finite() -> None:
    train = ratings(500)
    likes = Ratings(train.user, train.item, np.full_like(train.rating, LIKED))
    found = lateral.fit(likes, LIKED, np.arange(ITEMS), 3.0, 0.2)
    assert np.abs(found.numpy() - regressed(likes, np.arange(ITEMS), 3.0, 0.2)).max() < 1e-5
    torch.testing.assert_close(found[:ITEMS], found[ITEMS:], atol=1e-6, rtol=0)


def test_without_frequent_items_there_are_no_weights() -> None:
    weight = lateral.fit(ratings(20), LIKED, np.zeros(0, np.int64), 3.0, 0.2)
    assert weight.shape == (0, 0)
    assert [part.shape[-1] for part in lateral.quantise(weight)] == [0, 0]


def test_frequent_items_are_the_most_rated_with_enough_ratings() -> None:
    item = np.repeat(np.arange(5), [3, 9, 1, 9, 5])
    rated = Ratings(np.arange(len(item)), item, np.ones(len(item), np.float32))
    for least, most, expected in ((3, 10, [0, 1, 3, 4]), (3, 2, [1, 3]), (1, 3, [1, 3, 4]), (10, 10, []), (1, 0, [])):
        assert lateral.frequent_items(rated, 7, least, most).tolist() == expected


def test_eight_bits_are_off_by_half_a_scale_at_most() -> None:
    torch.manual_seed(0)
    weight = torch.randn(40, 5) * torch.tensor([1e-4, 1.0, 30.0, 0.0, 1.0])
    whole, scale = lateral.quantise(weight)
    assert whole.dtype == torch.int8
    assert ((whole * scale - weight).abs() <= scale / 2 * (1 + 1e-5)).all()
    assert (whole.abs().amax(dim=0) == torch.tensor([127, 127, 127, 0, 127])).all()
