"""JPEG: its segments before Pillow sees them, and its writer."""

import io
from typing import cast

from PIL import Image

from service.media.decoding import decode, opened, unreadable
from service.media.exif import ASIDE, PREFIX, upright
from service.media.negotiation import JPEG
from service.media.picture import Header, Picture
from service.problems import UnreadablePicture

FORM = "JPEG"
START = b"\xff\xd8"
SCAN = b"\xff\xda"
FURTHER = b"\xff\xe2"
"""Where the table of further pictures stands, as several cameras write it: CIPA DC-007."""
STRANGE = {0x00, 0x01, 0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)}
"""Marks that do not stand before the pixels, and after which Pillow expects no segment: one would hide others."""
WHOLE_COLOUR = 95
"""Quality below which colour is stored at half the size, 4:2:0."""
MOST_SCANS = 100
"""Passes over a progressive JPEG; encoders make about ten. Each costs a pass over all pixels, for a few bytes."""
MOST_SEGMENTS = 1000
"""Before the pixels. Each takes time to read, for four bytes; a long ICC profile has 255."""
MOST_EXIF = 65_533
"""Bytes that one segment holds, EXIF's prefix included."""
MOST_ICC = 255 * 65_519
"""Bytes that the segments of a profile hold; they are counted in one byte."""


def header(data: bytes) -> Header:
    """What the segments before the pixels tell.

    Raises:
        UnreadablePicture: not a JPEG, or of a kind that is not read.
    """
    plain = _plain(data)
    if data.count(SCAN) > MOST_SCANS:
        raise UnreadablePicture(f"The JPEG has {data.count(SCAN)} scans; {MOST_SCANS} are read.")
    with opened(plain, FORM) as image:
        if image.mode not in ("L", "RGB"):
            raise UnreadablePicture(f"{image.mode} is not read; send the picture as RGB.")
        width, height = image.size
        turn, _ = upright(image.info.get("exif"))
        sides = (width, height) if turn in ASIDE else (height, width)
        return Header(JPEG, sides if image.mode == "L" else (*sides, 3))


def read(data: bytes) -> Picture:
    """Decode a picture whose header was read.

    Raises:
        UnreadablePicture: it is cut off or broken.
    """
    plain = _plain(data)
    with opened(plain, FORM) as image:
        exif = cast(bytes | None, image.info.get("exif"))
    return decode(plain, FORM, *upright(exif))


def write(picture: Picture, quality: int) -> bytes:
    """Encode a picture of 8 bit without alpha; `quality` is 1..100, from `WHOLE_COLOUR` on with colour at full size.

    EXIF or a profile that is too long is dropped.
    """
    levels = picture.levels()
    exif = PREFIX + picture.exif if picture.exif else b""
    icc = picture.icc if picture.icc and len(picture.icc) <= MOST_ICC else None
    buffer = io.BytesIO()
    Image.fromarray(levels[..., 0] if levels.shape[2:] == (1,) else levels).save(
        buffer,
        FORM,
        quality=quality,
        subsampling=0 if quality >= WHOLE_COLOUR else 2,
        icc_profile=icc,
        exif=exif if len(exif) <= MOST_EXIF else b"",
    )
    return buffer.getvalue()


def _plain(data: bytes) -> bytes:
    """The picture without its table of further ones, all of whose numbers Pillow would read.

    Raises:
        UnreadablePicture: there are too many segments before the first scan, or they are broken.
    """
    if not data.startswith(START):
        raise unreadable(FORM)
    place, kept, begin = len(START), list[bytes](), 0
    for _ in range(MOST_SEGMENTS):
        mark = data[place : place + 2]
        if mark == SCAN:
            return b"".join([*kept, data[begin:]]) if kept else data
        if mark == b"\xff\xff":  # padding
            place += 1
            continue
        size = int.from_bytes(data[place + 2 : place + 4])
        if len(mark) < 2 or mark[0] != 0xFF or mark[1] in STRANGE or size < 2:
            raise unreadable(FORM)
        if mark == FURTHER and data.startswith(b"MPF\0", place + 4):
            kept.append(data[begin:place])
            begin = place + 2 + size
        place += 2 + size
    raise UnreadablePicture(f"The JPEG has more than {MOST_SEGMENTS} segments before its pixels.")
