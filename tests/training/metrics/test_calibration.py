from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import tiny
from training.metrics import calibration


def test_independent_pixels_are_right_pixel_by_pixel_and_in_nothing_else() -> None:
    train = np.random.default_rng(0).integers(1, 255, (4, 6, 7), dtype=np.uint8)
    found = calibration.independent_pixels(train, 50, seed=0)
    assert found.shape == (50, 6, 7)
    assert (found[:, None] == train[None]).any(axis=1).all(), "each pixel is that of a training picture"
    assert not (found[:, None] == train[None]).all(axis=(2, 3)).any(), "no whole picture is"


def _drawn(pictures: NDArray[np.uint8]) -> Counter[bytes]:
    return Counter(picture.tobytes() for picture in pictures)


def test_real_pictures_are_drawn_from_all_of_training_in_the_classes_of_the_test_pictures() -> None:
    data = tiny.twin("digits-gan")
    real = calibration.scale(data)["real training pictures"]
    found, train = _drawn(real), _drawn(data.train.images)
    assert found <= train, "none twice"
    label_of = {picture.tobytes(): label for picture, label in zip(data.train.images, data.train.labels, strict=True)}
    classes = Counter(label_of[picture.tobytes()] for picture in real)
    wanted, there = Counter(data.measured.labels.tolist()), Counter(data.train.labels.tolist())
    assert classes == Counter({label: min(number, there[label]) for label, number in wanted.items()})
    assert found != _drawn(data.train.images[: len(real)]), "not the first ones"


def test_real_pictures_are_degraded_as_they_are_named() -> None:
    data = tiny.twin("digits-gan")
    found = calibration.scale(data)
    real = found["real training pictures"]
    assert np.array_equal(found["real ones shifted by 2 pixels"][:, :, :, 2:], real[:, :, :, :-2])
    seen = _drawn(found["real ones, one class missing"])
    assert seen <= _drawn(data.train.images[data.train.labels != 0])
    one_class = replace(data, classes=())
    assert "real ones, one class missing" not in calibration.scale(one_class)


def test_few_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "REPEATED", 30)
    data = tiny.twin("digits-gan")
    found = calibration.scale(data)
    repeated = found["30 real ones repeated"]
    assert len(repeated) == len(data.measured.images)
    assert np.array_equal(repeated[30:60], found["real training pictures"][:30])


def test_blurring_spreads_a_point_as_a_gaussian_does() -> None:
    point = np.zeros((1, 1, 15, 15), np.uint8)
    point[0, 0, 7, 7] = 250
    found = calibration.blurred(point, 1.0)[0, 0].astype(float)
    distance = np.square(np.arange(15) - 7.0)
    expected = 250 * np.exp(-(distance[:, None] + distance[None]) / 2) / (2 * np.pi)
    assert np.abs(found - expected).max() < 1
    assert not calibration.blurred(point[:, :, :1], 1.0)[0, 0, 0, 0]
