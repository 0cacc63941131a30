import numpy as np
import pytest

from models.noise import by_graph, haar


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


class Judge:
    """Takes the largest value of a window for its sigma and remembers what it was shown."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        self.shapes.append(windows.shape)
        return windows.max(axis=(1, 2, 3))


def test_a_graph_judges_the_channels_of_a_small_picture_whole() -> None:
    judge = Judge()
    picture = np.zeros((3, 20, 512), np.float32)
    picture[:, 10, 500] = 0.1, 0.7, 0.3
    assert by_graph(picture, judge) == pytest.approx(0.3), "the median of the channels"
    assert judge.shapes == [(3, 1, 20, 512)]


def test_windows_cover_a_picture_from_edge_to_edge_and_stay_few() -> None:
    judge = Judge()
    corners = np.zeros((1, 513, 700), np.float32)
    corners[0, [0, 0, -1, -1], [0, -1, 0, -1]] = 0.4
    assert by_graph(corners, judge) == pytest.approx(0.4), "each of four windows holds a corner"
    assert judge.shapes == [(1, 1, 512, 512)] * 4
    wide = Judge()
    by_graph(np.zeros((1, 3, 10_000), np.float32), wide)
    assert wide.shapes == [(1, 1, 16, 512)] * 4


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 30), (15, 15)])
def test_a_picture_too_small_for_a_graph_is_continued_by_its_mirror_image(height: int, width: int) -> None:
    judge = Judge()
    picture = noisy(0.1, 3, height, width)
    assert by_graph(picture, judge) == pytest.approx(float(np.median(picture.max(axis=(1, 2)))))
    assert judge.shapes == [(3, 1, max(height, 16), max(width, 16))]
