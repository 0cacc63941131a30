"""MNIST and Fashion-MNIST: four gzip IDX files of 28x28 grey pictures in ten classes."""

import gzip
import hashlib
import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.manifest import Credit
from training.data.labelled import Pictures, Split, Stranger
from training.data.source import DataError, Source, digest

TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
DIGIT_FILES = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    TEST_IMAGES: "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
DIGIT_CLASSES = tuple("0123456789")
DIGIT_ATTRIBUTES = ("thickness", "slant")
FASHION_FILES = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    TEST_IMAGES: "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@dataclass(frozen=True)
class Other:
    """The other of the two data sets: the folder that it has beside this one's, and its files."""

    folder: str
    files: dict[str, str]
    name: str


def read(
    folder: Path,
    files: dict[str, str],
    classes: tuple[str, ...],
    attributes: tuple[str, ...],
    name: str,
    other: Other | None = None,
) -> Pictures:
    """Read the four files in their canonical order and check their MD5.

    The test pictures of the `other` are taken too, as strangers, if they lie in a folder beside this one.

    Raises:
        DataError: a file is not the canonical one.
        FileNotFoundError: a file is missing.
    """
    raw = [_checked(folder / file, md5) for file, md5 in files.items()]
    images, labels, test_images, test_labels = (_idx(gzip.decompress(data)) for data in raw)
    images, test_images = images[:, None], test_images[:, None]
    edge = len(images) * 5 // 6
    return Pictures(
        Split(images[:edge], labels[:edge]),
        Split(images[edge:], labels[edge:]),
        Split(test_images, test_labels),
        classes,
        attributes,
        name,
        digest(raw),
        showable=True,
        stranger=other and _stranger(folder.resolve().parent, other),
    )


def synthetic(seed: int, classes: tuple[str, ...], attributes: tuple[str, ...]) -> Pictures:
    """Bars whose direction tells the class, at random places and strengths."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:28, 0:28] - 13.5

    def split(count: int) -> Split:
        labels = rng.integers(len(classes), size=count).astype(np.uint8)
        angle = labels * np.pi / len(classes)
        offset, strength = rng.uniform(-4, 4, count), rng.uniform(0.6, 1, count)
        distance = x * np.cos(angle)[:, None, None] + y * np.sin(angle)[:, None, None] - offset[:, None, None]
        inside = (np.abs(x) < 10) & (np.abs(y) < 10)
        ink = np.exp(-(distance**2) / 4) * inside * strength[:, None, None]
        return Split((ink * 255).astype(np.uint8)[:, None], labels)

    train, validation, test = split(600), split(100), split(100)
    sha256 = digest([train.images.tobytes()])
    return Pictures(train, validation, test, classes, attributes, "synthetic", sha256, showable=True)


def _stranger(folder: Path, other: Other) -> Stranger | None:
    path = folder / other.folder / TEST_IMAGES
    if not path.is_file():
        return None
    images = _idx(gzip.decompress(_checked(path, other.files[TEST_IMAGES])))
    return Stranger(f"{other.name} test", images[:, None])


def _checked(path: Path, md5: str) -> bytes:
    data = path.read_bytes()
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(f"{path} has the MD5 {found}; the canonical file has {md5}")
    return data


def _idx(data: bytes) -> NDArray[Any]:
    """IDX: a big-endian magic number that ends in the number of axes, the axes, then one byte a value."""
    axes = data[3]
    shape = struct.unpack_from(f">{axes}I", data, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _files(files: dict[str, str]) -> str:
    return "four files:\n  " + "\n  ".join(f"{file} (MD5 {md5})" for file, md5 in files.items())


DIGITS = Source(
    name="mnist",
    credit=Credit(
        data="MNIST, 70,000 handwritten digits",
        source="Yann LeCun, Corinna Cortes, Christopher J. C. Burges, http://yann.lecun.com/exdb/mnist/",
        licence="CC BY-SA 3.0, as commonly stated for MNIST",
        citation="LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, "
        "Proc. IEEE 1998.",
    ),
    files=_files(DIGIT_FILES),
    read=partial(
        read,
        files=DIGIT_FILES,
        classes=DIGIT_CLASSES,
        attributes=DIGIT_ATTRIBUTES,
        name="MNIST",
        other=Other("fashion-mnist", FASHION_FILES, "Fashion-MNIST"),
    ),
    synthetic=partial(synthetic, classes=DIGIT_CLASSES, attributes=DIGIT_ATTRIBUTES),
    own="pictures",
)
FASHION = Source(
    name="fashion-mnist",
    credit=Credit(
        data="Fashion-MNIST, 70,000 grey pictures of clothing",
        source="Zalando Research, https://github.com/zalandoresearch/fashion-mnist",
        licence="MIT, copyright 2017 Zalando SE",
        citation="Xiao, Rasul, Vollgraf: Fashion-MNIST: a novel image dataset for benchmarking machine learning "
        "algorithms, arXiv:1708.07747, 2017.",
    ),
    files=_files(FASHION_FILES),
    read=partial(
        read,
        files=FASHION_FILES,
        classes=FASHION_CLASSES,
        attributes=(),
        name="Fashion-MNIST",
        other=Other("mnist", DIGIT_FILES, "MNIST"),
    ),
    synthetic=partial(synthetic, classes=FASHION_CLASSES, attributes=()),
    own="pictures",
)
