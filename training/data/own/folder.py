"""A folder of pictures of any size: what is there, and each picture decoded, upright, in grey or in colour."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from training.data.own.faults import Faults
from training.data.own.told import count, shown
from training.data.source import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "YCbCr")
"""Pillow's names of what has 8 bit a channel and is grey or of red, green and blue."""
MOST_PIXELS = 2**26
"""Of one picture, by its header: more is refused before it is decoded."""


class Unreadable(ValueError):
    """A file that is no picture, or none that is read; the message says why."""


@dataclass(frozen=True)
class Folder:
    """Picture files in the order of their names, wherever below `path` they lie, and how many `others` there are."""

    path: Path
    files: list[Path]
    others: int

    @property
    def name(self) -> str:
        return shown(self.path)

    def faults(self) -> Faults:
        return Faults(f"pictures in {self.name}", "Mend or remove them.")

    def said(self, file: Path) -> str:
        """A file of it as a message shows it."""
        return str(file.relative_to(self.path))

    def told(self) -> list[str]:
        if not self.others:
            return []
        return [f"  {count(self.others, 'other file')} passed over (hidden, linked folders, or not {_suffixes()})"]


def look(path: Path) -> Folder:
    """List a folder and the folders in it. Hidden ones and links to folders are passed over.

    Raises:
        DataError: it is no folder, or holds no picture.
    """
    files: list[Path] = []
    others = 0
    if not path.is_dir():
        raise DataError(f"{path} is no folder")

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error

    for root, folders, names in os.walk(path, onerror=refuse):
        links = [name for name in folders if name.startswith(".") or os.path.islink(os.path.join(root, name))]
        folders[:] = sorted(set(folders).difference(links))
        found = [Path(root, name) for name in sorted(names) if _picture(root, name)]
        files += found
        others += len(links) + len(names) - len(found)
    if not files:
        raise DataError(f"{path} holds no picture ({_suffixes()})")
    return Folder(path, files, others)


def decode(path: Path, side: int | None = None) -> Image.Image:
    """A picture in the mode L or RGB, upright; what is transparent is white.

    With `side`, a JPEG may come out smaller than it is, but with twice `side` or more.

    Raises:
        Unreadable: it is damaged, of another format, too large, animated, or has more than 8 bit a channel.
    """
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise Unreadable(f"it has {width}x{height} pixels; {MOST_PIXELS:,} are the most")
            if image.mode not in MODES:
                raise Unreadable(f"its pixels are of the kind {image.mode}, not grey or RGB with 8 bit a channel")
            if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:  # MPO: a photograph with its preview
                raise Unreadable("it has several frames")
            if side is not None:
                image.draft(None, (2 * side, 2 * side))
            upright = ImageOps.exif_transpose(image)
            if upright.has_transparency_data:
                colours = upright.convert("RGBA")
                upright = Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours).convert("RGB")
            return upright.convert("L" if upright.mode in ("1", "L", "LA") else "RGB")
    except Unreadable:
        raise
    except Exception as error:  # Pillow raises many kinds for a broken file
        raise Unreadable(f"it cannot be read: {error}") from error


def _picture(root: str, name: str) -> bool:
    hidden = name.startswith(".")
    return not hidden and name.lower().endswith(SUFFIXES) and os.path.isfile(os.path.join(root, name))


def _suffixes() -> str:
    return ", ".join(suffix[1:].upper() for suffix in SUFFIXES)
