"""Photographs for restoration: a folder with `train/`, `validation/` and, if there is one, `test/` or `set12/`."""

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.manifest import Credit
from training.data.source import DataError, Source, digest

Picture = NDArray[np.uint8]
"""Pixels [H,W,3] of a colour photograph, or [H,W] of a grey one."""
FORMATS = ("PNG", "JPEG", "WEBP")
SMALLEST = 64
SHOWABLE = {"gb82_": "GB82 image set by Gianni Rosato, CC0", "clic_": "CLIC 2025, Unsplash licence"}
"""Credit of the photographs that may be shown to anybody, by the start of their file's name; the freest first."""


@dataclass(frozen=True)
class Photographs:
    """`train` and `validation` are in colour; `test` pictures stay as they are.

    `showable` are the places in `validation` of photographs that may be shown to anybody, with their credit.
    """

    train: list[Picture]
    validation: list[Picture]
    test: list[Picture]
    test_name: str
    sha256: str
    showable: dict[int, str] = field(default_factory=dict[int, str])
    validation_name: str = "validation photographs"


def read(folder: Path) -> Photographs:
    """Read all pictures into memory (a 481x321 photograph takes 0.5 MB).

    Raises:
        DataError: a folder holds no picture, or a picture cannot be read or is too small.
    """
    files = _files(folder / "train")
    raw = [path.read_bytes() for path in files]
    train = [colour(decode(path, data)) for path, data in zip(files, raw, strict=True)]
    return assemble(folder, train, digest(raw))


def assemble(folder: Path, train: list[Picture], sha256: str) -> Photographs:
    """`train` with its hash, and the held-out pictures of `folder`.

    Raises:
        DataError: a folder holds no picture, or a picture cannot be read or is too small.
    """
    validation = _files(folder / "validation")
    test = folder / "set12" if (folder / "set12").is_dir() else folder / "test"
    return Photographs(
        train=train,
        validation=[colour(decode(path, path.read_bytes())) for path in validation],
        test=[decode(path, path.read_bytes()) for path in (_files(test) if test.is_dir() else [])],
        test_name=test.name,
        sha256=sha256,
        showable={
            place: credit
            for start, credit in SHOWABLE.items()
            for place, path in enumerate(validation)
            if path.name.startswith(start)
        },
    )


def synthetic(seed: int) -> Photographs:
    """Pictures of soft gradients and hard-edged discs: enough for a denoiser to learn something true."""
    rng = np.random.default_rng(seed)

    def picture() -> Picture:
        y, x = np.mgrid[0:96, 0:96] / 96
        slope = rng.uniform(-1, 1, (3, 2))
        canvas = 0.5 + 0.4 * (slope[:, :1, None] * (x - 0.5) + slope[:, 1:, None] * (y - 0.5))
        for _ in range(6):
            centre, radius, colour = rng.uniform(0, 1, 2), rng.uniform(0.05, 0.3), rng.uniform(0, 1, (3, 1))
            canvas[:, (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2] = colour
        return (canvas.transpose(1, 2, 0).clip(0, 1) * 255).round().astype(np.uint8)

    train, validation, test = ([picture() for _ in range(count)] for count in (16, 4, 4))
    everything = digest(picture.tobytes() for picture in train)
    shown = dict.fromkeys(range(len(validation)), "synthetic")
    return Photographs(train, validation, [picture[..., 0] for picture in test], "synthetic", everything, shown)


def _files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"))
    if not found:
        raise DataError(f"{folder} holds no PNG, JPEG or WebP picture")
    return found


def decode(path: Path, data: bytes) -> Picture:
    """The pixels of the picture `data`, in grey or in colour; `path` is for the message.

    Raises:
        DataError: it cannot be read or is too small.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.mode.startswith(("I", "F")):  # Pillow would make it white
            raise ValueError("it has more than 8 bit a channel")
        pixels = np.asarray(image if image.mode == "L" else image.convert("RGB"))
    except Exception as error:  # Pillow raises many kinds for a broken file
        raise DataError(f"{path} cannot be read as a picture: {error}") from error
    if min(pixels.shape[:2]) < SMALLEST:
        raise DataError(f"{path} is {pixels.shape[1]}x{pixels.shape[0]}; {SMALLEST} pixels a side are the least")
    return pixels


def colour(picture: Picture) -> Picture:
    """`picture` in three channels."""
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)


SOURCE = Source(
    name="photos",
    credit=Credit(
        data="BSDS500 (232 photographs), GB82 (8), CLIC 2025 crops (12)",
        source="https://github.com/BIDS/BSDS500, https://github.com/gianni-rosato/gb82-image-set, "
        "https://github.com/imazen/codec-corpus",
        licence="BSDS500: non-commercial research and education; GB82: CC0; CLIC: Unsplash licence. "
        "Weights trained on all of them: non-commercial research and education.",
        citation="Martin, Fowlkes, Tal, Malik: A database of human segmented natural images, ICCV 2001. "
        "Arbelaez, Maire, Fowlkes, Malik: Contour detection and hierarchical image segmentation, TPAMI 2011.",
    ),
    files="the folders train/ and validation/ with PNG, JPEG or WebP photographs, and test/ or set12/.",
    read=read,
    synthetic=synthetic,
    own="photographs",
)
