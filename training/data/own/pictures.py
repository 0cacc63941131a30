"""A folder of pictures for an encoder or a generator, by stated rules.

- Folders in it are classes, in the order of their names (numbers as numbers); pictures that lie in
  no folder, or all in one, have no class.
- Each picture is cut to its centre square and resized to `side` x `side`, by the filter that serving uses.
- They are grey if all are grey, else in colour. What is transparent is white.
- Of pictures with the same pixels the first is kept.
- A hash of the pixels says which part a picture belongs to: more pictures move none of the others.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from training.data.labelled import Images, Pictures, Split
from training.data.own.faults import ALLOWED
from training.data.own.folder import Folder, Unreadable, decode, look
from training.data.own.told import Own, count, credit
from training.data.source import DataError, digest

SIDE = 28
LEAST = 100
LEAST_OF_A_CLASS = 20
MOST_CLASSES = 256
MOST_BYTES = 2**30
"""Of all pictures. Training holds them two to three times."""
TENTHS = {0: "test", 1: "validation"}
"""Which tenth of the hashes is which part; the rest is to learn from."""


@dataclass(frozen=True)
class _Picture:
    """Pixels uint8 [H,W] or [H,W,3], the hash of them in colour, and the class."""

    pixels: NDArray[np.uint8]
    key: bytes
    label: int


def read(path: Path, side: int = SIDE) -> Own[Pictures]:
    """Read all pictures into memory.

    Raises:
        DataError: there are too few or too many, too many cannot be read, or classes are not clear.
    """
    folder = look(path)
    names, labels = _classes(folder)
    found, told = _read(folder, labels, side)
    _enough(folder, found, names)
    colour = any(picture.pixels.ndim == 3 for picture in found)
    found.sort(key=lambda picture: picture.key)  # in no order of class or name
    parts = {part: [picture for picture in found if _part(picture.key) == part] for part in ("", *TENTHS.values())}
    train, validation, test = (_stack(part, colour) for part in (parts[""], parts["validation"], parts["test"]))
    if min(len(validation.images), len(test.images)) < 2 or len(np.unique(train.labels)) < max(1, len(names)):
        raise DataError(f"{folder.name} has too few pictures to hold some of every class back: add more")
    size = f"{count(len(found), 'picture')} of {side}x{side} pixels in {'colour' if colour else 'grey'}"
    size += f", in {len(names)} classes" if names else ", without classes"
    told = [
        f"{folder.name}: {size}; each cut to its centre square and resized, what is transparent white",
        *([f"  {_counted(found, names)}"] if names else []),
        *told,
        *folder.told(),
        f"split by a hash of the pixels: {len(train.images):,} to learn from, {len(validation.images):,} for "
        f"validation, {len(test.images):,} to measure on",
    ]
    sha256 = digest(
        [repr((names, side, colour)).encode()]
        + [array.tobytes() for part in (train, validation, test) for array in (part.images, part.labels)]
    )
    data = Pictures(
        train, validation, test, names, (), f"own pictures {folder.name}, split by a hash of the pixels,", sha256
    )
    return Own(data, credit(f"{size} (folder {folder.name})"), f"Trained on {size} ({folder.name}).", tuple(told))


def _classes(folder: Folder) -> tuple[tuple[str, ...], list[int]]:
    """The names of the classes, and the class of each file."""
    tops = [file.relative_to(folder.path).parts for file in folder.files]
    loose = sum(len(parts) == 1 for parts in tops)
    names = {parts[0] for parts in tops if len(parts) > 1}
    if names and loose:
        raise DataError(
            f"{folder.path} holds {count(loose, 'picture')} beside folders of pictures: put every picture into the "
            "folder of its class, or all of them into none"
        )
    if len(names) <= 1:
        return (), [0] * len(tops)
    if len(names) > MOST_CLASSES:
        raise DataError(f"{folder.path} has {len(names)} folders of pictures; {MOST_CLASSES} classes are the most")
    odd = [name for name in names if not (name.isprintable() and name == name.strip() and len(name) <= 64)]
    if odd:
        raise DataError(f"the folder {odd[0]!r} cannot name a class: rename it to up to 64 printable letters")
    numbers = all(name.isascii() and name.isdecimal() for name in names)
    ordered = sorted(names, key=lambda name: (int(name) if numbers else 0, name))
    return tuple(ordered), [ordered.index(parts[0]) for parts in tops]


def _read(folder: Folder, labels: list[int], side: int) -> tuple[list[_Picture], list[str]]:
    """The pictures, each once, and what was done with the others."""
    faults = folder.faults()
    found: dict[bytes, _Picture] = {}
    repeated = elsewhere = enlarged = 0
    _fits(folder, side, 1)
    files = tqdm(folder.files, unit="picture", leave=False, disable=not sys.stderr.isatty())
    for place, (file, label) in enumerate(zip(files, labels, strict=True)):
        try:
            image = decode(file, side)
        except Unreadable as error:
            faults.add(1, [(place, f"{folder.said(file)}: {error}")])
            continue
        enlarged += min(image.size) < side
        picture = _fit(image, side, label)
        if picture.pixels.ndim == 3:
            _fits(folder, side, 3)
        first = found.setdefault(picture.key, picture)
        repeated += first is not picture
        elsewhere += first.label != label
    told = faults.told(len(folder.files), ALLOWED)
    if repeated:
        other = f", {elsewhere:,} of them in another class than the first" if elsewhere else ""
        told.append(f"  {count(repeated, 'repeated picture')} left out{other}")
    if enlarged:
        told.append(f"  {count(enlarged, 'picture')} smaller than {side} pixels enlarged")
    return list(found.values()), told


def _fit(image: Image.Image, side: int, label: int) -> _Picture:
    edge = min(image.size)
    left, top = ((length - edge) // 2 for length in image.size)
    square = image.crop((left, top, left + edge, top + edge))  # or the filter would look beyond it
    pixels = np.asarray(square.resize((side, side), Image.Resampling.BILINEAR))
    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    return _Picture(pixels, hashlib.sha256(_colour(pixels).tobytes()).digest(), label)


def _colour(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def _fits(folder: Folder, side: int, channels: int) -> None:
    size = len(folder.files) * side * side * channels
    if size > MOST_BYTES:
        kind = "colour" if channels == 3 else "grey"
        raise DataError(
            f"{folder.name}: {len(folder.files):,} pictures of {side}x{side} pixels in {kind} take {size / 2**30:.2f} "
            f"GiB of memory; {MOST_BYTES / 2**30:.0f} GiB are the most: choose a smaller --side, or fewer pictures"
        )


def _enough(folder: Folder, found: list[_Picture], names: tuple[str, ...]) -> None:
    if len(found) < LEAST:
        raise DataError(f"{folder.name} holds {count(len(found), 'different picture')}; {LEAST} are the least")
    of = Counter(picture.label for picture in found)
    for label, name in enumerate(names):
        if of[label] < LEAST_OF_A_CLASS:
            raise DataError(
                f"the class {name!r} has {count(of[label], 'different picture')}; {LEAST_OF_A_CLASS} are the least"
            )


def _counted(found: list[_Picture], names: tuple[str, ...]) -> str:
    of = Counter(picture.label for picture in found)
    return "classes: " + ", ".join(f"{name} {of[label]:,}" for label, name in enumerate(names))


def _part(key: bytes) -> str:
    return TENTHS.get(int.from_bytes(key[:8], "big") % 10, "")


def _stack(pictures: list[_Picture], colour: bool) -> Split:
    side = [picture.pixels.shape[0] for picture in pictures[:1]] or [0]
    images: Images = np.empty((len(pictures), 3 if colour else 1, side[0], side[0]), np.uint8)
    for place, picture in enumerate(pictures):
        images[place] = picture.pixels if not colour else _colour(picture.pixels).transpose(2, 0, 1)
    return Split(images, np.array([picture.label for picture in pictures], np.uint8))
