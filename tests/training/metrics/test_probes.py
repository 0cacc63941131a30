import numpy as np
import pytest

from tests import tiny
from training.graphs import Graphs
from training.metrics import probes


def clouds(count: int, seed: int, apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Three normal clouds in the plane, that far apart."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    return rng.normal(0, 1, (count, 2)) + apart * np.array([[0, 0], [1, 0], [0, 1]])[labels], labels


def test_neighbours_vote() -> None:
    train = np.array([[0.0], [1.0], [2.0], [10.0], [11.0]])
    labels = np.array([2, 2, 0, 1, 1])
    assert probes.by_neighbours(train, labels, np.array([[0.4], [10.4], [6.9]]), 3).tolist() == [2, 1, 1]
    assert probes.by_neighbours(train, labels, np.array([[1.6]]), 2).tolist() == [0]  # one vote each: the lowest


def test_neighbours_are_those_that_a_loop_finds() -> None:
    (train, labels), (test, _) = clouds(300, 0, 1.5), clouds(700, 1, 1.5)
    found = probes.by_neighbours(train, labels, test)
    for row, vote in zip(test, found, strict=True):
        nearest = np.argsort(np.square(train - row).sum(axis=1))[:10]
        assert np.bincount(labels[nearest], minlength=3).argmax() == vote


@pytest.mark.parametrize("classify", [probes.by_neighbours, probes.by_lines])
def test_what_lies_apart_is_told_apart_and_what_does_not_is_not(classify: probes.Classify) -> None:
    for apart, low, high in ((30.0, 1.0, 1.0), (0.0, 0.25, 0.42)):
        (train, labels), (test, right) = clouds(900, 2, apart), clouds(900, 3, apart)
        assert low <= (classify(train, labels, test) == right).mean() <= high


def test_lines_find_the_classifier_of_normal_clouds() -> None:
    """Of clouds of one shape the best classifier is linear: it takes the nearest centre."""
    (train, labels), (test, right) = clouds(20_000, 4, 2.0), clouds(20_000, 5, 2.0)
    centres = 2.0 * np.array([[0, 0], [1, 0], [0, 1]])
    best = np.square(test[:, None] - centres).sum(axis=2).argmin(axis=1)
    found = probes.by_lines(train, labels, test)
    assert (found == best).mean() > 0.985
    assert (found == right).mean() > (best == right).mean() - 0.003


def test_the_codes_of_a_model_are_probed_beside_components() -> None:
    data = tiny.twin("digits-vae")
    neighbours, lines = probes.evaluate(Graphs(tiny.exported("digits-vae").graphs), data)
    assert (neighbours.name, lines.name) == ("10-NN accuracy", "linear probe accuracy")
    for metric in (neighbours, lines):
        assert 0 <= metric.value <= 1
        assert metric.samples == len(data.test.labels)
        (pca,) = metric.baselines
        assert pca.name == "PCA, 4 components"
        assert pca.value > 0.5  # its classes are drawn far apart
