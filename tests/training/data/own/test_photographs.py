"""A folder of photographs of one's own, at their full size."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from training.data.own import photographs
from training.data.own.told import Own
from training.data.photographs import Photographs
from training.data.source import DataError

COUNT = 50


def noise(seed: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


def save(path: Path, pixels: NDArray[np.uint8], **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for number in range(COUNT):
        save(tmp_path / "trip" / ("a" if number % 2 else "") / f"{number:02}.png", noise(number, 64 + number, 70, 3))
    return tmp_path / "trip"


def read(home: Path) -> Own[Photographs]:
    return photographs.read(home)


def keys(pictures: list[NDArray[np.uint8]]) -> set[bytes]:
    return {picture.tobytes() for picture in pictures}


def test_photographs_keep_their_size_and_a_tenth_is_held_back(home: Path) -> None:
    own = read(home)
    data = own.data
    assert keys([*data.train, *data.validation]) == {
        noise(number, 64 + number, 70, 3).tobytes() for number in range(COUNT)
    }
    assert len(data.train) + len(data.validation) == COUNT
    assert 1 <= len(data.validation) <= 15
    assert data.test == []
    held = len(data.validation)
    assert own.told == (
        "trip: 50 photographs in colour at their full size, what is transparent white",
        f"split by a hash of the pixels: {COUNT - held} to learn from, {held} held back, of which {held} are measured, "
        "each cut to its centre of at most 512x512",
    )
    assert own.about == "Trained on 50 photographs (trip)."
    assert own.credit.data == "Own data: 50 photographs (folder trip)"
    assert data.validation_name == "own photographs trip, held back by a hash of the pixels, centre of at most 512x512"


def test_more_photographs_move_none_of_the_others(home: Path) -> None:
    before = read(home).data
    for number in range(20):
        save(home / f"new{number}.png", noise(100 + number, 64, 64, 3))
    after = read(home).data
    assert keys(before.train) < keys(after.train)
    assert keys(before.validation) <= keys(after.validation)
    assert after.sha256 != before.sha256 == read_without_new(home).sha256


def read_without_new(home: Path) -> Photographs:
    for path in home.glob("new*"):
        path.unlink()
    return read(home).data


def test_large_ones_are_measured_at_their_centre(home: Path) -> None:
    before = read(home).data
    large = [noise(200 + number, 600, 530, 3) for number in range(30)]
    for number, pixels in enumerate(large):
        save(home / f"large{number}.png", pixels, compress_level=0)
    data = read(home).data
    measured = keys(data.validation) - keys(before.validation)
    assert measured <= {pixels[44:556, 9:521].tobytes() for pixels in large}
    assert measured
    assert max(picture.shape for picture in data.train) == (600, 530, 3)


def test_no_more_than_24_are_measured(home: Path) -> None:
    for number in range(300):
        save(home / f"new{number}.png", noise(100 + number, 64, 64, 3))
    own = read(home)
    held = 350 - len(own.data.train)
    assert held > 24
    assert len(own.data.validation) == 24
    assert f"{held} held back, of which 24 are measured" in own.told[-1]


def test_small_unreadable_and_repeated_ones_are_named(home: Path) -> None:
    plain = read(home).data
    for number in range(3):
        save(home / f"small{number}.png", noise(300 + number, 63, 80, 3))
    save(home / "again.png", noise(7, 71, 70, 3))
    own = read(home)
    assert own.data.sha256 == plain.sha256
    assert own.told[1:6] == (
        "  3 of 54 photographs in trip are bad: skipped",
        *(f"    small{number}.png: it is 80x63; 64 pixels a side are the least" for number in range(3)),
        "  1 repeated photograph left out",
    )
    (home / "words.png").write_text("words")
    with pytest.raises(DataError, match=r"^1 of 55 pictures in trip is bad; 1 % may be\."):
        read(home)


def test_grey_ones_become_colour(home: Path) -> None:
    save(home / "grey.png", noise(400, 64, 64))
    data = read(home).data
    assert np.repeat(noise(400, 64, 64)[..., None], 3, axis=2).tobytes() in keys([*data.train, *data.validation])


def test_too_few_are_refused_with_the_least_that_would_do(home: Path) -> None:
    for path in sorted(home.rglob("*.png"))[:11]:
        path.unlink()
    with pytest.raises(DataError, match=r"^trip holds 39 photographs; 40 are the least$"):
        read(home)
