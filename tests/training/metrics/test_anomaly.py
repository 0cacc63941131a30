from dataclasses import replace

import numpy as np
import pytest

from tests import tiny
from training.data.labelled import Stranger
from training.graphs import Graphs
from training.metrics import anomaly, likelihood
from training.metrics.anomaly import strange


def test_the_score_is_the_share_that_encode_serves() -> None:
    quantiles = (0.1, 0.2, 0.6)
    found = anomaly.anomaly(np.array([0.0, 0.1, 0.15, 0.2, 0.4, 0.6, 9.0]), quantiles)
    assert found == pytest.approx([0, 0, 0.25, 0.5, 0.75, 1, 1])


def test_strange_pictures_are_another_set_and_two_of_its_own() -> None:
    data = tiny.twin("digits-vae")
    assert list(strange(data)) == ["the same upside down", "independent pixels"]
    assert np.array_equal(strange(data)["the same upside down"][:, :, 0], data.test.images[:, :, -1])
    many = Stranger("others", np.zeros((300, 1, 28, 28), np.uint8))
    found = strange(replace(data, stranger=many))
    assert list(found) == ["others", "the same upside down", "independent pixels"]
    assert {len(images) for images in found.values()} == {100}


def test_the_learner_s_own_quantiles_are_used_and_strangers_found() -> None:
    made, data = tiny.exported("digits-vae"), tiny.twin("digits-vae")
    graphs = Graphs(made.graphs)
    white = Stranger("white pictures", np.full((50, 1, 28, 28), 255, np.uint8))
    own = Stranger("its own", data.test.images)
    first, upside_down, pixels = anomaly.evaluate(graphs, replace(data, stranger=white))
    assert [metric.name for metric in (first, upside_down, pixels)] == ["anomaly AUROC"] * 3
    assert (first.data, first.samples) == ("synthetic test and white pictures", 150)
    assert first.value > 0.95
    same, *_ = anomaly.evaluate(graphs, replace(data, stranger=own))
    assert same.value == same.baselines[0].value == 0.5
    error = likelihood.reconstruction_errors(graphs, data.validation.images)
    (task,) = (task for task in made.learner.tasks() if task.task == "encode")
    assert np.quantile(error, 0.5) == pytest.approx(task.error_quantiles[50], rel=1e-3)


def test_upside_down_is_nothing_to_a_set_that_is_alike_both_ways() -> None:
    data = tiny.twin("digits-vae")
    both = np.maximum(data.test.images, data.test.images[:, :, ::-1])
    graphs = Graphs(tiny.exported("digits-vae").graphs)
    found = anomaly.evaluate(graphs, replace(data, test=replace(data.test, images=both)))
    assert found[0].value == pytest.approx(0.5, abs=1e-6)
