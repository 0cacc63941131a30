import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training.data import photographs
from training.data.photographs import Photographs
from training.data.source import DataError, digest

COLOUR = np.random.default_rng(0).integers(256, size=(64, 80, 3), dtype=np.uint8)
GREY = COLOUR[..., 0]


def save(path: Path, pixels: np.ndarray[Any, Any], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "train" / "b.png", COLOUR)
    save(tmp_path / "train" / "a.PNG", GREY)
    save(tmp_path / "validation" / "v.png", COLOUR[::-1])
    save(tmp_path / "test" / "t.png", GREY)
    return tmp_path


def test_training_pictures_are_in_colour_and_test_pictures_as_they_are(folder: Path) -> None:
    save(folder / "test" / "u.png", COLOUR)
    found = photographs.read(folder)
    assert [picture.shape for picture in found.train] == [(64, 80, 3)] * 2
    assert np.array_equal(found.train[0], np.stack([GREY] * 3, axis=2)), "in the order of their names"
    assert np.array_equal(found.train[1], COLOUR)
    assert np.array_equal(found.validation[0], COLOUR[::-1])
    assert np.array_equal(found.test[0], GREY)
    assert np.array_equal(found.test[1], COLOUR)
    assert found.test_name == "test"


def test_set12_is_the_test_where_it_is_and_no_test_is_needed(folder: Path) -> None:
    save(folder / "set12" / "01.png", GREY[:, :70])
    found = photographs.read(folder)
    assert (found.test_name, [picture.shape for picture in found.test]) == ("set12", [(64, 70)])
    for name in ("set12/01.png", "test/t.png"):
        (folder / name).unlink()
        (folder / name).parent.rmdir()
    assert photographs.read(folder).test == []


def test_only_photographs_of_free_sources_may_be_shown(folder: Path) -> None:
    for name in ("bsds_1.png", "clic_1.png", "gb82_1.png", "gb82.png", "my_gb82_1.png"):
        save(folder / "validation" / name, COLOUR)
        save(folder / "train" / name, COLOUR)
    found = photographs.read(folder)
    assert list(found.showable.items()) == [
        (3, "GB82 image set by Gianni Rosato, CC0"),
        (1, "CLIC 2025, Unsplash licence"),
    ]
    for name in ("clic_1.png", "gb82_1.png"):
        (folder / "validation" / name).unlink()
    assert photographs.read(folder).showable == {}


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_other_formats_are_read(folder: Path, form: str) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(80)).astype(np.uint8)[..., None].repeat(3, axis=2)
    save(folder / "train" / f"c.{form.lower()}", smooth, format=form, quality=95)
    assert np.abs(photographs.read(folder).train[2].astype(int) - smooth).max() < 12


def test_transparency_and_palettes_become_colours(folder: Path) -> None:
    rgba = np.dstack((COLOUR, np.full((64, 80), 255, np.uint8)))
    save(folder / "train" / "c.png", rgba)
    Image.fromarray(GREY).convert("P").save(folder / "train" / "d.png")
    train = photographs.read(folder).train
    assert np.array_equal(train[2], COLOUR)
    assert np.array_equal(train[3], np.stack([GREY] * 3, axis=2))


def test_the_hash_is_that_of_the_training_files(folder: Path) -> None:
    before = photographs.read(folder).sha256
    assert before == digest([(folder / "train" / name).read_bytes() for name in ("a.PNG", "b.png")])
    save(folder / "test" / "t.png", GREY + 1)
    assert photographs.read(folder).sha256 == before
    save(folder / "train" / "b.png", COLOUR + 1)
    assert photographs.read(folder).sha256 != before


def test_a_picture_that_is_too_small_is_named(folder: Path) -> None:
    path = save(folder / "validation" / "small.png", COLOUR[:63])
    with pytest.raises(DataError) as caught:
        photographs.read(folder)
    assert str(caught.value) == f"{path} is 80x63; 64 pixels a side are the least"


@pytest.mark.parametrize("damage", [lambda data: data[:200], lambda data: b"", lambda data: b"GIF89a" + data])
def test_a_broken_picture_is_named(folder: Path, damage: Any) -> None:
    path = folder / "train" / "b.png"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=rf"{path} cannot be read as a picture: "):
        photographs.read(folder)


def test_sixteen_bit_grey_is_refused_not_turned_white(folder: Path) -> None:
    path = save(folder / "train" / "c.png", GREY.astype(np.uint16) * 257)
    with pytest.raises(DataError, match=rf"{path} cannot be read as a picture: it has more than 8 bit a channel"):
        photographs.read(folder)


def test_a_format_that_is_not_expected_is_not_opened(folder: Path) -> None:
    save(folder / "train" / "c.png", COLOUR, format="GIF")
    with pytest.raises(DataError, match=r"c\.png cannot be read as a picture"):
        photographs.read(folder)


def test_other_files_are_left_alone(folder: Path) -> None:
    (folder / "train" / "README.md").write_text("words")
    assert len(photographs.read(folder).train) == 2


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_folder_without_pictures_is_named(folder: Path, part: str) -> None:
    for path in (folder / part).iterdir():
        path.unlink()
    with pytest.raises(DataError, match=rf"{folder / part} holds no PNG, JPEG or WebP picture"):
        photographs.SOURCE.load(folder)
    (folder / part).rmdir()
    with pytest.raises(DataError, match=rf"{folder / part} is not there\. The folder must hold"):
        photographs.SOURCE.load(folder)


def test_the_twin_is_the_same_for_a_seed() -> None:
    first, again, other = (photographs.synthetic(seed) for seed in (1, 1, 2))

    def bytes_of(data: Photographs) -> list[str]:
        pictures = [*data.train, *data.validation, *data.test]
        return [hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures]

    assert bytes_of(first) == bytes_of(again)
    assert not set(bytes_of(first)) & set(bytes_of(other))
    assert first.sha256 == again.sha256 != other.sha256
    assert {picture.shape for picture in (*first.train, *first.validation)} == {(96, 96, 3)}
    assert {picture.shape for picture in first.test} == {(96, 96)}
