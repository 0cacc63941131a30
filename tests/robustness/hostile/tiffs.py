"""TIFFs that are cut, lie, run in circles, or have more of everything than anybody needs."""

import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

from tests.robustness.hostile.case import OK, PATHS, Case, Outcome, cut, everywhere, no
from tests.robustness.hostile.pngs import deflated
from tests.service.conftest import encoded, pixels

KIND = "image/tiff"
BROKEN, LARGE = no("unreadable-picture"), no("picture-too-large", setting="MAX_PIXELS")
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, DOUBLE = 1, 2, 3, 4, 5, 7, 12
NONE, LZW, DEFLATE, PACKBITS = 1, 5, 8, 32773
DATA = 8
"""Where the data begins that `made` puts before the tags."""
PIXELS = bytes(range(64))
Entry = tuple[int, int, int, int]
"""Tag, type, count, and the value or its place."""


def made(entries: list[Entry], data: bytes = PIXELS, behind: bytes = bytes(4), start: int | None = None) -> bytes:
    """Head, data, tags; `behind` is the place of the next tags, and what follows."""
    tags = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    place = DATA + len(data) if start is None else start
    return b"II*\0" + struct.pack("<I", place) + data + struct.pack("<H", len(entries) % 2**16) + tags + behind


def grey(*changes: Entry | int, width: int = 8, height: int = 8, size: int = 64) -> list[Entry]:
    """The tags of a grey picture in one strip; an entry changes or adds a tag, a number leaves one out."""
    tags: dict[int, Entry] = {
        tag: (tag, kind, 1, value)
        for tag, kind, value in (
            (256, LONG, width),
            (257, LONG, height),
            (258, SHORT, 8),
            (259, SHORT, NONE),
            (262, SHORT, 1),
            (273, LONG, DATA),
            (277, SHORT, 1),
            (278, LONG, height),
            (279, LONG, size),
        )
    }
    for change in changes:
        if isinstance(change, int):
            del tags[change]
        else:
            tags[change[0]] = change
    return [tags[tag] for tag in sorted(tags)]


def tiled(side: int, count: int = 1, **size: int) -> list[Entry]:
    return grey(
        273,
        278,
        279,
        (322, LONG, 1, side),
        (323, LONG, 1, side),
        (324, LONG, count, DATA),
        (325, LONG, count, 64),
        **size,
    )


def packed(data: bytes, compression: int = DEFLATE, *changes: Entry, **size: int) -> bytes:
    return made(grey((259, SHORT, 1, compression), *changes, size=len(data), **size), data)


def bomb(side: int, told: int) -> Callable[[], bytes]:
    return lambda: packed(deflated(side * side), width=told, height=told)


MANY = [(40_000 + tag, UNDEFINED, 60_000, DATA) for tag in range(900)]
WHOLE = {
    "plain": made(grey()),
    "Motorola": encoded(Image.fromarray(pixels(9, 7, 3)), "TIFF", big_endian=True),
    "LZW": encoded(Image.fromarray(pixels(9, 7, 3)), "TIFF", compression="tiff_lzw"),
    "Deflate": encoded(Image.fromarray(pixels(9, 7)), "TIFF", compression="tiff_adobe_deflate"),
    "PackBits": encoded(Image.fromarray(pixels(9, 7)), "TIFF", compression="packbits"),
}
FILES: dict[str, tuple[bytes | Callable[[], bytes], Outcome]] = {
    "only a head": (b"II*\0\x08\0\0\0", BROKEN),
    "only four bytes": (b"II*\0", BROKEN),
    "BigTIFF": (b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + bytes(20), BROKEN),
    "mixed orders": (b"IM*\0" + made(grey())[4:], BROKEN),
    "the other order": (b"MM\0*" + made(grey())[4:], BROKEN),
    "no tag": (made([]), BROKEN),
    "tags at 0": (made(grey(), start=0), BROKEN),
    "tags beyond the end": (made(grey(), start=2**32 - 1), BROKEN),
    "tags in the last byte": (made(grey(), start=len(made(grey())) - 1), BROKEN),
    "1001 tags": (made(grey() + [(40_000 + tag, SHORT, 1, 0) for tag in range(992)]), BROKEN),
    "65,535 tags": (made([(tag, SHORT, 1, 1) for tag in range(65_535)]), BROKEN),
    "no width": (made(grey(256)), BROKEN),
    "no height": (made(grey(257)), BROKEN),
    "a width of 0": (made(grey(width=0)), BROKEN),
    "a height of 0": (made(grey(height=0)), BROKEN),
    "a width of 2 to the 32nd": (made(grey(width=2**32 - 1, height=1)), LARGE),
    "65,000 x 65,000": (made(grey(width=65_000, height=65_000)), LARGE),
    "1001 x 1000": (made(grey(width=1001, height=1000)), LARGE),
    "1000 x 1000 and little": (made(grey(width=1000, height=1000)), BROKEN),
    "a line of 65,500": (made(grey(width=65_500, height=1, size=65_500), bytes(65_500)), OK),
    "a column of 65,500": (made(grey(width=1, height=65_500, size=65_500), bytes(65_500)), OK),
    "a side of 65,501": (made(grey(width=65_501, height=1, size=65_501), bytes(65_501)), no("picture-too-large")),
    "1 x 1 and more": (made(grey(width=1, height=1)), OK),
    "a width of two values": (made(grey((256, SHORT, 2, 8 | 8 << 16))), BROKEN),
    "a width that is a text": (made(grey((256, ASCII, 2, 8))), BROKEN),
    "a width that is a fraction": (made(grey((256, RATIONAL, 1, DATA))), BROKEN),
    "a width of an unknown type": (made(grey((256, 99, 1, 8))), BROKEN),
    "a width twice": (made([(256, LONG, 1, 8), (256, LONG, 1, 20_000), *grey(256)]), OK),
    "a width twice, the larger first": (made([(256, LONG, 1, 20_000), (256, LONG, 1, 8), *grey(256)]), BROKEN),
    "a width of 2 to the 32nd values": (made(grey((256, LONG, 2**32 - 1, 8))), BROKEN),
    "strips of 2 to the 32nd values": (made(grey((273, LONG, 2**32 - 1, 8))), BROKEN),
    "strips of 300,000 values": (made(grey((273, LONG, 300_000, 8)), bytes(1_200_000)), BROKEN),
    "no strip": (made(grey(273)), BROKEN),
    "no size of a strip": (made(grey(279)), BROKEN),
    "a strip of 0 bytes": (made(grey(size=0)), BROKEN),
    "a strip of 63 bytes": (made(grey(size=63)), BROKEN),
    "a strip of 2 to the 32nd bytes": (made(grey(size=2**32 - 1)), BROKEN),
    "a strip beyond the end": (made(grey((273, LONG, 1, 10**6))), BROKEN),
    "a strip around the corner": (made(grey((273, LONG, 1, 2**32 - 32))), BROKEN),
    "strips of 0 rows": (made(grey((278, LONG, 1, 0))), BROKEN),
    "strips of 2 to the 32nd rows": (made(grey((278, LONG, 1, 2**32 - 1))), OK),
    "strips of 1 row": (made(grey((278, LONG, 1, 1))), BROKEN),
    "the tags as pixels": (made(grey((273, LONG, 1, DATA + 64))), OK),
    "tiles of 0": (made(tiled(0)), BROKEN),
    "tiles of 8": (made(tiled(8)), OK),
    "tiles of 2 to the 31st": (made(tiled(2**31)), BROKEN),
    "a tile of 4096 x 4096 for a pixel": (made(tiled(4096, width=1, height=1)), BROKEN),
    "a tile of 1024 x 1024 and little": (made(tiled(1024)), BROKEN),
    "2 to the 32nd tiles": (made(tiled(16, 2**32 - 1)), BROKEN),
    "tiles and strips": (made(sorted([*tiled(16), (273, LONG, 1, DATA)])), BROKEN),
    "several pages": (made(grey(), behind=struct.pack("<I", DATA + 64)), BROKEN),
    "pages in a circle": (made(grey(), behind=struct.pack("<I", 8)), BROKEN),
    "a page that is not there": (made(grey(), behind=b"\xff" * 4), BROKEN),
    "pages of thousands": (
        made(
            grey(), behind=struct.pack("<I", 222) + b"".join(struct.pack("<HI", 0, 222 + 6 * n) for n in range(1, 5000))
        ),
        BROKEN,
    ),
    "further tags at themselves": (made(grey((330, LONG, 1, DATA + 64))), OK),
    "EXIF at its own tags": (made(grey((0x8769, LONG, 1, DATA + 64))), OK),
    "EXIF beyond the end": (made(grey((0x8769, LONG, 1, 2**32 - 1))), BROKEN),
    "GPS beyond the end": (made(grey((0x8825, LONG, 1, 2**32 - 1))), BROKEN),
    "900 tags of the same 60 KB": (made(grey() + MANY, PIXELS.ljust(60_000, b"\0")), OK),
    "5 tags of 50,000 numbers": (
        made(grey() + [(40_000 + tag, SHORT, 50_000, DATA) for tag in range(5)], bytes(10**5)),
        OK,
    ),
    "6 tags of 50,000 numbers": (
        made(grey() + [(40_000 + tag, SHORT, 50_000, DATA) for tag in range(6)], bytes(10**5)),
        BROKEN,
    ),
    "a tag of 2 to the 32nd bytes": (made(grey((40_000, UNDEFINED, 2**32 - 1, DATA))), OK),
    "a profile of 2 to the 32nd bytes": (made(grey((34_675, UNDEFINED, 2**32 - 1, DATA))), OK),
    "a profile of numbers": (made(grey((34_675, DOUBLE, 4, DATA))), OK),
    "an orientation of 9": (made(grey((274, SHORT, 1, 9))), OK),
    "an orientation that is a text": (made(grey((274, ASCII, 2, 6))), BROKEN),
    "an orientation of many values": (made(grey((274, SHORT, 30, DATA))), BROKEN),
    "the compression JPEG": (made(grey((259, SHORT, 1, 7))), BROKEN),
    "the compression old JPEG": (made(grey((259, SHORT, 1, 6))), BROKEN),
    "the compression WebP": (made(grey((259, SHORT, 1, 50_001))), BROKEN),
    "the compression ZSTD": (made(grey((259, SHORT, 1, 50_000))), BROKEN),
    "the compression LZMA": (made(grey((259, SHORT, 1, 34_925))), BROKEN),
    "a fax": (made(grey((259, SHORT, 1, 4), (258, SHORT, 1, 1))), BROKEN),
    "an unknown compression": (made(grey((259, SHORT, 1, 65_535))), BROKEN),
    "Deflate of junk": (packed(b"junk" * 16), BROKEN),
    "LZW of junk": (packed(b"\xff" * 64, LZW), BROKEN),
    "PackBits of far more": (packed(b"\x81" * 64, PACKBITS), OK),
    "Deflate of 4000 x 4000 in 8 x 8": (bomb(4000, 8), OK),
    "Deflate of 1000 x 1000 zeros": (bomb(1000, 1000), OK),
    "Deflate of 8 x 8 in 1000 x 1000": (bomb(8, 1000), BROKEN),
    "Deflate of 16,384 x 16,384 zeros": (bomb(16_384, 16_384), LARGE),
    "CMYK": (made(grey((262, SHORT, 1, 5), (277, SHORT, 1, 4))), BROKEN),
    "a colour model that is unknown": (made(grey((262, SHORT, 1, 32_803))), BROKEN),
    "no colour model": (made(grey(262)), BROKEN),
    "a palette that is missing": (made(grey((262, SHORT, 1, 3))), BROKEN),
    "a palette of a colour": (made(grey((262, SHORT, 1, 3), (320, SHORT, 3, DATA))), BROKEN),
    "3 bit": (made(grey((258, SHORT, 1, 3))), BROKEN),
    "0 bit": (made(grey((258, SHORT, 1, 0))), BROKEN),
    "32 bit": (made(grey((258, SHORT, 1, 32))), BROKEN),
    "65,535 bit": (made(grey((258, SHORT, 1, 65_535))), BROKEN),
    "0 samples": (made(grey((277, SHORT, 1, 0))), BROKEN),
    "65,535 samples": (made(grey((277, SHORT, 1, 65_535))), BROKEN),
    "floats": (made(grey((339, SHORT, 1, 3), (258, SHORT, 1, 32), width=4, height=4)), BROKEN),
    "signed samples": (made(grey((339, SHORT, 1, 2))), BROKEN),
    "channels apart": (
        made(grey((262, SHORT, 1, 2), (277, SHORT, 1, 3), (284, SHORT, 1, 2), width=2, height=2)),
        BROKEN,
    ),
    "a predictor of 9": (packed(zlib.compress(PIXELS), DEFLATE, (317, SHORT, 1, 9)), BROKEN),
    "a fill order of 9": (made(grey((266, SHORT, 1, 9))), BROKEN),
    "a description of 2 to the 32nd letters": (made(grey((270, ASCII, 2**32 - 1, DATA))), OK),
    "a resolution by zero": (made(grey((282, RATIONAL, 1, DATA)), bytes(64)), OK),
    "more behind its end": (made(grey()) + b"<?php ?>" * 1000, OK),
}


def cases() -> Iterator[Case]:
    for name, (data, outcome) in FILES.items():
        yield from everywhere(Case(f"TIFF: {name}", outcome, "", data, KIND))
    for form, whole in WHOLE.items():
        yield Case(f"TIFF: {form}", OK, "/v1/denoise", whole, KIND)
        yield from cut(Case(f"TIFF: {form}", BROKEN, "", whole, KIND), range(0, len(whole), 7), *PATHS)
