from dataclasses import replace

import numpy as np
import pytest

from tests import tiny
from training.data.movielens import RatingData
from training.figures import recommend
from training.graphs import Graphs
from training.metrics import ranking

DATA: RatingData = tiny.twin("movies-rbm")


@pytest.mark.parametrize("count", [1, 3, 10_000])
def test_of_a_history_so_many_ratings_are_told(count: int) -> None:
    whole, cut = DATA.foldin, recommend.first(DATA.foldin, count)
    lengths = np.bincount(whole.user)
    assert np.array_equal(np.bincount(cut.user), np.minimum(lengths, count))
    rows = set(zip(whole.user.tolist(), whole.item.tolist(), whole.rating.tolist(), strict=True))
    told = set(zip(cut.user.tolist(), cut.item.tolist(), cut.rating.tolist(), strict=True))
    assert len(told) == len(cut.user)
    assert told <= rows


@pytest.mark.parametrize("likes", [False, True])
def test_where_every_rating_is_a_like_nothing_is_said_of_ratings(likes: bool) -> None:
    """An own file of likes."""
    made = tiny.exported("movies-rbm")
    level = np.full_like(DATA.train.rating, DATA.levels[-1])
    data = replace(DATA, train=replace(DATA.train, rating=level)) if likes else DATA
    (task,) = made.learner.tasks()
    drawn = {figure.name: figure for figure in recommend.figures(task, Graphs(made.graphs), data)}
    assert ("calibration" in drawn) is not likes
    assert ("RMSE" in drawn["newcomers"].alt) is not likes
    assert "popularity" in drawn


def test_who_tells_more_tells_the_former_too() -> None:
    few, more = recommend.first(DATA.foldin, 2), recommend.first(DATA.foldin, 5)
    assert set(zip(few.user.tolist(), few.item.tolist(), strict=True)) < set(
        zip(more.user.tolist(), more.item.tolist(), strict=True)
    )


def test_a_list_has_the_best_of_what_was_not_told() -> None:
    score = np.random.default_rng(0).normal(size=(DATA.foldin.users, len(DATA.items)))
    lists = ranking.listed(score, DATA.foldin)
    for user, listed in enumerate(lists.tolist()):
        told = set(DATA.foldin.item[DATA.foldin.user == user].tolist())
        free = [place for place in np.argsort(-score[user]).tolist() if place not in told]
        assert listed == free[: ranking.LISTED]
