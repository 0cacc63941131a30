"""JPEGs that are cut, lie, or ask for endless work."""

import io
import struct
from collections.abc import Callable, Iterator

from PIL import Image

from tests.robustness.hostile.case import OK, PATHS, Case, Outcome, cut, everywhere, no
from tests.service.conftest import encoded, pixels

KIND = "image/jpeg"
BROKEN, LARGE = no("unreadable-picture"), no("picture-too-large", setting="MAX_PIXELS")
WHOLE = encoded(Image.fromarray(pixels(24, 20, 3)), "JPEG", icc_profile=bytes(200), quality=95)
FRAME = WHOLE.index(b"\xff\xc0")
SCAN = WHOLE.index(b"\xff\xda")
SCAN_HEAD = SCAN + 2 + int.from_bytes(WHOLE[SCAN + 2 : SCAN + 4])


def segment(mark: int, data: bytes = b"") -> bytes:
    return bytes([0xFF, mark]) + struct.pack(">H", len(data) + 2) + data


def with_segments(*segments: bytes) -> bytes:
    """Before all others."""
    return WHOLE[:2] + b"".join(segments) + WHOLE[2:]


def sized(height: int, width: int) -> bytes:
    return WHOLE[: FRAME + 5] + struct.pack(">HH", height, width) + WHOLE[FRAME + 9 :]


def at(place: int, value: int) -> bytes:
    return WHOLE[:place] + bytes([value]) + WHOLE[place + 1 :]


def scans(count: int) -> Callable[[], bytes]:
    """A progressive picture whose last scan comes `count` times more."""

    def make() -> bytes:
        image = Image.new("RGB", (1000, 1000))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", progressive=True)
        data = buffer.getvalue()
        return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * count + data[-2:]

    return make


def directory(tags: int, kind: int, count: int, size: int) -> bytes:
    """`size` bytes of EXIF, whose `tags` tags claim the same values."""
    entries = b"".join(struct.pack("<HHII", 0x9000 + tag, kind, count, 8) for tag in range(tags))
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", tags) + entries + bytes(4)).ljust(size, b"\0")


EXIF = b"Exif\0\0"
FILES: dict[str, tuple[bytes | Callable[[], bytes], Outcome]] = {
    "only a start": (b"\xff\xd8\xff", BROKEN),
    "a start and an end": (b"\xff\xd8\xff\xd9", BROKEN),
    "no frame": (WHOLE[:FRAME] + WHOLE[SCAN:], BROKEN),
    "no scan": (WHOLE[:SCAN] + b"\xff\xd9", BROKEN),
    "no tables": (WHOLE[:2] + WHOLE[FRAME : FRAME + 19] + WHOLE[SCAN:], BROKEN),
    "no height": (sized(0, 20), BROKEN),
    "no width": (sized(24, 0), BROKEN),
    "65,535 x 65,535": (sized(65_535, 65_535), LARGE),
    "1001 x 1000": (sized(1001, 1000), LARGE),
    "a frame of two sizes": (
        WHOLE[:SCAN] + WHOLE[FRAME : FRAME + 5] + b"\xea\x60\xea\x60" + WHOLE[FRAME + 9 : FRAME + 19] + WHOLE[SCAN:],
        LARGE,
    ),
    "two frames": (WHOLE[:SCAN] + WHOLE[FRAME : FRAME + 19] + WHOLE[SCAN:], BROKEN),
    "12 bit": (at(FRAME + 4, 12), BROKEN),
    "0 bit": (at(FRAME + 4, 0), BROKEN),
    "two layers": (at(FRAME + 9, 2), BROKEN),
    "255 layers": (at(FRAME + 9, 255), BROKEN),
    "no layer": (at(FRAME + 9, 0), BROKEN),
    "sampling of 0 x 0": (at(FRAME + 11, 0), BROKEN),
    "sampling of 15 x 15": (at(FRAME + 11, 0xFF), BROKEN),
    "a table that is not there": (at(FRAME + 12, 3), BROKEN),
    "lossless": (at(FRAME + 1, 0xC3), BROKEN),
    "hierarchical": (at(FRAME + 1, 0xC5), BROKEN),
    "an unknown frame": (at(FRAME + 1, 0xC8), BROKEN),
    "CMYK": (encoded(Image.new("CMYK", (8, 8)), "JPEG"), BROKEN),
    "a segment of no length": (with_segments(b"\xff\xe1\0\0"), BROKEN),
    "a segment of length 1": (with_segments(b"\xff\xe1\0\1"), BROKEN),
    "a segment longer than the file": (with_segments(b"\xff\xe1\xff\xff")[:5000], BROKEN),
    "1001 segments": (with_segments(segment(0xFE) * 1001), BROKEN),
    "900 segments": (with_segments(segment(0xFE) * 900), OK),
    **{
        f"segments hidden behind the mark {mark:X}": (with_segments(segment(mark, segment(0xFE) * 16_000)), BROKEN)
        for mark in (0x01, 0xC8, 0xD0, 0xD7, 0xD8, 0xD9, 0xF0, 0xFD)
    },
    "junk between segments": (with_segments(b"junk"), BROKEN),
    "padding before a segment": (with_segments(b"\xff" * 500), OK),
    "padding of 100 KB": (with_segments(b"\xff" * 10**5), BROKEN),
    "200 scans": (scans(200), BROKEN),
    "60 scans": (scans(60), OK),
    "a scan of nothing": (WHOLE[:SCAN_HEAD] + b"\xff\xd9", OK),
    "a scan of junk": (WHOLE[:SCAN_HEAD] + b"\x55" * 500 + b"\xff\xd9", OK),
    "EXIF that is empty": (with_segments(segment(0xE1, EXIF)), OK),
    "EXIF that is none": (with_segments(segment(0xE1, EXIF + b"junk" * 100)), OK),
    "EXIF of 5000 tags of 60 KB each": (with_segments(segment(0xE1, EXIF + directory(5000, 7, 60_000, 65_000))), OK),
    "EXIF of 5000 tags of 30,000 numbers each": (
        with_segments(segment(0xE1, EXIF + directory(5000, 3, 30_000, 65_000))),
        OK,
    ),
    "EXIF in 20 segments": (with_segments(segment(0xE1, EXIF + directory(5000, 7, 10**6, 65_000)) * 20), OK),
    "EXIF that points at itself": (
        with_segments(segment(0xE1, EXIF + b"II*\0\x08\0\0\0\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0" + bytes(4))),
        OK,
    ),
    "several pictures that are none": (with_segments(segment(0xE2, b"MPF\0" + directory(5000, 3, 30_000, 65_000))), OK),
    "several pictures in fractions": (with_segments(segment(0xE2, b"MPF\0" + directory(5000, 5, 8000, 65_000))), OK),
    "a profile in 255 parts": (
        lambda: with_segments(
            *(segment(0xE2, b"ICC_PROFILE\0" + bytes([n, 255]) + bytes(1000)) for n in range(1, 256))
        ),
        OK,
    ),
    "a profile whose parts are missing": (with_segments(segment(0xE2, b"ICC_PROFILE\0\x01\xff" + bytes(99))), OK),
    "a profile whose part has no number": (with_segments(segment(0xE2, b"ICC_PROFILE\0")), BROKEN),
    "a resource block that never ends": (
        with_segments(segment(0xED, b"Photoshop 3.0\0" + b"8BIM\3\xed\0\0\xff\xff\xff\xff" * 1000)),
        OK,
    ),
    "resource blocks of no size": (
        with_segments(segment(0xED, b"Photoshop 3.0\0" + b"8BIM\0\1\0\0\0\0\0\0" * 5000)),
        OK,
    ),
    "XMP that calls for more": (
        with_segments(
            segment(
                0xE1, b"http://ns.adobe.com/xap/1.0/\0<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>"
            )
        ),
        OK,
    ),
    "a colour transform that is unknown": (with_segments(segment(0xEE, b"Adobe\0\x64\0\0\0\0\xff")), OK),
    "a short header of JFIF": (with_segments(segment(0xE0, b"JFIF")), BROKEN),
    "more behind its end": (WHOLE + b"<?php ?>" * 1000, OK),
    "a second file behind its end": (WHOLE + sized(65_535, 65_535), OK),
}


def cases() -> Iterator[Case]:
    for name, (data, outcome) in FILES.items():
        yield from everywhere(Case(f"JPEG: {name}", outcome, "", data, KIND))
    yield from cut(Case("JPEG", BROKEN, "", WHOLE, KIND), cuts(), *PATHS)


def cuts() -> list[int]:
    """Every boundary of segments and its neighbours, and every 23rd byte; not the last few, which are made up for."""
    places, place = {0, 1, 2, 3}, 2
    while place <= SCAN:
        places |= {place + shift for shift in (-1, 0, 1, 2, 3, 4, 5)}
        place += 2 + int.from_bytes(WHOLE[place + 2 : place + 4])
    return sorted(end for end in {*places, *range(0, len(WHOLE), 23)} if end < len(WHOLE) - 8)
