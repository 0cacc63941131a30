import numpy as np
import pytest

from training.data.labelled import Pictures, Split
from training.metrics import latents


def bar(width: int, shift_a_row: float = 0.0) -> np.ndarray:
    """A white bar on black, 20 pixels high, whose rows move to the right from the bottom to the top."""
    picture = np.zeros((1, 28, 28), np.uint8)
    for row in range(4, 24):
        left = round(12 - shift_a_row * (row - 13.5))
        picture[0, row, left : left + width] = 255
    return picture


def pictures(images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], *attributes: str) -> Pictures:
    part = Split(images, labels.astype(np.uint8))
    return Pictures(part, part, part, classes, attributes, "by hand", "0" * 64)


def test_quantiles_are_those_of_the_errors() -> None:
    found = latents.error_quantiles(np.arange(1001) / 1000)
    assert found == pytest.approx([share / 100 for share in range(101)])


def test_thickness_is_the_width_of_a_stroke() -> None:
    one, three, five = latents.thickness(np.stack([bar(1), bar(3), bar(5)]))
    assert one == pytest.approx(1)
    assert three == pytest.approx(3, rel=0.15)
    assert five == pytest.approx(5, rel=0.25)


def test_slant_is_the_shift_a_row() -> None:
    found = latents.slant(np.stack([bar(3), bar(3, 0.5), bar(3, -0.25)]))
    assert found == pytest.approx([0, 0.5, -0.25], abs=0.02)


def test_a_class_direction_leads_from_the_mean_to_that_of_the_class() -> None:
    codes = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 8.0], [0.0, 0.0]])
    labels = np.array([0, 0, 1, 1])
    data = pictures(np.zeros((4, 1, 28, 28), np.uint8), labels, ("left", "right", "never seen"))
    found = latents.directions(codes, labels, data.train.images, data)
    assert found == {"left": (1.0, -2.0), "right": (-1.0, 2.0)}


def test_a_step_along_an_attribute_is_one_standard_deviation_of_it() -> None:
    rng = np.random.default_rng(0)
    shift = rng.uniform(-0.5, 0.5, 400)
    images = np.stack([bar(3, value) for value in shift])
    slant = latents.slant(images)
    codes = np.column_stack((2 * (slant - slant.mean()) / slant.std() + 5, rng.standard_normal(400)))
    data = pictures(images, np.zeros(400), (), "slant")
    (step,) = latents.directions(codes, data.train.labels, images, data).values()
    assert step[0] == pytest.approx(2, rel=1e-4)
    assert abs(step[1]) < 4 / np.sqrt(400)
