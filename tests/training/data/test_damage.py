import numpy as np
import pytest

from training.data import damage
from training.data.photographs import Picture

GREY = np.full((200, 300), 100, np.uint8)
RAMP = np.broadcast_to(np.linspace(20, 230, 300).astype(np.uint8)[None, :, None], (200, 300, 3)).copy()
SHAPES = pytest.mark.parametrize("clean", [GREY, RAMP, RAMP[:33, :17]], ids=["grey", "colour", "small"])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@SHAPES
@pytest.mark.parametrize("case", list(damage.CASES))
def test_every_case_changes_a_copy_and_keeps_shape_and_type_and_its_seed(clean: Picture, case: str) -> None:
    before = clean.copy()
    found = damage.CASES[case](clean, rng(1))
    assert np.array_equal(clean, before)
    assert found.shape == clean.shape
    assert found.dtype == np.uint8
    assert not np.array_equal(found, clean) or case.startswith("JPEG")
    assert np.array_equal(found, damage.CASES[case](clean, rng(1)))


@pytest.mark.parametrize(("gain", "read"), [(0.01, 0.0), (0.0, 0.05), (0.004, 0.03)])
@pytest.mark.parametrize("value", [60, 128])
def test_the_variance_of_sensor_noise_is_that_of_the_model(gain: float, read: float, value: int) -> None:
    noise = damage.sensor(np.full((400, 400), value, np.uint8), rng(), gain=gain, read=read) / 255 - value / 255
    expected = gain * value / 255 + read**2 + (1 / 255) ** 2 / 12  # the last is of rounding
    assert np.var(noise) == pytest.approx(expected, rel=0.05)
    assert abs(noise.mean()) < 5 * np.sqrt(expected / noise.size) + 0.1 / 255


@pytest.mark.parametrize("clean", [GREY, RAMP])
def test_salt_and_pepper_strikes_its_share_of_pixels_whole(clean: Picture) -> None:
    found = damage.salt_and_pepper(clean, rng(), share=0.2)
    bad = (found != clean).reshape(*clean.shape[:2], -1).any(axis=2)
    assert bad.mean() == pytest.approx(0.2, abs=0.01)
    struck = found[bad].reshape(int(bad.sum()), -1)
    assert ((struck == struck[:, :1]) & np.isin(struck, (0, 255))).all()
    assert (struck[:, 0] == 0).mean() == pytest.approx(0.5, abs=0.03)


def test_blocks_of_a_jpeg_begin_where_it_is_said() -> None:
    """At a low quality the steps between blocks are larger than those inside of them."""
    noisy = np.clip(RAMP[..., 0] + rng().normal(0, 8, RAMP.shape[:2]), 0, 255).astype(np.uint8)
    for shift in (0, 3):
        found = damage.jpeg(noisy, rng(), quality=5, shift=shift).astype(float)
        steps = np.abs(np.diff(found, axis=0)).mean(axis=1)  # between rows i and i + 1
        by_phase = [steps[phase::8].mean() for phase in range(8)]
        assert int(np.argmax(by_phase)) == (7 - shift) % 8


def test_a_caption_is_opaque_and_a_watermark_lets_the_picture_through() -> None:
    black = white = 0
    for seed in range(20):
        caption = damage.caption(RAMP, rng(seed))
        ink, count = np.unique(caption[(caption != RAMP).any(axis=2)], axis=0, return_counts=True)
        assert count.max() > 5 * np.sort(count)[-2], "all but the edges of letters have the colour of the ink"
        black += (ink[count.argmax()] == 0).all()
        white += (ink[count.argmax()] == 255).all()
        mark = damage.watermark(RAMP, rng(seed)).astype(int)
        assert len(np.unique(mark[(mark != RAMP).any(axis=2)], axis=0)) > 20, "the ramp shows through"
    assert black > 0
    assert white > 0


def test_training_meets_every_kind_and_pictures_with_nothing_wrong() -> None:
    draws = [damage.any_damage(GREY, rng(seed)) for seed in range(300)]
    untouched = sum(np.array_equal(found, GREY) for found in draws)
    assert 3 <= untouched <= 40
    assert sum(len(np.unique(found)) > 20 for found in draws) > 50, "noise"
    dead = [np.isin(found, (0, 255)).mean() for found in draws]
    assert sum(0.003 < share < 0.4 for share in dead) > 30
