"""Bytes to pictures and back, whatever their format, with everything a picture must keep.

Kept: grey as grey, 16-bit grey, floats of arrays, alpha, the ICC profile, EXIF (its
orientation is applied to the pixels; broken EXIF is dropped, and so is more of it, or of a
profile, than JPEG can hold). Palettes become RGB or RGBA, 1-bit becomes grey. What cannot be
read honestly is refused: 16-bit colour, CMYK, animations, several pages.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from service.media import arrays, jpeg, png, tiff, webp
from service.media.exif import sized
from service.media.negotiation import JPEG, NPY, PNG, TIFF, WEBP
from service.media.picture import Header, Picture
from service.problems import PictureTooLarge

HEADERS: dict[str, Callable[[bytes], Header]] = {
    PNG: png.header,
    JPEG: jpeg.header,
    WEBP: webp.header,
    TIFF: tiff.header,
    NPY: arrays.header,
}
READERS: dict[str, Callable[[bytes], Picture]] = {PNG: png.read, JPEG: jpeg.read, WEBP: webp.read, TIFF: tiff.read}
MAX_SIDE = 65500
"""A longer line of pixels is no picture, and padding would multiply it."""
WRITTEN_SIDES = {JPEG: 65500, WEBP: webp.MAX_SIDE}
"""What a format holds."""


def inspect(data: bytes, kind: str, max_pixels: int) -> Header:
    """Read the header of a body of media type `kind`.

    Raises:
        PictureTooLarge: more than `max_pixels`, those of all its pictures counted.
        UnreadablePicture, UnreadableArray: not of that type, or of a kind that is not read.
    """
    header = HEADERS[kind](data)
    height, width = header.shape[:2]
    size = f"{width} x {height}" if header.count == 1 else f"{header.count} x {width} x {height}"
    if header.pixels > max_pixels:
        raise PictureTooLarge(
            f"The picture has {size} pixels; {max_pixels} are allowed.", setting="HARMONIUM_MAX_PIXELS"
        )
    if max(width, height) > MAX_SIDE:
        raise PictureTooLarge(f"The picture has {size} pixels; a side may have {MAX_SIDE}.")
    return header


def read(data: bytes, kind: str) -> list[Picture]:
    """Decode what `inspect` let pass: several pictures only from an array that is a stack of them.

    Raises:
        UnreadablePicture, UnreadableArray: it is cut off or broken.
    """
    return arrays.read(data) if kind == NPY else [READERS[kind](data)]


def loses(header: Header, kind: str) -> str | None:
    """What an answer of media type `kind` could not hold of a picture with this header."""
    if header.clear and kind in (JPEG, NPY):
        return "transparency"
    if header.dtype == np.uint16 and kind in (JPEG, WEBP):
        return "16 bit"
    most = WRITTEN_SIDES.get(kind)
    return f"a side of more than {most} pixels" if most and max(header.shape[:2]) > most else None


def write(picture: Picture, kind: str, quality: int = 90) -> bytes:
    """Encode as PNG, JPEG or WebP, which must lose nothing by it; `quality` 1..100 is for the last two.

    Floats are cut to 0..1 and rounded to 8 bit.
    """
    if picture.exif:
        picture = replace(picture, exif=sized(picture.exif, picture.width, picture.height))
    if kind == PNG:
        return png.write(picture)
    return (jpeg if kind == JPEG else webp).write(picture, quality)
