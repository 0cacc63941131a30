"""PNGs that are cut, lie, or unpack to far more than they are."""

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache

from PIL import Image

from tests.robustness.hostile.case import OK, PATHS, Case, Outcome, cut, everywhere, no
from tests.service.conftest import encoded, pixels

KIND = "image/png"
BROKEN, LARGE = no("unreadable-picture"), no("picture-too-large", setting="MAX_PIXELS")
SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of a pixel, by colour type."""


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def head(width: int, height: int, depth: int = 8, colour: int = 0, *rest: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, *(*rest, 0, 0, 0)[:3]))


@cache
def deflated(size: int) -> bytes:
    """So many zeros, which take a second where they are a picture of 16,384 x 16,384."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(min(2**20, size - at))) for at in range(0, size, 2**20)]
    return b"".join([*parts, packer.flush()])


def zeros(width: int, height: int, depth: int = 8, colour: int = 0) -> bytes:
    """The pixels of a black picture."""
    return chunk(b"IDAT", deflated(((width * SAMPLES[colour] * depth + 7) // 8 + 1) * height))


def made(*parts: bytes) -> bytes:
    return SIGNATURE + b"".join(parts) + END


WHOLE = encoded(Image.fromarray(pixels(9, 7, 3)), icc_profile=bytes(200), dpi=(72, 72))
HEAD, PIXELS = head(8, 8), zeros(8, 8)
PALETTE = chunk(b"PLTE", bytes(768))
MANY = chunk(b"IDAT") * 30_000
COMPRESSED = b"x\0\0" + deflated(10**7)

FILES: dict[str, tuple[bytes | Callable[[], bytes], Outcome]] = {
    "no chunk": (made(), BROKEN),
    "only the signature": (SIGNATURE, BROKEN),
    "only a header": (made(HEAD), BROKEN),
    "no header": (made(PIXELS), BROKEN),
    "pixels before the header": (made(PIXELS, HEAD), BROKEN),
    "a header of 12 bytes": (made(chunk(b"IHDR", bytes(12)), PIXELS), BROKEN),
    "a header of 14 bytes": (made(chunk(b"IHDR", struct.pack(">IIBBBBBB", 8, 8, 8, 0, 0, 0, 0, 0)), PIXELS), BROKEN),
    "no width": (made(head(0, 8), PIXELS), BROKEN),
    "no height": (made(head(8, 0), PIXELS), BROKEN),
    "no size": (made(head(0, 0), PIXELS), BROKEN),
    "a width of 2 to the 31st": (made(head(2**31, 1), PIXELS), LARGE),
    "a width of 2 to the 32nd less 1": (made(head(2**32 - 1, 2**32 - 1), PIXELS), LARGE),
    "60,000 x 60,000 in words": (made(head(60_000, 60_000), PIXELS), LARGE),
    "1001 x 1000": (made(head(1001, 1000), PIXELS), LARGE),
    "a side of 65,501": (made(head(65_501, 1), zeros(65_501, 1)), no("picture-too-large")),
    "a line of 65,500": (made(head(65_500, 1), zeros(65_500, 1)), OK),
    "a column of 65,500": (made(head(1, 65_500), zeros(1, 65_500)), OK),
    "one pixel": (made(head(1, 1), zeros(1, 1)), OK),
    "a header of 1 x 1 before more": (made(head(1, 1), PIXELS), OK),
    "a header of 9 x 8 before less": (made(head(9, 8), PIXELS), BROKEN),
    "a header of 1000 x 1000 before less": (made(head(1000, 1000), PIXELS), BROKEN),
    "16,384 x 16,384 zeros": (lambda: made(head(16_384, 16_384), zeros(16_384, 16_384)), LARGE),
    "1000 x 1000 zeros": (made(head(1000, 1000), zeros(1000, 1000)), OK),
    "pixels that go on for 10 MB": (lambda: made(HEAD, chunk(b"IDAT", deflated(10**7))), OK),
    "a second header of 8 x 8": (made(HEAD, HEAD, PIXELS), BROKEN),
    "a second header of 8000 x 8000": (lambda: made(HEAD, head(8000, 8000), zeros(8000, 8000)), BROKEN),
    "a second header behind the pixels": (made(HEAD, PIXELS, head(8000, 8000)), BROKEN),
    "pixels that are no zlib": (made(HEAD, chunk(b"IDAT", b"pixels")), BROKEN),
    "pixels of another window": (made(HEAD, chunk(b"IDAT", b"\xf8\x01" + zlib.compress(bytes(72))[2:])), BROKEN),
    "a preset dictionary": (made(HEAD, chunk(b"IDAT", b"\x78\xbb\0\0\0\0" + zlib.compress(bytes(72))[2:])), BROKEN),
    "an unknown filter": (made(HEAD, chunk(b"IDAT", zlib.compress(bytes([9] * 72)))), BROKEN),
    "no pixels": (made(HEAD, chunk(b"IDAT")), BROKEN),
    "30,000 chunks without pixels": (lambda: made(HEAD, MANY, PIXELS), OK),
    "32,769 chunks of pixels": (lambda: made(HEAD, chunk(b"IDAT") * 32_768, PIXELS), BROKEN),
    "1001 other chunks": (made(HEAD, chunk(b"tEXt", b"a\0b") * 1001, PIXELS), BROKEN),
    "a chunk between the pixels": (made(HEAD, chunk(b"IDAT"), chunk(b"tEXt", b"a\0b"), PIXELS), OK),
    "a depth of 3": (made(head(8, 8, 3), PIXELS), BROKEN),
    "a depth of 0": (made(head(8, 8, 0), PIXELS), BROKEN),
    "a depth of 32": (made(head(8, 8, 32), PIXELS), BROKEN),
    "a colour type of 1": (made(head(8, 8, 8, 1), PIXELS), BROKEN),
    "a colour type of 255": (made(head(8, 8, 8, 255), PIXELS), BROKEN),
    "colour of 16 bit": (made(head(8, 8, 16, 2), zeros(8, 8, 16, 2)), BROKEN),
    "a palette of 16 bit": (made(head(8, 8, 16, 3), PALETTE, zeros(8, 8, 16, 3)), BROKEN),
    "an unknown compression": (made(head(8, 8, 8, 0, 1), PIXELS), OK),
    "an unknown set of filters": (made(head(8, 8, 8, 0, 0, 1), PIXELS), BROKEN),
    "an unknown interlace": (made(head(8, 8, 8, 0, 0, 0, 7), PIXELS), BROKEN),
    "no palette": (made(head(8, 8, 8, 3), PIXELS), BROKEN),
    "an empty palette": (made(head(8, 8, 8, 3), chunk(b"PLTE"), PIXELS), BROKEN),
    "a palette of 7 bytes": (made(head(8, 8, 8, 3), chunk(b"PLTE", bytes(7)), PIXELS), BROKEN),
    "a palette of 65,536 colours": (made(head(8, 8, 8, 3), chunk(b"PLTE", bytes(3 * 2**16)), PIXELS), BROKEN),
    "two palettes": (made(head(8, 8, 8, 3), PALETTE, PALETTE, PIXELS), BROKEN),
    "a palette behind the pixels": (made(head(8, 8, 8, 3), PIXELS, PALETTE), BROKEN),
    "a palette for grey": (made(HEAD, PALETTE, PIXELS), OK),
    "an empty transparency": (made(head(8, 8, 8, 2), chunk(b"tRNS"), zeros(8, 8, 8, 2)), BROKEN),
    "a transparency of 100 KB": (made(HEAD, chunk(b"tRNS", bytes(10**5)), PIXELS), OK),
    "a transparency behind the pixels": (made(HEAD, PIXELS, chunk(b"tRNS", b"\0\0")), BROKEN),
    "two transparencies": (made(HEAD, chunk(b"tRNS", b"\0\0") * 2, PIXELS), BROKEN),
    "a profile of 100 MB": (
        lambda: made(HEAD, chunk(b"iCCP", b"x\0\0" + deflated(10**8)), PIXELS),
        BROKEN,
    ),
    "two profiles": (made(HEAD, chunk(b"iCCP", b"x\0\0" + zlib.compress(b"")) * 2, PIXELS), BROKEN),
    "900 profiles": (lambda: made(HEAD, chunk(b"iCCP", COMPRESSED[:1000]) * 900, PIXELS), BROKEN),
    "a profile behind the pixels": (made(HEAD, PIXELS, chunk(b"iCCP", b"x\0\0" + zlib.compress(b""))), BROKEN),
    "a profile that is empty": (made(HEAD, chunk(b"iCCP"), PIXELS), BROKEN),
    "a profile without a name's end": (made(HEAD, chunk(b"iCCP", b"x" * 100), PIXELS), BROKEN),
    "a profile that is no zlib": (made(HEAD, chunk(b"iCCP", b"x\0\0abc"), PIXELS), OK),
    "a profile of an unknown compression": (made(HEAD, chunk(b"iCCP", b"x\0\1abc"), PIXELS), BROKEN),
    "a compressed text of 10 MB": (made(HEAD, chunk(b"zTXt", COMPRESSED), PIXELS), OK),
    "900 compressed texts of 10 MB": (lambda: made(HEAD, chunk(b"zTXt", COMPRESSED) * 900, PIXELS), OK),
    "an international text of 10 MB": (made(HEAD, PIXELS, chunk(b"iTXt", b"x\0\1\0\0\0" + COMPRESSED[3:])), OK),
    "a text without an end": (made(HEAD, chunk(b"tEXt", b"x" * 10**5), PIXELS), OK),
    "short gamma, colours, sizes and times": (
        made(
            HEAD,
            *(chunk(kind, b"\0") for kind in (b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tIME", b"sBIT", b"bKGD")),
            PIXELS,
        ),
        OK,
    ),
    "an animation": (made(HEAD, chunk(b"acTL", struct.pack(">II", 2, 0)), PIXELS), BROKEN),
    "an animation of 2 to the 32nd frames": (made(HEAD, chunk(b"acTL", b"\xff" * 8), PIXELS), BROKEN),
    "an animation behind the pixels": (made(HEAD, PIXELS, chunk(b"acTL", b"\xff" * 8)), OK),
    "a frame without an animation": (made(HEAD, chunk(b"fcTL", bytes(26)), PIXELS, chunk(b"fdAT", bytes(9))), OK),
    "an unknown chunk": (made(HEAD, chunk(b"xxXx", bytes(10)), PIXELS), OK),
    "a chunk whose name is no name": (made(HEAD, chunk(b"\0\xff\n ", bytes(10)), PIXELS), OK),
    "a chunk of 2 to the 32nd bytes": (SIGNATURE + HEAD + b"\xff\xff\xff\xffIDAT" + PIXELS[8:] + END, BROKEN),
    "more behind its end": (made(HEAD, PIXELS) + b"<?php ?>" * 1000, OK),
    "a second file behind its end": (made(HEAD, PIXELS) + made(head(60_000, 60_000)), OK),
    "a line break in place of two": (made(HEAD, PIXELS).replace(b"\r\n", b"\n", 1), BROKEN),
    "EXIF that is empty": (made(HEAD, chunk(b"eXIf"), PIXELS), OK),
    "EXIF that points at itself": (
        made(HEAD, chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1" + b"\x87\x69\0\4\0\0\0\1\0\0\0\x08" + bytes(4)), PIXELS),
        OK,
    ),
    "EXIF of 5000 tags": (
        made(HEAD, chunk(b"eXIf", b"MM\0*\0\0\0\x08\x13\x88" + b"\x01\x0f\0\2\xff\xff\xff\xff\0\0\0\0" * 5000), PIXELS),
        OK,
    ),
    "500 blocks of EXIF": (made(HEAD, chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff") * 500, PIXELS), OK),
}
"""By name: the file and what it gets."""


def cases() -> Iterator[Case]:
    for name, (data, outcome) in FILES.items():
        yield from everywhere(Case(f"PNG: {name}", outcome, "", data, KIND))
    yield from cut(Case("PNG", BROKEN, "", WHOLE, KIND), cuts(WHOLE), *PATHS)
    for place, start, end in chunks(WHOLE):
        for what, at in {
            "length": start,
            "name": start + 4,
            "data": (start + 8 + end - 4) // 2,
            "checksum": end - 1,
        }.items():
            if what != "data" or end - start > 12:
                outcome = OK if (what, end) == ("checksum", len(WHOLE)) else BROKEN  # of nothing
                broken = WHOLE[:at] + bytes([WHOLE[at] ^ 0x20]) + WHOLE[at + 1 :]
                yield Case(f"PNG: another {what} of chunk {place}", outcome, "/v1/denoise", broken, KIND)


def chunks(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of each."""
    start = len(SIGNATURE)
    for place in range(len(data)):
        if start >= len(data):
            return
        end = start + 12 + int.from_bytes(data[start : start + 4])
        yield place, start, end
        start = end


def cuts(data: bytes) -> list[int]:
    """Every boundary of chunks, names and data, one byte to either side, and every 23rd byte."""
    places = {
        at + shift
        for _, start, end in chunks(data)
        for at in (start, start + 4, start + 8, end - 4)
        for shift in (-1, 0, 1)
    }
    return sorted({*places, *range(0, len(data), 23)})
