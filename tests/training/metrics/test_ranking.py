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
from training.metrics.ranking import Figure


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
    assert recall == Figure(0.75, pytest.approx(0.25))  # type: ignore[arg-type]
    assert np.array_equal(scores, before)


def test_one_user_has_no_standard_error() -> None:
    gain, recall, users = ranking.rank_users(np.array([[1.0, 2]]), ratings(), ratings((0, 1, 5)), liked=4)
    assert (gain, recall, users) == (Figure(1.0, None), Figure(1.0, None), 1)


def test_rmse_is_clipped_and_its_error_is_that_of_users() -> None:
    cells = ratings((0, 0, 5), (0, 1, 3), (2, 0, 1), (2, 1, 2))
    found = ranking.rmse(np.array([9.0, 3.5, -4.0, 4.0]), cells, low=1, high=5)
    squares = [0.0, 0.25, 0.0, 4.0]
    assert found.value == pytest.approx(math.sqrt(sum(squares) / 4), abs=1e-12)
    mean = sum(squares) / 4
    users = [(squares[0] + squares[1] - 2 * mean), (squares[2] + squares[3] - 2 * mean)]
    error = math.sqrt(sum(total**2 for total in users)) / 4 / (2 * found.value)
    assert found.error == pytest.approx(error, abs=1e-12)


def test_biases_by_hand() -> None:
    train = ratings((0, 0, 5), (0, 1, 3), (1, 0, 4), (1, 1, 2))
    history = ratings((0, 0, 5), (0, -1, 1), (1, 1, 4))
    cells = ratings((0, 1, 3), (1, 0, 3), (1, -1, 3), (2, 0, 3))
    centre = 3.5
    item = [(1.5 + 0.5) / (2 + 5), (-0.5 - 1.5) / (2 + 5)]
    user = [(5 - centre - item[0]) / 6, (4 - centre - item[1]) / 6, 0.0]
    expected = [centre + user[0] + item[1], centre + user[1] + item[0], centre + user[1], centre + user[2] + item[0]]
    assert ranking.biases(train, history, cells, items=2) == pytest.approx(expected, abs=1e-6)


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
    assert [metric.name for metric in metrics] == ["NDCG@10", "Recall@20"]


def test_every_figure_stands_beside_its_baseline() -> None:
    made, data = tiny.exported("movies-rbm"), tiny.twin("movies-rbm")
    metrics = {metric.name: metric for metric in ranking.evaluate(Graphs(made.graphs), data)}
    assert {name: metric.better for name, metric in metrics.items()} == {
        "NDCG@10": "higher",
        "Recall@20": "higher",
        "RMSE, hidden cells": "lower",
        "RMSE, unseen users": "lower",
    }
    popularity = np.tile([item.popularity for item in data.items], (data.foldin.users, 1))
    gain, recall, users = ranking.rank_users(popularity, data.foldin, data.targets, 4.0)
    for name, figure in (("NDCG@10", gain), ("Recall@20", recall)):
        assert metrics[name].samples == users
        (baseline,) = metrics[name].baselines
        assert (baseline.name, baseline.value, baseline.standard_error) == ("popularity", figure.value, figure.error)
    for name, cells in (("RMSE, hidden cells", data.cells), ("RMSE, unseen users", data.targets)):
        assert metrics[name].samples == len(cells.rating)
        assert [baseline.name for baseline in metrics[name].baselines] == ["biases only"]
