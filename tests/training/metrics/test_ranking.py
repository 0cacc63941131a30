import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests import tiny
from training.data.movielens import Ratings
from training.graphs import Graphs
from training.metrics import ranking


def ratings(*rows: tuple[int, int, float]) -> Ratings:
    table = np.array(rows or np.empty((0, 3)))
    return Ratings(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2].astype(np.float32))


def order(*items: int) -> NDArray[np.int64]:
    return np.array(items, np.int64)


def test_ndcg_by_hand() -> None:
    found = ranking.ndcg(order(4, 7, 2, 9, 1), {7, 1, 5}, wanted=3)
    best = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert found == pytest.approx((1 / math.log2(3) + 1 / math.log2(6)) / best, abs=1e-12)


def test_ndcg_looks_no_deeper_than_it_is_told() -> None:
    ranked = order(*range(12))
    assert ranking.ndcg(ranked, {10, 11}, wanted=2) == 0
    assert ranking.ndcg(ranked, {9}, wanted=1) == pytest.approx(1 / math.log2(11), abs=1e-12)
    assert ranking.ndcg(ranked, {1}, wanted=1, depth=1) == 0
    assert ranking.ndcg(ranked, set(range(12)), wanted=12) == pytest.approx(1, abs=1e-12), "ten are the most that fit"


def test_recall_by_hand() -> None:
    ranked = order(*range(30))
    assert ranking.recall(ranked, {0, 19, 20, 29}, wanted=4) == 0.5
    assert ranking.recall(ranked, set(range(25)), wanted=25) == 1, "twenty are the most that fit"
    assert ranking.recall(ranked, {0, 2}, wanted=4, depth=2) == 0.5


@given(st.permutations(range(15)), st.sets(st.integers(0, 14), min_size=1))
def test_both_lie_between_none_and_all(ranked: list[int], relevant: set[int]) -> None:
    for measure in (ranking.ndcg, ranking.recall):
        ideal = order(*sorted(ranked, key=lambda item: item not in relevant))
        assert 0 <= measure(order(*ranked), relevant, len(relevant)) <= 1 + 1e-12
        assert measure(ideal, relevant, len(relevant)) == pytest.approx(1, abs=1e-12)


def test_users_are_ranked_without_what_they_told() -> None:
    scores = np.array([[9.0, 8, 7, 6], [9, 8, 7, 6], [1, 2, 3, 4]])
    foldin = ratings((0, 0, 5), (0, 1, 5), (1, -1, 5), (2, 3, 1))
    targets = ratings((0, 2, 4), (0, 3, 3), (1, 3, 5), (1, -1, 4), (2, 0, 3))
    before = scores.copy()
    gain, recall, users = ranking.rank_users(scores, foldin, targets, liked=4)
    assert users == 2, "nobody asks after a user who liked nothing"
    one = 1.0  # user 0: item 2 comes first once 0 and 1 are out
    two = (1 / math.log2(5)) / (1 + 1 / math.log2(3))  # user 1: item 3 comes fourth, an unknown item never
    assert gain.value == pytest.approx((one + two) / 2, abs=1e-12)
    assert gain.error == pytest.approx(abs(one - two) / 2, abs=1e-12)
    assert (recall.value, recall.error) == (0.75, pytest.approx(0.25, abs=1e-12))
    assert np.array_equal(scores, before)


def test_one_user_has_no_standard_error() -> None:
    gain, recall, users = ranking.rank_users(np.array([[1.0, 2]]), ratings(), ratings((0, 1, 5)), liked=4)
    assert (gain.value, gain.error, recall.value, recall.error, users) == (1, None, 1, None, 1)


def test_rmse_is_clipped_and_its_error_is_that_of_users() -> None:
    cells = ratings((0, 0, 5), (0, 1, 3), (2, 0, 1), (2, 1, 2))
    found = ranking.rmse(np.array([9.0, 3.5, -4.0, 4.0]), cells, low=1, high=5)
    squares = [0.0, 0.25, 0.0, 4.0]
    assert found.value == pytest.approx(math.sqrt(sum(squares) / 4), abs=1e-12)
    mean = sum(squares) / 4
    users = [(squares[0] + squares[1] - 2 * mean), (squares[2] + squares[3] - 2 * mean)]
    error = math.sqrt(sum(total**2 for total in users)) / 4 / (2 * found.value)
    assert found.error == pytest.approx(error, abs=1e-12)


def test_the_error_of_a_difference_of_means_is_that_of_users_differences() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.random((2, 30, 40))
    targets = ratings(*((user, item, 5) for user in range(30) for item in rng.permutation(40)[:6].tolist()))
    ours, theirs = (ranking.rank_users(scores, ratings(), targets, liked=4)[0] for scores in (one, two))

    def gains(scores: NDArray[np.float64]) -> NDArray[np.float64]:
        relevant = [set(targets.item[targets.user == user].tolist()) for user in range(30)]
        return np.array(
            [ranking.ndcg(np.argsort(-row), wanted, 6) for row, wanted in zip(scores, relevant, strict=True)]
        )

    per_user = gains(one) - gains(two)
    difference = ours.minus(theirs)
    assert ours.error == pytest.approx(gains(one).std(ddof=1) / math.sqrt(30), abs=1e-12)
    assert difference.value == pytest.approx(per_user.mean(), abs=1e-12)
    assert difference.error == pytest.approx(per_user.std(ddof=1) / math.sqrt(30), abs=1e-12)


def test_the_error_of_a_difference_of_rmse_by_hand() -> None:
    cells = ratings((0, 0, 3), (0, 1, 3), (2, 0, 3))
    ours = ranking.rmse(np.array([4.0, 4, 5]), cells, low=1, high=5)  # squares 1, 1, 4: mean 2
    theirs = ranking.rmse(np.array([3.0, 3, 4]), cells, low=1, high=5)  # squares 0, 0, 1: mean 1/3
    difference = ours.minus(theirs)
    assert difference.value == pytest.approx(math.sqrt(2) - math.sqrt(1 / 3), abs=1e-12)
    mine, other = 2 / (6 * math.sqrt(2)), (2 / 3) / (6 * math.sqrt(1 / 3))  # how far user 2 moves each, and user 0 back
    assert difference.error == pytest.approx(math.sqrt(2) * abs(mine - other), abs=1e-12)
    assert ours.minus(ours).error == 0, "what is common cancels"


def test_the_error_of_a_difference_of_rmse_is_that_of_samples_of_users() -> None:
    """Against the bootstrap: users drawn anew, 4,000 times."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(200), rng.integers(1, 30, 200))
    taste = rng.normal(size=200)[user]
    cells = Ratings(user, np.zeros_like(user), (3 + taste + rng.normal(size=len(user))).astype(np.float32))
    one, two = 3 + 0.5 * taste, 3 + 0.4 * taste + 0.3 * rng.normal(size=len(user))
    difference = ranking.rmse(one, cells, -99, 99).minus(ranking.rmse(two, cells, -99, 99))
    sums = np.stack([np.bincount(user, np.square(made - cells.rating)) for made in (one, two)])
    drawn = np.stack([np.bincount(rng.integers(200, size=200), minlength=200) for _ in range(4_000)])
    means = (drawn @ sums.T) / (drawn @ np.bincount(user))[:, None]
    assert difference.error == pytest.approx(np.diff(np.sqrt(means)).std(), rel=0.1)


def test_coverage_counts_items_that_are_on_anybody_s_list() -> None:
    scores = np.tile(np.arange(24.0), (2, 1))
    lists = ranking.listed(scores, ratings((1, 23, 5), (1, -1, 5)))
    assert lists.tolist() == [list(range(23, 13, -1)), list(range(22, 12, -1))]
    assert ranking.coverage(lists, items=24) == 11 / 24


def test_folding_in_scores_every_user_by_their_own_history() -> None:
    made = tiny.exported("movies-rbm")
    graphs, data = Graphs(made.graphs), tiny.twin("movies-rbm")
    score, predicted = ranking.fold_in(graphs, data.foldin, rows=3)
    assert score.shape == predicted.shape == (data.foldin.users, len(data.items))
    for user in (0, data.foldin.users - 1):
        mine = data.foldin.user == user
        alone = graphs.run(
            "score",
            item_index=data.foldin.item[mine][None].astype(np.int32),
            rating=data.foldin.rating[mine][None].astype(np.float32),
            target=np.zeros((1, 0), np.int32),
        )
        assert np.allclose(alone["score"][0], score[user], rtol=0, atol=1e-5)
        assert np.allclose(alone["predicted_rating"][0], predicted[user], rtol=0, atol=1e-5)


def test_folding_in_keeps_users_apart_whatever_the_order_of_rows() -> None:
    made = tiny.exported("movies-rbm")
    graphs, history = Graphs(made.graphs), tiny.twin("movies-rbm").foldin
    mixed = np.random.default_rng(0).permutation(len(history.user))
    shuffled = Ratings(history.user[mixed], history.item[mixed], history.rating[mixed])
    for one, other in zip(ranking.fold_in(graphs, history), ranking.fold_in(graphs, shuffled), strict=True):
        assert np.allclose(one, other, rtol=0, atol=1e-5)


def test_a_cell_is_predicted_from_its_user_s_history() -> None:
    data, graphs = tiny.twin("movies-rbm"), Graphs(tiny.exported("movies-rbm").graphs)
    _, whole = ranking.fold_in(graphs, data.train)
    unknown = Ratings(data.cells.user, np.where(data.cells.user % 5 == 0, -1, data.cells.item), data.cells.rating)
    expected = np.where(unknown.item >= 0, whole[unknown.user, unknown.item], 2.5)
    for rows in (64, 7, 1_000):
        assert np.allclose(ranking.predict(graphs, data.train, unknown, 2.5, rows), expected, rtol=0, atol=1e-5)


def test_what_is_relevant_is_said_as_the_data_say_it() -> None:
    data, graphs = tiny.twin("movies-rbm"), Graphs(tiny.exported("movies-rbm").graphs)
    metrics = ranking.evaluate(graphs, replace(data, liked=3.5, name="own ratings"))
    assert metrics[0].protocol.endswith("relevant: targets rated 3.5 or more")
    assert {metric.data.partition(",")[0] for metric in metrics} == {"own ratings"}


def test_where_all_ratings_are_the_same_none_is_predicted() -> None:
    data, graphs = tiny.twin("movies-rbm"), Graphs(tiny.exported("movies-rbm").graphs)
    parts = {name: getattr(data, name) for name in ("train", "cells", "foldin", "targets")}
    likes = {name: replace(part, rating=np.ones_like(part.rating)) for name, part in parts.items()}
    metrics = ranking.evaluate(graphs, replace(data, levels=(0.0, 1.0), liked=1.0, **likes))
    assert [metric.name for metric in metrics] == ["NDCG@10", "Recall@20", "Coverage@10"]


def test_every_figure_stands_beside_its_baseline() -> None:
    made, data = tiny.exported("movies-rbm"), tiny.twin("movies-rbm")
    metrics = {metric.name: metric for metric in ranking.evaluate(Graphs(made.graphs), data)}
    assert {name: metric.better for name, metric in metrics.items()} == {
        "NDCG@10": "higher",
        "Recall@20": "higher",
        "Coverage@10": "higher",
        "RMSE, hidden cells": "lower",
        "RMSE, unseen users": "lower",
    }
    popularity = np.tile([item.popularity for item in data.items], (data.foldin.users, 1))
    gain, recall, users = ranking.rank_users(popularity, data.foldin, data.targets, 4.0)
    score = ranking.fold_in(Graphs(made.graphs), data.foldin)[0]
    ours = ranking.rank_users(score, data.foldin, data.targets, 4.0)
    for name, mine, figure in (("NDCG@10", ours[0], gain), ("Recall@20", ours[1], recall)):
        assert metrics[name].samples == users
        (baseline,) = metrics[name].baselines
        assert (baseline.name, baseline.value, baseline.standard_error) == ("popularity", figure.value, figure.error)
        difference = mine.minus(figure)
        assert (baseline.paired_difference, baseline.paired_error) == (difference.value, difference.error)
    for name, cells in (("RMSE, hidden cells", data.cells), ("RMSE, unseen users", data.targets)):
        assert metrics[name].samples == len(cells.rating)
        assert [baseline.name for baseline in metrics[name].baselines] == ["biases only"]
    assert metrics["Coverage@10"].value == ranking.coverage(ranking.listed(score, data.foldin), len(data.items))
    (baseline,) = metrics["Coverage@10"].baselines
    assert (baseline.name, baseline.paired_difference) == ("popularity", None)
