"""WebPs that are cut, lie, or are of another kind than they say."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

from PIL import Image

from tests.robustness.hostile.case import OK, PATHS, Case, Outcome, cut, everywhere, no
from tests.service.conftest import encoded, pixels

KIND = "image/webp"
BROKEN, LARGE = no("unreadable-picture"), no("picture-too-large", setting="MAX_PIXELS")
LOSSY = encoded(Image.fromarray(pixels(24, 20, 3)), "WEBP")
LOSSLESS = encoded(Image.fromarray(pixels(24, 20, 3)), "WEBP", lossless=True)
EXTENDED = encoded(
    Image.fromarray(pixels(24, 20, 4)), "WEBP", icc_profile=bytes(100), exif=b"II*\0\x08\0\0\0\0\0\0\0\0\0"
)
FRAMES = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (0, 99, 200)]
MOVING = encoded(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:])


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def made(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def canvas(width: int, height: int, flags: int = 0) -> bytes:
    return chunk(
        b"VP8X", struct.pack("<I", flags) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    )


FRAME, LINES = LOSSY[12:], LOSSLESS[12:]
EMPTY_EXIF = chunk(b"EXIF")


def lossless_of(width: int, height: int, rest: bytes = bytes(20)) -> bytes:
    return chunk(b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + rest)


def lossy_of(width: int, height: int) -> bytes:
    return FRAME[:14] + struct.pack("<HH", width, height) + FRAME[18:]


FILES: dict[str, tuple[bytes | Callable[[], bytes], Outcome]] = {
    "no chunk": (made(), BROKEN),
    "only RIFF": (b"RIFF\0\0\0\0", BROKEN),
    "a sound": (b"RIFF" + LOSSY[4:8] + b"WAVE" + LOSSY[12:], BROKEN),
    "other order of bytes": (b"RIFX" + LOSSY[4:], BROKEN),
    "a size of 0": (b"RIFF\0\0\0\0" + LOSSY[8:], BROKEN),
    "a size of 2 to the 32nd": (b"RIFF\xff\xff\xff\xff" + LOSSY[8:], BROKEN),
    "a size that is 1 too small": (b"RIFF" + struct.pack("<I", len(LOSSY) - 9) + LOSSY[8:], BROKEN),
    "a size that is 1 too large": (b"RIFF" + struct.pack("<I", len(LOSSY) - 7) + LOSSY[8:], BROKEN),
    "a chunk of 2 to the 32nd bytes": (made(chunk(b"VP8L")[:4] + b"\xff" * 4 + bytes(100)), BROKEN),
    "only an unknown chunk": (made(chunk(b"XXXX", bytes(100))), BROKEN),
    "1001 chunks": (made(FRAME, *[chunk(b"XXXX")] * 1001), BROKEN),
    "an empty frame": (made(chunk(b"VP8 ")), BROKEN),
    "an empty lossless frame": (made(chunk(b"VP8L")), BROKEN),
    "a frame of zeros": (made(chunk(b"VP8 ", bytes(100))), BROKEN),
    "a lossless frame of zeros": (made(chunk(b"VP8L", bytes(100))), BROKEN),
    "a frame that needs another": (made(chunk(b"VP8 ", bytes([FRAME[8] | 1]) + FRAME[9:])), BROKEN),
    "two frames": (made(FRAME, LINES), BROKEN),
    "the same frame twice": (made(FRAME, FRAME), OK),
    "no canvas before the rest": (made(chunk(b"ICCP", bytes(10)), FRAME), BROKEN),
    "a canvas of 5 bytes": (made(chunk(b"VP8X", bytes(5)), FRAME), BROKEN),
    "a canvas without a frame": (made(canvas(8, 8)), BROKEN),
    "a larger canvas": (made(canvas(16_384, 16_384), FRAME), BROKEN),
    "the largest canvas": (made(canvas(2**24, 2**24), FRAME), BROKEN),
    "a smaller canvas": (made(canvas(1, 1), FRAME), BROKEN),
    "a canvas that fits": (made(canvas(20, 24), FRAME), OK),
    "a second canvas": (made(canvas(20, 24), canvas(16_384, 16_384), FRAME), BROKEN),
    "a frame of no size": (made(lossy_of(0, 0)), BROKEN),
    "a frame of 16,383 x 16,383": (made(lossy_of(16_383, 16_383)), LARGE),
    "a frame of 1000 x 1000 and less": (made(lossy_of(1000, 1000)), BROKEN),
    "a lossless frame of 16,384 x 16,384": (made(lossless_of(16_384, 16_384)), LARGE),
    "a lossless frame of 1000 x 1000 and nothing": (made(lossless_of(1000, 1000)), BROKEN),
    "a lossless frame of the version 7": (
        made(chunk(b"VP8L", LINES[8:12] + bytes([LINES[12] | 0xE0]) + LINES[13:])),
        BROKEN,
    ),
    "an animation": (MOVING, BROKEN),
    "an animation's flag": (made(canvas(20, 24, 2), FRAME), BROKEN),
    "an animation's frame": (made(canvas(20, 24), chunk(b"ANMF", bytes(16) + FRAME), FRAME), BROKEN),
    "an animation's head alone": (made(canvas(20, 24), chunk(b"ANIM", bytes(6)), FRAME), BROKEN),
    "all flags but that of an animation": (made(canvas(20, 24, 0xFD), FRAME), BROKEN),
    "an alpha that is not there": (made(canvas(20, 24, 0x10), FRAME), OK),
    "an empty alpha": (made(canvas(20, 24, 0x10), chunk(b"ALPH"), FRAME), BROKEN),
    "an alpha of zeros": (made(canvas(20, 24, 0x10), chunk(b"ALPH", bytes(481)), FRAME), OK),
    "an alpha of an unknown kind": (made(canvas(20, 24, 0x10), chunk(b"ALPH", b"\xff" * 481), FRAME), BROKEN),
    "EXIF that is empty": (made(canvas(20, 24, 8), FRAME, EMPTY_EXIF), OK),
    "EXIF that is none": (made(canvas(20, 24, 8), FRAME, chunk(b"EXIF", b"junk" * 1000)), OK),
    "900 blocks of EXIF": (made(canvas(20, 24, 8), FRAME, EMPTY_EXIF * 900), OK),
    "EXIF in front": (made(EMPTY_EXIF, FRAME), BROKEN),
    "a profile of a megabyte": (lambda: made(canvas(20, 24, 0x20), chunk(b"ICCP", bytes(2**20)), FRAME), OK),
    "XMP that calls for more": (
        made(canvas(20, 24, 4), FRAME, chunk(b"XMP ", b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'><x/>")),
        OK,
    ),
    "more behind its end": (LOSSY + bytes(1000), OK),
    "a second file behind its end": (LOSSY + made(lossy_of(16_383, 16_383)), OK),
}


def cases() -> Iterator[Case]:
    for name, (data, outcome) in FILES.items():
        yield from everywhere(Case(f"WebP: {name}", outcome, "", data, KIND))
    for form, whole in {"lossy": LOSSY, "lossless": LOSSLESS, "extended": EXTENDED}.items():
        yield Case(f"WebP: {form}", OK, "/v1/denoise", whole, KIND)
        case = Case(f"WebP: {form}", BROKEN, "", whole, KIND)
        yield from cut(case, cuts(whole), *PATHS)
        if form != "extended":  # which may do without its last chunks
            for told in cut(replace(case, name=f"{case.name} and told so"), cuts(whole)[3:], *PATHS):
                data = told.made()
                yield replace(told, body=data[:4] + struct.pack("<I", len(data) - 8) + data[8:])


def cuts(data: bytes) -> list[int]:
    """Every boundary of chunks and its neighbours, and every 31st byte."""
    places, place = {0, 1, 4, 8, 12}, 12
    while place < len(data):
        places |= {place + shift for shift in (-1, 0, 1, 4, 8, 9)}
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        place += 8 + size + size % 2
    return sorted(end for end in {*places, *range(0, len(data), 31)} if end < len(data))
