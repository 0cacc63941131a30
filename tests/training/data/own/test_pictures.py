"""A folder of pictures of one's own: every rule by which it is read."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from training.data.labelled import Pictures, Split
from training.data.own import pictures
from training.data.own.folder import Unreadable, decode
from training.data.own.told import Own
from training.data.source import DataError

Pixels = NDArray[np.uint8]
COUNT = 120


def noise(seed: int, *shape: int) -> Pixels:
    return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


def save(path: Path, pixels: Pixels, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """120 grey pictures of the size that is read, in no class."""
    for number in range(COUNT):
        save(tmp_path / "pets" / f"{number:03}.png", noise(number, 16, 16))
    return tmp_path / "pets"


def read(home: Path, side: int = 16) -> Own[Pictures]:
    return pictures.read(home, side)


def refused(home: Path, side: int = 16) -> str:
    with pytest.raises(DataError) as caught:
        read(home, side)
    return str(caught.value)


def parts(data: Pictures) -> dict[str, Split]:
    return {"train": data.train, "validation": data.validation, "test": data.test}


def placed(data: Pictures) -> dict[bytes, tuple[str, int]]:
    """The part and label of every picture, by its pixels in colour."""
    found: dict[bytes, tuple[str, int]] = {}
    for name, part in parts(data).items():
        for image, label in zip(part.images, part.labels.tolist(), strict=True):
            key = np.broadcast_to(image, (3, *image.shape[1:])).tobytes()
            assert key not in found, "a picture is in one part, once"
            found[key] = name, label
    return found


def test_a_flat_folder_has_no_classes(home: Path) -> None:
    own = read(home)
    data = own.data
    assert (data.classes, data.attributes, data.shape) == ((), (), (1, 16, 16))
    counts = [len(part.images) for part in parts(data).values()]
    assert sum(counts) == COUNT
    assert {image.tobytes() for part in parts(data).values() for image in part.images} == {
        noise(number, 16, 16).tobytes() for number in range(COUNT)
    }
    assert all(part.labels.dtype == np.uint8 and not part.labels.any() for part in parts(data).values())
    what = "120 pictures of 16x16 pixels in grey, without classes"
    assert own.told == (
        f"pets: {what}; each cut to its centre square and resized, what is transparent white",
        f"split by a hash of the pixels: {counts[0]} to learn from, {counts[1]} for validation, {counts[2]} to measure "
        "on",
    )
    assert own.about == f"Trained on {what} (pets)."
    assert own.credit.data == f"Own data: {what} (folder pets)"
    assert data.name == "own pictures pets, split by a hash of the pixels,"


def test_each_part_is_the_tenth_of_its_hash_in_no_order_of_names(home: Path) -> None:
    data = read(home).data
    for number in range(COUNT):
        key = hashlib.sha256(np.repeat(noise(number, 16, 16)[..., None], 3, axis=2).tobytes()).digest()
        part = {0: "test", 1: "validation"}.get(int.from_bytes(key[:8], "big") % 10, "train")
        assert placed(data)[np.broadcast_to(noise(number, 16, 16), (3, 16, 16)).tobytes()] == (part, 0)
    first = [image.tobytes() for image in data.train.images[:5]]
    assert first != sorted(first, key=[noise(number, 16, 16).tobytes() for number in range(COUNT)].index)


def test_more_pictures_move_none_of_the_others_even_if_they_bring_colour(home: Path) -> None:
    before = placed(read(home).data)
    for number in range(30):
        save(home / f"new{number}.png", noise(1_000 + number, 16, 16, 3))
    data = read(home).data
    after = placed(data)
    assert data.shape == (3, 16, 16)
    assert len(after) == len(before) + 30
    assert all(after[key] == place for key, place in before.items())


def test_the_hash_is_that_of_the_pictures_and_their_classes(home: Path) -> None:
    before = read(home).data.sha256
    (home / "000.png").rename(home / "zzz.png")
    assert read(home).data.sha256 == before
    save(home / "zzz.png", noise(999, 16, 16))
    assert read(home).data.sha256 != before
    save(home / "zzz.png", noise(0, 16, 16))
    for number in range(1, COUNT // 2):
        (home / "a").mkdir(exist_ok=True)
        (home / f"{number:03}.png").rename(home / "a" / f"{number:03}.png")
    for path in list(home.glob("*.png")):
        (home / "b").mkdir(exist_ok=True)
        path.rename(home / "b" / path.name)
    assert read(home).data.sha256 != before


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["dog", "Cat", "bird"], ["Cat", "bird", "dog"]),
        (["10", "9", "0"], ["0", "9", "10"]),
        (["a b", "é"], ["a b", "é"]),
    ],
)
def test_folders_are_classes(tmp_path: Path, names: list[str], ordered: list[str]) -> None:
    for label, name in enumerate(names):
        for number in range(60):
            deep = tmp_path / "pets" / name / ("more" if number % 2 else "")
            save(deep / f"{number}.png", noise(100 * label + number, 16, 16))
    own = read(tmp_path / "pets")
    assert own.data.classes == tuple(ordered)
    found = placed(own.data)
    for label, name in enumerate(names):
        keys = [np.broadcast_to(noise(100 * label + number, 16, 16), (3, 16, 16)).tobytes() for number in range(60)]
        assert {found[key][1] for key in keys} == {ordered.index(name)}
    assert own.told[1] == "  classes: " + ", ".join(f"{name} 60" for name in ordered)
    assert f"in {len(names)} classes" in own.about


def test_one_folder_of_pictures_is_no_class(home: Path) -> None:
    plain = read(home).data
    home.rename(home.parent / "train")
    (home / "deep").mkdir(parents=True)
    (home.parent / "train").rename(home / "deep" / "train")
    data = read(home).data
    assert (data.classes, data.sha256) == ((), plain.sha256)


def test_other_files_are_passed_over_and_counted(home: Path) -> None:
    plain = read(home)
    (home / "notes.txt").write_text("words")
    (home / ".DS_Store").write_bytes(b"x")
    save(home / ".hidden" / "a.png", noise(7_000, 16, 16))
    save(home.parent / "elsewhere" / "a.png", noise(7_001, 16, 16))
    (home / "link").symlink_to(home.parent / "elsewhere")
    (home / "gone.png").symlink_to(home / "nowhere.png")
    own = read(home)
    assert own.data.sha256 == plain.data.sha256
    assert own.told[1].startswith("  5 other files passed over (hidden, linked folders, or not PNG, JPG, ")


# Each picture.


def decoded(path: Path) -> Pixels:
    return np.asarray(decode(path))


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
def test_formats_keep_every_pixel(tmp_path: Path, form: str, shape: tuple[int, ...]) -> None:
    path = save(tmp_path / "a.tif", noise(0, *shape), format=form, **({"lossless": True} if form == "WEBP" else {}))
    pixels = decoded(path)
    assert np.array_equal(pixels if pixels.shape == shape else pixels[..., 0], noise(0, *shape))


def test_a_jpeg_is_upright(tmp_path: Path) -> None:
    ramp = np.repeat(np.arange(0, 240, 4, dtype=np.uint8)[:, None], 40, axis=1)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    path = save(tmp_path / "a.jpg", ramp, exif=exif, quality=95)
    assert np.abs(decoded(path).astype(int) - np.rot90(ramp, -1)).max() < 12


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(tmp_path: Path, mode: str) -> None:
    if mode == "P":
        image = Image.fromarray(np.repeat(np.uint8([[0, 1]]), 10, axis=1).repeat(20, axis=0)).convert("P")
        image.putpalette([0, 0, 0, 90, 90, 90])
        image.save(tmp_path / "a.png", transparency=1)
    else:
        rgba = np.zeros((20, 20, 4), np.uint8)
        rgba[:, :10, 3] = 255
        Image.fromarray(rgba).convert(mode).save(tmp_path / "a.png")
    pixels = decoded(tmp_path / "a.png")
    assert not pixels[:, :10].any()
    assert (pixels[:, 10:] == 255).all()


def test_the_centre_square_is_resized(home: Path) -> None:
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, 32:64] = (200, 100, 50)
    save(home / "wide.png", wide)
    save(home / "tall.png", wide.transpose(1, 0, 2)[:, :, ::-1])
    images = np.concatenate([part.images for part in parts(read(home).data).values()])
    for colour in ((200, 100, 50), (50, 100, 200)):
        whole = np.broadcast_to(np.array(colour, np.uint8)[:, None, None], (3, 16, 16))
        assert (images == whole).all(axis=(1, 2, 3)).sum() == 1


@pytest.mark.parametrize("side", [16, 28, 128])
def test_pictures_come_to_the_side_and_smaller_ones_are_told(home: Path, side: int) -> None:
    own = read(home, side)
    assert own.data.shape == (1, side, side)
    told = [line for line in own.told if "enlarged" in line]
    assert told == ([] if side == 16 else [f"  120 pictures smaller than {side} pixels enlarged"])


def test_colour_pictures_that_are_grey_everywhere_are_grey(home: Path) -> None:
    for number in range(COUNT):
        save(home / f"{number:03}.png", np.repeat(noise(number, 16, 16)[..., None], 3, axis=2))
    assert read(home).data.shape == (1, 16, 16)


def test_a_large_jpeg_is_read_as_it_looks(home: Path) -> None:
    smooth = np.add.outer(np.arange(1_600), np.arange(1_600)) // 16
    save(home / "large.jpg", smooth.astype(np.uint8), quality=95)
    small = np.asarray(Image.fromarray(smooth.astype(np.uint8)).resize((16, 16), Image.Resampling.BILINEAR)).astype(int)
    images = np.concatenate([part.images[:, 0] for part in parts(read(home).data).values()]).astype(int)
    assert np.abs(images - small).max(axis=(1, 2)).min() < 3


def broken(path: Path) -> None:
    data = save(path, noise(0, 40, 40)).read_bytes()
    path.write_bytes(data[: len(data) // 2])


def sixteen_bit(path: Path) -> None:
    Image.fromarray(noise(0, 40, 40).astype(np.uint16) * 257).save(path)


def cmyk(path: Path) -> None:
    Image.fromarray(noise(0, 40, 40, 4), "CMYK").save(path, format="TIFF")


def animated(path: Path) -> None:
    frames = [Image.fromarray(noise(number, 40, 40)) for number in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def bomb(path: Path) -> None:
    Image.new("1", (10_000, 10_000)).save(path)


def gif(path: Path) -> None:
    Image.fromarray(noise(0, 40, 40)).save(path, format="GIF")


BAD: list[tuple[Callable[[Path], None], str]] = [
    (broken, "it cannot be read: "),
    (Path.touch, "it cannot be read: "),
    (sixteen_bit, "its pixels are of the kind I;16, not grey or RGB with 8 bit a channel"),
    (cmyk, "its pixels are of the kind CMYK, not grey or RGB with 8 bit a channel"),
    (animated, "it has several frames"),
    (bomb, "it has 10000x10000 pixels; 67,108,864 are the most"),
    (gif, "it cannot be read: "),
]


@pytest.mark.parametrize(("make", "told"), BAD, ids=["cut", "empty", "16 bit", "CMYK", "animated", "bomb", "GIF"])
def test_a_picture_that_cannot_be_read_is_named_and_skipped(
    home: Path, make: Callable[[Path], None], told: str
) -> None:
    plain = read(home)
    (home / "in").mkdir()
    for path in home.glob("*.png"):
        path.rename(home / "in" / path.name)
    make(home / "in" / "bad.png")
    own = read(home)
    assert own.data.sha256 == plain.data.sha256
    assert own.told[1] == "  1 of 121 pictures in pets is bad: skipped"
    assert own.told[2].startswith(f"    in/bad.png: {told}")


def test_more_than_one_in_a_hundred_that_cannot_be_read_is_refused(home: Path) -> None:
    for name in ("a.png", "b.png"):
        (home / name).write_bytes(b"words")
    told = refused(home).split("\n")
    assert told[0] == "2 of 122 pictures in pets are bad; 1 % may be. Mend or remove them."
    assert [line.partition(":")[0] for line in told[1:]] == ["  a.png", "  b.png"]


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_a_picture_or_a_refusal(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.png"
    good = save(path, noise(0, 24, 24)).read_bytes()
    for whole in (data, good[: len(data)] + data, good[: -len(data)] + data if data else good):
        path.write_bytes(whole)
        try:
            image = decode(path, 16)
        except Unreadable:
            continue
        assert image.mode in ("L", "RGB")


# Repeated pictures, limits and what does not do.


def test_a_repeated_picture_is_kept_once_whatever_its_file(home: Path) -> None:
    plain = read(home)
    save(home / "again.bmp", noise(3, 16, 16))
    save(home / "in colour.png", np.repeat(noise(4, 16, 16)[..., None], 3, axis=2))
    own = read(home)
    assert own.data.sha256 == plain.data.sha256
    assert own.told[1] == "  2 repeated pictures left out"


def test_of_one_picture_in_two_classes_the_first_counts(tmp_path: Path) -> None:
    for number in range(60):
        save(tmp_path / "pets" / "a" / f"{number}.png", noise(number, 16, 16))
        save(tmp_path / "pets" / "b" / f"{number}.png", noise(max(100 + number, 105), 16, 16))
    save(tmp_path / "pets" / "b" / "also.png", noise(7, 16, 16))
    own = read(tmp_path / "pets")
    assert placed(own.data)[np.broadcast_to(noise(7, 16, 16), (3, 16, 16)).tobytes()][1] == 0
    assert own.told[1:3] == (
        "  classes: a 60, b 55",
        "  6 repeated pictures left out, 1 of them in another class than the first",
    )


def test_too_few_are_refused_with_the_least_that_would_do(home: Path) -> None:
    for number in range(21):
        (home / f"{number:03}.png").unlink()
    assert refused(home) == "pets holds 99 different pictures; 100 are the least"
    for number in range(21, COUNT):
        (home / f"{number:03}.png").unlink()
    assert refused(home).startswith(f"{home} holds no picture (PNG, JPG, ")
    assert refused(home / "nowhere") == f"{home / 'nowhere'} is no folder"


def test_a_class_of_too_few_is_refused(home: Path) -> None:
    for name, numbers in (("many", range(101)), ("few", range(101, COUNT))):
        (home / name).mkdir()
        for number in numbers:
            (home / f"{number:03}.png").rename(home / name / f"{number:03}.png")
    assert refused(home) == "the class 'few' has 19 different pictures; 20 are the least"


def test_pictures_beside_folders_of_pictures_are_not_clear(home: Path) -> None:
    save(home / "cat" / "a.png", noise(999, 16, 16))
    assert refused(home) == (
        f"{home} holds 120 pictures beside folders of pictures: put every picture into the folder of its class, or all "
        "of them into none"
    )


@pytest.mark.parametrize("name", ["line\nbreak", " blank", "long" * 17])
def test_a_folder_that_cannot_name_a_class_is_refused(home: Path, name: str) -> None:
    for number in range(COUNT):
        here = home / (name if number % 2 else "cat")
        here.mkdir(exist_ok=True)
        (home / f"{number:03}.png").rename(here / f"{number:03}.png")
    assert refused(home) == f"the folder {name!r} cannot name a class: rename it to up to 64 printable letters"


def test_more_than_memory_may_hold_is_refused_with_the_figure(tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    target = save(tmp_path / "a.png", noise(0, 16, 16, 3))
    for number in range(350):
        (many / f"{number}.png").symlink_to(target)
    assert refused(many, 1_024) == (
        "many: 350 pictures of 1024x1024 pixels in colour take 1.03 GiB of memory; 1 GiB are the most: choose a "
        "smaller --side, or fewer pictures"
    )
