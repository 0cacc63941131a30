"""A folder of photographs for a denoiser, at their full size, by stated rules.

A hash of the pixels holds a tenth of them back to measure on. Of these the first 24 in the order of
their hashes are measured, each cut to its centre of at most 512x512 pixels.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from training.data.own.faults import ALLOWED, Faults
from training.data.own.folder import Unreadable, decode, look
from training.data.own.told import Own, count, credit
from training.data.photographs import SMALLEST, Photographs, Picture
from training.data.source import DataError, digest

LEAST = 40
MOST_BYTES = 2**31
"""Of all photographs. Training holds them twice."""
MEASURED = 24
WINDOW = 512


def read(path: Path) -> Own[Photographs]:
    """Read all photographs into memory, in colour.

    Raises:
        DataError: there are too few or too many, or too many cannot be read.
    """
    folder = look(path)
    faults, small = folder.faults(), Faults(f"photographs in {folder.name}", "")
    found: dict[bytes, Picture] = {}
    repeated = size = 0
    for place, file in enumerate(tqdm(folder.files, unit="photograph", leave=False, disable=not sys.stderr.isatty())):
        try:
            pixels = np.asarray(decode(file).convert("RGB"))
        except Unreadable as error:
            faults.add(1, [(place, f"{folder.said(file)}: {error}")])
            continue
        height, width, _ = pixels.shape
        if min(height, width) < SMALLEST:
            least = f"{SMALLEST} pixels a side are the least"
            small.add(1, [(place, f"{folder.said(file)}: it is {width}x{height}; {least}")])
            continue
        key = hashlib.sha256(f"{width}x{height}".encode() + pixels.tobytes()).digest()
        if key in found:
            repeated += 1
            continue
        found[key] = pixels
        size += pixels.nbytes
        if size > MOST_BYTES:
            raise DataError(
                f"{folder.name}: the first {place + 1:,} of {len(folder.files):,} photographs take more than "
                f"{MOST_BYTES / 2**30:.0f} GiB of memory, the most that is allowed: fewer of them, or smaller ones"
            )
    told = [*faults.told(len(folder.files), ALLOWED), *small.told(len(folder.files), 1.0)]
    if repeated:
        told.append(f"  {count(repeated, 'repeated photograph')} left out")
    if len(found) < LEAST:
        raise DataError(
            "\n".join([f"{folder.name} holds {count(len(found), 'photograph')}; {LEAST} are the least", *told])
        )
    keys = sorted(found)
    train = [found[key] for key in keys if not _held_back(key)]
    held = [found[key] for key in keys if _held_back(key)]
    if not held:
        raise DataError(f"the hash of the pixels holds none of the {len(found)} photographs back: add some more")
    measured = [_centre(pixels) for pixels in held[:MEASURED]]
    words = f"{count(len(found), 'photograph')}"
    told = [
        f"{folder.name}: {words} in colour at their full size, what is transparent white",
        *told,
        *folder.told(),
        f"split by a hash of the pixels: {len(train):,} to learn from, {len(held):,} held back, of which "
        f"{len(measured)} are measured, each cut to its centre of at most {WINDOW}x{WINDOW}",
    ]
    name = f"own photographs {folder.name}, held back by a hash of the pixels, centre of at most {WINDOW}x{WINDOW}"
    sha256 = digest(pixels.tobytes() + repr(pixels.shape).encode() for pixels in [*train, *measured])
    data = Photographs(train, measured, [], "none", sha256, validation_name=name)
    return Own(data, credit(f"{words} (folder {folder.name})"), f"Trained on {words} ({folder.name}).", tuple(told))


def _held_back(key: bytes) -> bool:
    return int.from_bytes(key[:8], "big") % 10 == 0


def _centre(pixels: Picture) -> Picture:
    top, left = (max(0, edge - WINDOW) // 2 for edge in pixels.shape[:2])
    return pixels[top : top + WINDOW, left : left + WINDOW].copy()
