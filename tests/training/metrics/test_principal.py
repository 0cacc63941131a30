import numpy as np
import pytest

from training.metrics import principal
from training.metrics.principal import Components


@pytest.mark.parametrize("shape", [(40, 9), (9, 40)], ids=["many rows", "few rows"])
def test_axes_are_those_of_a_singular_value_decomposition(shape: tuple[int, int]) -> None:
    rows = np.random.default_rng(0).standard_normal(shape) * np.arange(1, shape[1] + 1)
    centre, axes = principal.axes(rows, 5)
    right = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[2][:5]
    assert np.allclose(centre, rows.mean(axis=0))
    assert np.allclose(axes.T @ axes, np.eye(5), atol=1e-9)
    assert np.allclose(axes @ axes.T, right.T @ right, atol=1e-9)


def test_few_rows_have_no_more_axes_than_they_span() -> None:
    rows = np.random.default_rng(0).standard_normal((4, 30))
    _, axes = principal.axes(rows, 20)
    assert axes.shape == (30, 3)
    assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-9)


def test_features_keep_distances_within_what_the_axes_span() -> None:
    images = np.random.default_rng(0).integers(256, size=(20, 3, 8, 8), dtype=np.uint8)
    components = Components(images)
    classes, features = components.look(images)
    assert (components.size, features.shape) == (19, (20, 19))
    assert not classes.any()
    flat = images.reshape(20, -1) / 255
    assert np.allclose(
        np.linalg.norm(features[:, None] - features[None], axis=2), np.linalg.norm(flat[:, None] - flat[None], axis=2)
    )


def test_no_more_pictures_are_looked_at_than_memory_bears() -> None:
    images = np.broadcast_to(np.zeros((1, 1, 1), np.uint8), (2_000, 3, 128, 128))
    assert len(principal.looked_at(images)) == 50_000_000 // (3 * 128 * 128)
    assert len(principal.looked_at(images[:, :1, :28, :28])) == 2_000
