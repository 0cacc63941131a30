"""WebP: its chunks before Pillow sees them (RFC 9649), and its writer."""

import io
import struct

import numpy as np
from PIL import Image

from service.media.decoding import cut_off, decode, unreadable
from service.media.exif import ASIDE, upright
from service.media.negotiation import WEBP
from service.media.picture import Header, Picture
from service.problems import UnreadablePicture

FORM = "WebP"
MAX_SIDE = 16_383
"""What the format holds."""
MOST_CHUNKS = 1000
EXTENDED, LOSSY, LOSSLESS, ALPHA, ANIMATED = b"VP8X", b"VP8 ", b"VP8L", b"ALPH", (b"ANIM", b"ANMF")
ANIMATION, CLEAR = 0x02, 0x10
"""Flags of the extended header."""


def header(data: bytes) -> Header:
    """What the chunks tell.

    Raises:
        UnreadablePicture: not a WebP, cut off, an animation, or at odds with itself.
    """
    chunks = _chunks(data)
    first = next(iter(chunks), b"")
    extended = chunks[EXTENDED] if first == EXTENDED else None
    if first not in (EXTENDED, LOSSY, LOSSLESS) or (extended is not None and len(extended) < 10):
        raise unreadable(FORM)
    if any(kind in chunks for kind in ANIMATED) or (extended and extended[0] & ANIMATION):
        raise UnreadablePicture("The picture is an animation; send one frame.")
    width, height, clear = _frame(chunks)
    if extended:
        if (width, height) != tuple(1 + int.from_bytes(extended[at : at + 3], "little") for at in (4, 7)):
            raise UnreadablePicture("The WebP tells of two different sizes.")
        clear = clear or (LOSSY in chunks and (ALPHA in chunks or bool(extended[0] & CLEAR)))
    turn, _ = upright(_exif(chunks))
    sides = (width, height) if turn in ASIDE else (height, width)
    return Header(WEBP, (*sides, 3), np.uint8, clear)


def read(data: bytes) -> Picture:
    """Decode a picture whose header was read.

    Raises:
        UnreadablePicture: it is broken.
    """
    return decode(data, FORM, *upright(_exif(_chunks(data))))


def write(picture: Picture, quality: int) -> bytes:
    """Encode a picture of 8 bit with sides of at most `MAX_SIDE`; `quality` is 1..100, alpha loses nothing."""
    levels = picture.levels()
    grey = levels.ndim == 2 or levels.shape[2] == 1
    colours = np.broadcast_to(levels.reshape(*levels.shape[:2], -1), (*levels.shape[:2], 3)) if grey else levels
    if picture.alpha is not None:
        colours = np.concatenate([colours, picture.alpha[..., None]], axis=2)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(colours)).save(
        buffer, FORM, quality=quality, exact=True, icc_profile=picture.icc, exif=picture.exif or b""
    )
    return buffer.getvalue()


def _chunks(data: bytes) -> dict[bytes, memoryview]:
    """The first chunk of every kind.

    Raises:
        UnreadablePicture: not a WebP, cut off, or of more chunks than are read.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise unreadable(FORM)
    end = 8 + int.from_bytes(data[4:8], "little")
    found: dict[bytes, memoryview] = {}
    place = 12
    for _ in range(MOST_CHUNKS):
        if place == end <= len(data):
            return found
        if place + 8 > end or end > len(data):
            raise cut_off(FORM)
        kind, size = struct.unpack_from("<4sI", data, place)
        found.setdefault(kind, memoryview(data)[place + 8 : place + 8 + size])
        place += 8 + size + size % 2
    raise UnreadablePicture(f"The WebP has more than {MOST_CHUNKS} chunks.")


def _frame(chunks: dict[bytes, memoryview]) -> tuple[int, int, bool]:
    """Width, height and whether there is alpha, from the header of the pixels."""
    frames = [kind for kind in chunks if kind in (LOSSY, LOSSLESS)]
    if len(frames) != 1:
        raise unreadable(FORM)
    (kind,) = frames
    head = bytes(chunks[kind][:10])
    if kind == LOSSY and len(head) == 10 and head[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", head[6:])
        return width & MAX_SIDE, height & MAX_SIDE, False
    if kind == LOSSLESS and len(head) >= 5 and head[0] == 0x2F:
        bits = int.from_bytes(head[1:5], "little")
        return (bits & MAX_SIDE) + 1, (bits >> 14 & MAX_SIDE) + 1, bool(bits >> 28 & 1)
    raise unreadable(FORM)


def _exif(chunks: dict[bytes, memoryview]) -> bytes | None:
    return bytes(chunks[b"EXIF"]) if b"EXIF" in chunks else None
