import gzip
import hashlib
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.data import mnist
from training.data.source import DataError

IMAGES = np.random.default_rng(0).integers(256, size=(42, 28, 28), dtype=np.uint8)
LABELS = np.arange(42, dtype=np.uint8) % 10
TEST_IMAGES, TEST_LABELS = IMAGES[:3] ^ 255, LABELS[:3] + 1
NAMES = list(mnist.DIGIT_FILES)


def idx(array: np.ndarray) -> bytes:
    """IDX as its page describes it: two zero bytes, the type, the number of axes, the axes, the values."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Four hand-made files in the canonical order, with their MD5."""
    found = {}
    for name, array in zip(NAMES, (IMAGES, LABELS, TEST_IMAGES, TEST_LABELS), strict=True):
        data = gzip.compress(idx(array), mtime=0)
        (tmp_path / name).write_bytes(data)
        found[name] = hashlib.md5(data).hexdigest()
    return found


def test_the_files_are_read_and_the_last_sixth_is_for_validation(tmp_path: Path, files: dict[str, str]) -> None:
    found = mnist.read(tmp_path, files, mnist.DIGIT_CLASSES, (), "by hand")
    for part, images, labels in (
        (found.train, IMAGES[:35], LABELS[:35]),
        (found.validation, IMAGES[35:], LABELS[35:]),
        (found.test, TEST_IMAGES, TEST_LABELS),
    ):
        assert np.array_equal(part.images, images[:, None])
        assert np.array_equal(part.labels, labels)
        assert part.images.dtype == part.labels.dtype == np.uint8
    assert (found.classes, found.name) == (tuple("0123456789"), "by hand")


def test_the_hash_is_that_of_all_four_files(tmp_path: Path, files: dict[str, str]) -> None:
    before = mnist.read(tmp_path, files, mnist.DIGIT_CLASSES, (), "by hand").sha256
    assert mnist.read(tmp_path, files, mnist.DIGIT_CLASSES, (), "by hand").sha256 == before
    for name in NAMES:
        kept = (tmp_path / name).read_bytes()
        other = gzip.compress(gzip.decompress(kept), mtime=1)
        (tmp_path / name).write_bytes(other)
        changed = files | {name: hashlib.md5(other).hexdigest()}
        assert mnist.read(tmp_path, changed, mnist.DIGIT_CLASSES, (), "by hand").sha256 != before
        (tmp_path / name).write_bytes(kept)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_not_the_canonical_one_is_refused(tmp_path: Path, files: dict[str, str], name: str) -> None:
    data = bytearray((tmp_path / name).read_bytes())
    data[-1] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as caught:
        mnist.read(tmp_path, files, mnist.DIGIT_CLASSES, (), "by hand")
    found = hashlib.md5(data).hexdigest()
    assert str(caught.value) == f"{tmp_path / name} has the MD5 {found}; the canonical file has {files[name]}"


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named(tmp_path: Path, files: dict[str, str], name: str) -> None:
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=rf"/{name} is not there\. The folder must hold"):
        replace(mnist.DIGITS, read=lambda folder: mnist.read(folder, files, (), (), "by hand")).load(tmp_path)


def test_the_twin_is_the_same_for_a_seed_and_shows_its_classes() -> None:
    first, again, other = (mnist.DIGITS.synthetic(seed) for seed in (3, 3, 4))
    for part in ("train", "validation", "test"):
        one, two = getattr(first, part), getattr(again, part)
        assert np.array_equal(one.images, two.images)
        assert np.array_equal(one.labels, two.labels)
        assert not np.array_equal(one.images, getattr(other, part).images)
        assert one.images.shape[1:] == (1, 28, 28)
        assert one.images.dtype == np.uint8
    assert first.sha256 == again.sha256 != other.sha256
    means = np.stack([first.train.images[first.train.labels == label].mean(axis=0).ravel() for label in range(10)])
    flat = first.test.images.reshape(100, -1)
    nearest = ((flat[:, None] - means[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == first.test.labels).mean() > 0.8, "the class shows in the pixels"


def test_the_other_data_set_is_a_stranger_if_it_lies_beside(tmp_path: Path, files: dict[str, str]) -> None:
    home, beside = tmp_path / "ours", tmp_path / "theirs"
    for folder in (home, beside):
        folder.mkdir()
    for name in files:
        (tmp_path / name).rename(home / name)
    other = mnist.Other("theirs", dict(files), "Theirs")
    assert mnist.read(home, files, (), (), "by hand", other).stranger is None
    data = gzip.compress(idx(IMAGES[5:9]))
    other.files[mnist.TEST_IMAGES] = hashlib.md5(data).hexdigest()
    (beside / mnist.TEST_IMAGES).write_bytes(data)
    found = mnist.read(home, files, (), (), "by hand", other)
    assert found.stranger is not None
    assert found.stranger.name == "Theirs test"
    assert np.array_equal(found.stranger.images, IMAGES[5:9, None])
    assert found.sha256 == mnist.read(home, files, (), (), "by hand").sha256
    (beside / mnist.TEST_IMAGES).write_bytes(data[:-1])
    with pytest.raises(DataError, match="the canonical file has"):
        mnist.read(home, files, (), (), "by hand", other)
