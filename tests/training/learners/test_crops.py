import math
from typing import Any

import numpy as np
import pytest
import torch

from training.learners.crops import Crops

NOISE = np.random.default_rng(0)


def random(height: int, width: int) -> np.ndarray[Any, Any]:
    return NOISE.integers(256, size=(height, width, 3), dtype=np.uint8)


def drawn(
    *pictures: np.ndarray[Any, Any], rows: int = 400, size: int = 16, smallest_scale: float = 1.0
) -> torch.Tensor:
    torch.manual_seed(0)
    return Crops(list(pictures), size, smallest_scale).draw(rows)


def likely(count: int, rows: int, share: float) -> bool:
    """Within five standard deviations of a binomial draw."""
    return abs(count - rows * share) < 5 * math.sqrt(rows * share * (1 - share))


def test_crops_come_in_all_eight_orientations() -> None:
    picture = random(16, 16)
    turned = [np.rot90(side, turns) for side in (picture, picture[:, ::-1]) for turns in range(4)]
    expected = {side.transpose(2, 0, 1).tobytes() for side in turned}
    found = {row.numpy().tobytes() for row in drawn(picture).round().to(torch.uint8)}
    assert len(expected) == 8
    assert found == expected


def test_every_pixel_of_a_picture_is_reached() -> None:
    """The corners too, in pictures that are no multiple of anything."""
    height, width = 45, 71
    numbered = np.arange(height * width).reshape(height, width)
    picture = np.dstack([numbered // 256, numbered % 256, 0 * numbered]).astype(np.uint8)
    high, low, _ = drawn(picture, rows=2000).long().unbind(dim=1)
    assert set((256 * high + low).flatten().tolist()) == set(range(height * width))


def test_a_picture_smaller_than_the_crop_is_mirrored() -> None:
    picture = random(40, 20)
    for crop in drawn(picture, rows=8, size=32):
        wide = [crop, crop.transpose(1, 2)]
        assert any(torch.equal(part[..., 20:], part[..., 7:19].flip(2)) for one in wide for part in (one, one.flip(2)))


def test_a_picture_much_smaller_than_the_crop_is_mirrored_again_and_again() -> None:
    picture = random(5, 7)
    (crop,) = drawn(picture, rows=1, size=32)
    assert crop.shape == (3, 32, 32)
    assert set(crop.flatten().tolist()) <= set(picture.flatten().tolist())


def test_of_two_even_pictures_the_larger_is_drawn_more_often() -> None:
    black, white = np.zeros((32, 32, 3), np.uint8), np.full((96, 32, 3), 255, np.uint8)
    means = drawn(black, white).mean(dim=(1, 2, 3))
    assert likely(int((means > 0).sum()), 400, 0.75)


def test_detail_is_drawn_by_the_root_of_its_mean_step() -> None:
    even = np.full((32, 32, 3), 7, np.uint8)
    striped = np.zeros((32, 32, 3), np.uint8)
    striped[:, 1::2] = 30  # steps of 30 to the right, of 0 downwards, and none at the right edge
    step = 30 * (31 / 32) / 2
    share = math.sqrt(1 + step) / (1 + math.sqrt(1 + step))
    rows = 4000
    crops = drawn(even, striped, rows=rows)
    assert likely(int((crops.flatten(1).std(dim=1) > 0).sum()), rows, share)


@pytest.mark.parametrize(("smallest_scale", "share"), [(1.0, 0.0), (0.5, 0.5)])
def test_half_of_the_crops_are_scaled_down(smallest_scale: float, share: float) -> None:
    """A scaled crop of black and white pixels has greys in it."""
    picture = 255 * NOISE.integers(2, size=(64, 64, 1), dtype=np.uint8).repeat(3, axis=2)
    crops = drawn(picture, smallest_scale=smallest_scale)
    grey = ((crops > 1) & (crops < 254)).flatten(1).any(dim=1)
    assert int(grey.sum()) == 0 if share == 0 else likely(int(grey.sum()), 400, share)


def test_a_scaled_crop_shows_more_of_the_picture_and_keeps_its_brightness() -> None:
    slope = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None], (64, 64, 3))
    crops = drawn(np.ascontiguousarray(slope), smallest_scale=0.5)
    spans = (crops.amax(dim=(1, 2, 3)) - crops.amin(dim=(1, 2, 3))).numpy()
    assert spans.min() == pytest.approx(15, abs=0.01), "16 pixels at full size"
    assert 24 < spans.max() <= 31, "up to 32 of them, of which 16 are made"
    assert crops.min() >= 0
    assert crops.max() <= 63


def test_the_draw_follows_from_the_seed() -> None:
    picture = random(50, 60)
    first, again = (drawn(picture, rows=8, smallest_scale=0.5) for _ in range(2))
    assert torch.equal(first, again)
