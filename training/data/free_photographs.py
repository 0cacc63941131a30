"""Photographs whose licences allow any use of what was learnt from them.

They come from Debian packages and from two freely licensed sets; `free_photographs.csv` names every one with its hash,
licence and author.
"""

import csv
import hashlib
import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from models.manifest import Credit
from training.data import photographs
from training.data.photographs import Photographs, Picture
from training.data.source import DataError, Source, digest

LOSSLESS = "train"
"""The folder of the pictures that are taken as they are. The others are JPEGs, taken at half their size or less."""
LONGEST = 1800
"""Pixels of a JPEG's longer side after scaling, at most: it is then free of blocks."""


@dataclass(frozen=True)
class Entry:
    """One photograph: its place in the folder, the hash of its bytes, and whose it is."""

    file: str
    sha256: str
    licence: str
    credit: str


@cache
def inventory() -> tuple[Entry, ...]:
    """Every training photograph."""
    text = Path(__file__).with_suffix(".csv").read_text("utf-8")
    return tuple(Entry(**row) for row in csv.DictReader(io.StringIO(text)))


def read(folder: Path) -> Photographs:
    """Read the photographs of the inventory, and what else lies in `validation/` and `test/` or `set12/`.

    Raises:
        DataError: a file is not the one that the inventory names, or a picture cannot be read.
        FileNotFoundError: one is missing.
    """
    raw = [_checked(folder / entry.file, entry.sha256) for entry in inventory()]
    train = [_taken(folder / entry.file, data) for entry, data in zip(inventory(), raw, strict=True)]
    return photographs.assemble(folder, train, digest(raw))


def _checked(path: Path, sha256: str) -> bytes:
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DataError(f"{path} is not the photograph that was chosen: its hash is another")
    return data


def _taken(path: Path, data: bytes) -> Picture:
    picture = photographs.colour(photographs.decode(path, data))
    if path.parent.name == LOSSLESS:
        return picture
    image = Image.fromarray(picture)
    factor = min(0.5, LONGEST / max(image.size))
    width, height = (round(factor * length) for length in image.size)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


SOURCE = Source(
    name="photos",
    credit=Credit(
        data="246 photographs from Debian packages, GB82 (8), CLIC 2025 crops (12)",
        source="https://packages.debian.org: endless-sky-high-dpi 0.9.8-1, lomiri-wallpapers-16.04 20.04.0-2, "
        "lomiri-wallpapers-20.04 20.04.0-2, sddm-theme-maldives 0.19.0-5, palapeli-data 4:22.12.3-1. "
        "https://github.com/gianni-rosato/gb82-image-set, https://github.com/imazen/codec-corpus",
        licence="Every one allows commercial use: public domain (151), CC-BY-SA-4.0 (55), CC-BY-SA-3.0 (31), CC0-1.0 "
        "(9), CC-BY-4.0 (7), CC-BY-3.0 (1), Unsplash licence (12). training/data/free_photographs.csv names each.",
        citation="Photographs by Chris Pickel, @harro.eu, Eric Denni, @Iridium Ore, Michael Wilso, Michael Zahniser, "
        "Berthold Werner, Myrabella, Dmitry A. Mottl, Matthew Field, Aitzol Berasategi, Sander Klootwijk, Bolly, "
        'Trevor "Freespace", Jakub Mede, Clemens Engelhardt, Lukas Baubkus, Nevit Dilmen, Gianni Rosato, NASA, USGS, '
        "the Library of Congress, Derek Jensen, the US Department of Agriculture, John Severns, and others of "
        "unsplash.com and morguefile.com.",
    ),
    files="the unpacked Debian packages (`apt-get download`, then `dpkg -x FILE.deb DIR`: photographs in usr/), train/ "
    "with GB82 and CLIC, validation/ with PNG, JPEG or WebP photographs, and test/ or set12/.",
    read=read,
    synthetic=photographs.synthetic,
    own="photographs",
)
