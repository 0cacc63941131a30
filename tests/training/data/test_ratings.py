import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.data import ratings
from training.data.ratings import Parts, Ratings


def table(user: np.ndarray, item: np.ndarray, rating: np.ndarray) -> Ratings:
    return Ratings(user.astype(np.int32), item.astype(np.int32), rating.astype(np.float32))


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


def test_ratings_of_twenty_thousand_users_are_hidden_at_most() -> None:
    user = np.repeat(np.arange(26_000), 2)
    found = ratings.split(table(user, user % 10, user % 5 + 1), 3)
    rng = np.random.default_rng(3)
    asked = rng.permutation(26_000)[2_000:22_000]
    drawn = rng.random(len(user))
    hidden = np.isin(user, asked) & (drawn < 0.1)
    assert len(found.cells.user) == hidden.sum() > 3_000
    assert found.cells.user.tolist() == user[hidden].tolist()
    assert len(found.train.user) == 48_000 - hidden.sum(), "what is not hidden is learnt from"


@given(seed=st.integers(0, 999))
@settings(max_examples=25, deadline=None)
def test_users_and_items_are_numbered_by_their_place(seed: int) -> None:
    rng = np.random.default_rng(seed)
    split = Parts(
        *(table(rng.integers(8, size=size) * 3, rng.integers(9, size=size) * 2, rng.integers(1, 6, size=size))
          for size in (rng.integers(1, 12), *rng.integers(0, 12, size=3)))
    )  # fmt: skip
    data = ratings.assemble(split, lambda number: (str(number), f"Item {number}", {}), {}, (1, 5), 4, "", "")
    ids = sorted({*split.train.item.tolist()})
    assert [item.id for item in data.items] == [str(number) for number in ids]
    seen = sorted({*split.train.user.tolist()})
    for item in data.items:
        likes = [row for row in rows(split.train) if row[1] == int(item.id) and row[2] >= 4]
        assert item.popularity == round(len(likes) / len(seen), 6)
    for name, history in (("train", "train"), ("cells", "train"), ("foldin", "foldin"), ("targets", "foldin")):
        known = sorted({*getattr(split, history).user.tolist()})
        columns = [getattr(getattr(split, name), column).tolist() for column in ("user", "item", "rating")]
        wanted = [
            (known.index(user), ids.index(item) if item in ids else -1, rating)
            for user, item, rating in zip(*columns, strict=True)
            if user in known
        ]
        part = getattr(data, name)
        assert part.user.dtype == part.item.dtype == np.int32
        if name == "train":
            wanted.sort(key=lambda row: row[0])  # stable
        assert list(zip(part.user.tolist(), part.item.tolist(), part.rating.tolist(), strict=True)) == wanted
