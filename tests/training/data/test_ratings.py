import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data import ratings
from training.data.ratings import Parts, Ratings


def table(user: np.ndarray, item: np.ndarray, rating: np.ndarray) -> Ratings:
    return Ratings(user.astype(np.int64), item.astype(np.int64), rating.astype(np.float32))


def rows(*parts: Ratings) -> list[tuple[int, int, float]]:
    columns = [np.concatenate([getattr(part, name) for part in parts]).tolist() for name in ("user", "item", "rating")]
    return sorted(zip(*columns, strict=True))


def parts(split: Parts) -> list[Ratings]:
    return [split.train, split.cells, split.foldin, split.targets]


@given(users=st.integers(1, 60), per_user=st.integers(1, 30), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_the_split_keeps_its_rules(users: int, per_user: int, seed: int) -> None:
    user, item = (part.ravel() for part in np.mgrid[1 : users + 1, 1 : per_user + 1])
    whole = table(user, item, (user * item) % 5 + 1)
    found = ratings.split(whole, seed)
    assert rows(*parts(found)) == rows(whole), "every rating is in exactly one part"
    seen = {*found.train.user.tolist(), *found.cells.user.tolist()}
    unseen = {*found.foldin.user.tolist(), *found.targets.user.tolist()}
    assert not seen & unseen
    assert len(unseen) == max(1, users // 12)
    again = ratings.split(whole, seed)
    assert [rows(part) for part in parts(found)] == [rows(part) for part in parts(again)]


def test_the_split_hides_the_shares_that_it_says() -> None:
    user, item = (part.ravel() for part in np.mgrid[0:240, 0:100])
    train, cells, foldin, targets = (len(part.user) for part in parts(ratings.split(table(user, item, item), 0)))
    assert foldin + targets == 20 * 100
    for hidden, total, share in ((cells, train + cells, 0.1), (targets, 2_000, 0.2)):
        assert abs(hidden - total * share) < 5 * np.sqrt(total * share * (1 - share))


@pytest.mark.parametrize(("items", "most"), [(10, 2_000), (20_000, 2_000), (40_000, 1_000), (10**9, 1)])
def test_no_more_users_are_held_out_than_can_be_scored_at_once(items: int, most: int) -> None:
    user = np.arange(30_000)
    item = np.where(user == 0, items - 1, user % 10)
    found = ratings.split(table(user, item, user), 0)
    assert len(found.foldin.user) + len(found.targets.user) == most
