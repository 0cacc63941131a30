"""PNG: its chunks before Pillow sees them, and a fast writer.

16-bit colour is not read, because Pillow would cut it to 8 bit in silence. It is written.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.media.decoding import cut_off, decode, unreadable
from service.media.exif import ASIDE, upright
from service.media.negotiation import PNG
from service.media.picture import Header, Picture
from service.problems import UnreadablePicture

FORM = "PNG"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
"""Colour types of PNG."""
NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"iCCP")
"""What decoding needs beside the pixels, each at most once and before them. Pillow takes the last of several."""
MOST_PARTS = 2**15
"""Chunks of pixels; libpng writes 8 KB in each. Each takes microseconds, whatever is in it."""
BAND = 2**20
"""Pixels that are written at a time."""
MOST_CHUNKS = 1000
"""All the others. Each takes time to read, for twelve bytes."""


class Chunk(NamedTuple):
    kind: bytes
    at: int
    """Where its data begins."""
    size: int


def header(data: bytes) -> Header:
    """What the chunks tell.

    Raises:
        UnreadablePicture: not a PNG, cut off, or of a kind that is not read.
    """
    chunks = _chunks(data)
    first = next(chunks, None)
    if first is None or first.kind != b"IHDR" or first.size != 13:
        raise UnreadablePicture("The PNG does not begin with its header.")
    width, height, depth, colour = struct.unpack_from(">IIBB", data, first.at)
    before = {first.kind}
    exif, begun = None, False
    for chunk in chunks:
        begun = begun or chunk.kind == b"IDAT"
        if chunk.kind == b"eXIf":
            exif = data[chunk.at : chunk.at + chunk.size]
        if chunk.kind in NEEDED and (begun or chunk.kind in before):
            raise UnreadablePicture(f"The PNG's {chunk.kind.decode()} comes after its pixels, or again.")
        if chunk.kind == b"PLTE" and (not 3 <= chunk.size <= 768 or chunk.size % 3):
            raise UnreadablePicture(f"The PNG's palette has {chunk.size} bytes.")
        if not begun:
            before.add(chunk.kind)
    if b"acTL" in before:
        raise UnreadablePicture("The picture is an animation; send one frame.")
    if colour == PALETTE and b"PLTE" not in before:  # Pillow would show it black
        raise UnreadablePicture("The PNG has no palette.")
    deep, clear = depth == 16, colour in (GREY_ALPHA, RGBA) or b"tRNS" in before
    if deep and (colour != GREY or clear):
        raise UnreadablePicture("Of 16-bit pictures only grey without transparency is read; send 8 bit per channel.")
    turn, _ = upright(exif)
    sides = (width, height) if turn in ASIDE else (height, width)
    shape = sides if colour in (GREY, GREY_ALPHA) else (*sides, 3)
    return Header(PNG, shape, np.uint16 if deep else np.uint8, clear)


def read(data: bytes) -> Picture:
    """Decode a picture whose header was read.

    Raises:
        UnreadablePicture: a checksum is wrong, or the pixels are broken.
    """
    exif = None
    kept: list[memoryview] = []
    pixels: list[memoryview] = []
    for chunk in _chunks(data):
        whole = memoryview(data)[chunk.at - 8 : chunk.at + chunk.size + 4]
        body = whole[8:-4]
        if zlib.crc32(whole[4:-4]) != int.from_bytes(whole[-4:]):  # decoding does not look at those of the pixels
            raise UnreadablePicture("The picture is broken: a checksum is wrong.")
        if chunk.kind == b"IDAT":
            pixels.append(body)
        elif chunk.kind in NEEDED:
            kept.append(whole)
        elif chunk.kind == b"eXIf":
            exif = bytes(body)
    # Pillow would unpack every text, and take long over many chunks. The checksum of the pixels it leaves unread.
    begin = struct.pack(">I4s", sum(map(len, pixels)), b"IDAT")
    plain = b"".join([SIGNATURE, *kept, begin, *pixels, bytes(4), *_chunk(b"IEND")])
    return decode(plain, FORM, *upright(exif))


def write(picture: Picture) -> bytes:
    """PNG with the "up" filter on every row and zlib at its fastest, in bands of rows: a copy of all would double it.

    Pillow searches for a filter row by row, which takes ten times as long for files of about the same size.
    """
    levels = picture.levels()
    planes = levels[..., None] if levels.ndim == 2 else levels
    colour = {1: GREY, 3: RGB}[planes.shape[2]]
    if picture.alpha is not None:
        colour = {GREY: GREY_ALPHA, RGB: RGBA}[colour]
    depth = 8 * planes.dtype.itemsize
    chunks = _chunk(b"IHDR", struct.pack(">IIBBBBB", picture.width, picture.height, depth, colour, 0, 0, 0))
    if picture.icc:
        chunks += _chunk(b"iCCP", b"ICC\0\0", zlib.compress(picture.icc))
    if picture.exif:
        chunks += _chunk(b"eXIf", picture.exif)
    squeeze, pixels = zlib.compressobj(1), list[bytes]()
    before: NDArray[np.uint8] | None = None
    band = max(1, BAND // picture.width)
    for top in range(0, picture.height, band):
        part = planes[top : top + band]
        if picture.alpha is not None:
            part = np.concatenate([part, picture.alpha[top : top + band, :, None]], axis=2)
        rows = part.astype(part.dtype.newbyteorder(">")).reshape(len(part), -1).view(np.uint8)
        filtered = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
        filtered[:, 0] = 2
        filtered[0, 1:] = rows[0] if before is None else rows[0] - before
        np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
        before = rows[-1]
        pixels.append(squeeze.compress(filtered.data))
    pixels.append(squeeze.flush())
    return b"".join([SIGNATURE, *chunks, *_chunk(b"IDAT", *pixels), *_chunk(b"IEND")])


def _chunks(data: bytes) -> Iterator[Chunk]:
    """All of them but the end, which must come.

    Raises:
        UnreadablePicture: not a PNG, cut off, or of more chunks than are read.
    """
    if not data.startswith(SIGNATURE):
        raise unreadable(FORM)
    place, parts, others = len(SIGNATURE), 0, 0
    while place + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, place)
        if place + 12 + size > len(data):
            break
        if kind == b"IEND":
            return
        parts, others = (parts + 1, others) if kind == b"IDAT" else (parts, others + 1)
        if parts > MOST_PARTS or others > MOST_CHUNKS:
            raise UnreadablePicture(f"The PNG has more than {MOST_PARTS} chunks of pixels, or {MOST_CHUNKS} others.")
        yield Chunk(kind, place + 8, size)
        place += 12 + size
    raise cut_off(FORM)


def _chunk(kind: bytes, *data: bytes) -> list[bytes]:
    """A chunk in parts to be joined."""
    checksum = zlib.crc32(kind)
    for part in data:
        checksum = zlib.crc32(part, checksum)
    return [struct.pack(">I4s", sum(map(len, data)), kind), *data, struct.pack(">I", checksum)]
