from typing import get_args

import numpy as np
import pytest

from models.manifest import Denoise
from models.noise import ESTIMATORS, haar


def smooth(channels: int, height: int, width: int) -> np.ndarray:
    """Slow waves and no noise, in 0..1, [channels, height, width]."""
    phase = np.arange(channels)[:, None, None]
    y, x = np.mgrid[0:height, 0:width]
    return (0.5 + 0.25 * np.sin(x / 40 + phase) + 0.25 * np.cos(y / 30)).astype(np.float32)


def noisy(sigma: float, channels: int = 3, height: int = 256, width: int = 256) -> np.ndarray:
    draw = np.random.default_rng(11)
    return smooth(channels, height, width) + draw.normal(0, sigma, (channels, height, width)).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [2 / 255, 10 / 255, 25 / 255, 75 / 255])
def test_finds_the_sigma_of_white_noise(sigma: float, channels: int) -> None:
    assert haar(noisy(sigma, channels)) == pytest.approx(sigma, rel=0.03)


def test_finds_no_noise_in_a_smooth_picture() -> None:
    assert haar(smooth(3, 256, 256)) < 0.1 / 255


def test_edges_of_objects_are_not_noise() -> None:
    picture = noisy(10 / 255)
    picture[:, 100:, 37:] += 0.5
    assert haar(picture) == pytest.approx(10 / 255, rel=0.04)


@pytest.mark.parametrize("factor", [2.0, 256.0, 1 / 64, -1.0])
def test_scales_exactly_with_the_picture(factor: float) -> None:
    picture = noisy(0.1)
    assert haar(picture * np.float32(factor)) == abs(factor) * haar(picture)


def test_the_order_of_rows_and_columns_does_not_matter() -> None:
    picture = noisy(0.1)
    assert haar(picture[:, ::-1]) == haar(picture[:, :, ::-1]) == haar(picture)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 9), (3, 9, 1), (1, 0, 0)])
def test_a_picture_without_two_by_two_pixels_counts_as_clean(shape: tuple[int, int, int]) -> None:
    assert haar(np.ones(shape, np.float32)) == 0.0


def test_two_by_two_pixels_are_enough() -> None:
    picture = np.array([[[1, 0], [0, 1]]], np.float32)
    assert haar(picture) == pytest.approx(1 / 0.6745)


def test_an_odd_last_row_and_column_are_left_out() -> None:
    picture = noisy(0.1, height=33, width=65)
    assert haar(picture) == haar(picture[:, :32, :64])


def test_every_name_that_a_manifest_may_use_is_known() -> None:
    assert set(get_args(Denoise.model_fields["estimator"].annotation)) == set(ESTIMATORS)
