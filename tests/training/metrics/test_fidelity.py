from dataclasses import replace

import numpy as np
import pytest

from tests import tiny
from training.graphs import Graphs
from training.metrics import fidelity
from training.metrics.principal import Components


def gaussian(mean: np.ndarray, covariance: np.ndarray, count: int = 400, seed: int = 0) -> np.ndarray:
    """Rows whose sample mean and covariance are exactly these."""
    draws = np.random.default_rng(seed).standard_normal((count, len(mean)))
    centred = draws - draws.mean(axis=0)
    white = centred @ np.linalg.inv(np.linalg.cholesky(np.cov(centred, rowvar=False))).T
    return mean + white @ np.linalg.cholesky(covariance).T


FIRST, SECOND = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 0.5])
WIDE, NARROW = np.array([4.0, 1.0, 0.25]), np.array([1.0, 9.0, 0.25])


def test_distance_of_two_gaussians_with_the_same_axes() -> None:
    found = fidelity.frechet(gaussian(FIRST, np.diag(WIDE)), gaussian(SECOND, np.diag(NARROW), seed=1))
    expected = np.square(FIRST - SECOND).sum() + np.square(np.sqrt(WIDE) - np.sqrt(NARROW)).sum()
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_rotation_of_both_changes_nothing_and_of_one_it_does() -> None:
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((3, 3)))[0]
    first, second = gaussian(FIRST, np.diag(WIDE)), gaussian(SECOND, np.diag(NARROW), seed=1)
    assert fidelity.frechet(first @ turn, second @ turn) == pytest.approx(fidelity.frechet(first, second), rel=1e-9)
    rotated = gaussian(SECOND, turn @ np.diag(NARROW) @ turn.T, seed=1)
    product = np.diag(WIDE) @ turn @ np.diag(NARROW) @ turn.T
    mixed = np.sqrt(np.linalg.eigvals(product).real).sum()  # tr (C1 C2)^(1/2), from the product's own eigenvalues
    expected = np.square(FIRST - SECOND).sum() + WIDE.sum() + NARROW.sum() - 2 * mixed
    assert fidelity.frechet(first, rotated) == pytest.approx(expected, rel=1e-9)
    assert fidelity.frechet(rotated, first) == pytest.approx(expected, rel=1e-9)


def test_a_set_is_no_distance_from_itself_even_where_it_is_flat() -> None:
    flat = gaussian(FIRST, np.diag(WIDE))
    flat[:, 2] = 7
    assert fidelity.frechet(flat, flat) == pytest.approx(0, abs=1e-9)
    assert fidelity.frechet(flat, flat[::-1]) == pytest.approx(0, abs=1e-9)


def test_a_shift_counts_by_its_square() -> None:
    rows = gaussian(FIRST, np.diag(WIDE))
    assert fidelity.frechet(rows, rows + np.array([3, 0, 4])) == pytest.approx(25, rel=1e-9)


def test_samples_are_eight_bit_pictures_of_the_asked_classes() -> None:
    graphs = Graphs(tiny.exported("digits-gan").graphs)
    labels = np.array([3, 1, 4, 1, 5], np.int64)
    found = fidelity.sample(graphs, labels, seed=2)
    latent = np.random.default_rng(2).standard_normal((5, 4), np.float32)
    expected = graphs.run("decode", latent=latent, label=labels)["image"]
    assert found.dtype == np.uint8
    assert found.shape == (5, 1, 28, 28)
    assert np.abs(found / 255 - expected).max() <= 0.5 / 255 + 1e-6
    assert np.array_equal(found, fidelity.sample(graphs, labels, seed=2))
    assert not np.array_equal(found, fidelity.sample(graphs, labels, seed=3))


def test_independent_pixels_are_right_pixel_by_pixel_and_in_nothing_else() -> None:
    train = np.random.default_rng(0).integers(1, 255, (4, 6, 7), dtype=np.uint8)
    found = fidelity.independent_pixels(train, 50, seed=0)
    assert found.shape == (50, 6, 7)
    assert (found[:, None] == train[None]).any(axis=1).all(), "each pixel is that of a training picture"
    assert not (found[:, None] == train[None]).all(axis=(2, 3)).any(), "no whole picture is"


def test_without_classes_principal_components_are_the_features() -> None:
    data = replace(tiny.twin("digits-gan"), classes=())
    graphs = Graphs(tiny.exported("digits-vae").graphs)  # it draws without classes
    (distance,) = fidelity.evaluate(graphs, data)
    assert distance.name == "Frechet distance, 64 principal components"
    assert distance.protocol == "100 samples against 100 test pictures, the principal components of training pictures"
    components = Components(data.train.images)
    images = fidelity.sample(graphs, np.zeros(100, np.int64), seed=0)
    expected = fidelity.frechet(components.look(images)[1], components.look(data.test.images)[1])
    assert distance.value == pytest.approx(expected, rel=1e-9)
    scale = {baseline.name: baseline.value for baseline in distance.baselines}
    assert scale["real training pictures"] < distance.value, "it has hardly learnt"
