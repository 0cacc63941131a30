"""WebP: what is read and written, what is kept, and what is refused before libwebp allocates anything."""

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.media import pictures as media
from service.media.negotiation import WEBP
from service.media.picture import Picture
from service.media.pictures import inspect, loses, write
from service.media.webp import MAX_SIDE, MOST_CHUNKS
from service.problems import PictureTooLarge, UnreadablePicture
from tests.service.conftest import encoded, opened, pixels
from tests.service.test_pictures import ICC


def read(data: bytes) -> Picture:
    inspect(data, WEBP, 10**6)
    (picture,) = media.read(data, WEBP)
    return picture


def refused(data: bytes) -> str:
    with pytest.raises(UnreadablePicture) as caught:
        read(data)
    return caught.value.detail


def image(alpha: bool = False) -> Image.Image:
    picture = Image.fromarray(pixels(20, 30, 3))
    if alpha:
        picture.putalpha(Image.fromarray(pixels(20, 30, seed=1)))
    return picture


def webp(alpha: bool = False, lossless: bool = True, **options: Any) -> bytes:
    return encoded(image(alpha), "WEBP", lossless=lossless, exact=True, **options)


def exif(orientation: int = 1) -> Image.Exif:
    made = Image.Exif()
    made[0x0112], made[0x010F] = orientation, "Maker"
    return made


def container(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def extended(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    return b"VP8X", struct.pack("<I", flags) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def frame(data: bytes) -> tuple[bytes, bytes]:
    """The pixels of a plain file."""
    return data[12:16], data[20 : 20 + struct.unpack_from("<I", data, 16)[0]]


@pytest.mark.parametrize("alpha", [False, True])
def test_every_pixel_and_what_goes_with_it_is_read(alpha: bool) -> None:
    data = webp(alpha, icc_profile=ICC, exif=exif())
    picture, header = read(data), inspect(data, WEBP, 1000)
    assert np.array_equal(picture.pixels, pixels(20, 30, 3))
    assert (header.shape, header.clear) == ((20, 30, 3), alpha)
    assert (picture.alpha is not None) == alpha
    if picture.alpha is not None:
        assert np.array_equal(picture.alpha, pixels(20, 30, seed=1))
    assert picture.icc == ICC


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_as_to_a_png(orientation: int) -> None:
    (png,) = media.read(encoded(image(True), "PNG", exif=exif(orientation)), "image/png")
    data = webp(True, exif=exif(orientation))
    picture = read(data)
    assert np.array_equal(picture.pixels, png.pixels)
    assert png.alpha is not None
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, png.alpha)
    assert inspect(data, WEBP, 1000).shape == picture.pixels.shape
    kept = opened(write(picture, WEBP)).getexif()
    assert (kept[0x010F], kept.get(0x0112, 1)) == ("Maker", 1)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("grey", [False, True])
def test_what_is_written_keeps_everything_but_some_of_the_pixels(alpha: bool, grey: bool) -> None:
    shape = (40, 50) if grey else (40, 50, 3)
    smooth = np.broadcast_to(np.arange(50, dtype=np.uint8)[:, None] * 4, (40, 50, 3))[: shape[0]]
    colours = np.ascontiguousarray(smooth[..., 0] if grey else smooth)
    clear = pixels(40, 50, seed=1) if alpha else None
    block = exif().tobytes().removeprefix(b"Exif\0\0")
    again = read(write(Picture(colours, clear, ICC, block), WEBP, 100))
    assert np.abs(again.pixels.astype(int) - smooth).max() <= 4
    assert (again.alpha is None) if clear is None else np.array_equal(again.alpha, clear)
    assert (again.icc, again.exif) == (ICC, block)


def test_quality_counts() -> None:
    picture = Picture(pixels(64, 64, 3))
    assert len(write(picture, WEBP, 10)) < len(write(picture, WEBP, 95))


def test_colours_under_transparency_are_kept() -> None:
    flat = np.full((16, 16, 3), 200, np.uint8)
    again = read(write(Picture(flat, np.zeros((16, 16), np.uint8)), WEBP, 100))
    assert again.pixels.min() > 190


def test_a_side_that_the_format_cannot_hold() -> None:
    longest = Picture(np.zeros((1, MAX_SIDE, 3), np.uint8))
    header = inspect(write(longest, WEBP), WEBP, MAX_SIDE)
    assert loses(header, WEBP) is None
    assert loses(header.beside(), WEBP) == "a side of more than 16383 pixels"


def test_animations_are_refused() -> None:
    frames = [Image.new("RGB", (8, 8), shade) for shade in ("red", "blue")]
    assert "animation" in refused(encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:]))
    still = frame(webp(lossless=False))
    for chunks in ((extended(30, 20, 2), still), (extended(30, 20), (b"ANIM", bytes(6)), still)):
        assert "animation" in refused(container(*chunks))


def test_bombs_are_refused_before_decoding() -> None:
    canvas = container(extended(2**24, 2**24), frame(webp()))
    assert "two different sizes" in refused(canvas)
    large = bytearray(webp(lossless=False))
    struct.pack_into("<HH", large, 26, MAX_SIDE, MAX_SIDE)
    with pytest.raises(PictureTooLarge) as caught:
        inspect(bytes(large), WEBP, 16_000_000)
    assert caught.value.setting == "HARMONIUM_MAX_PIXELS"
    assert "two different sizes" in refused(container(extended(30, 20), frame(bytes(large))))
    many = container(extended(30, 20), *[(b"junk", b"")] * MOST_CHUNKS, frame(webp()))
    assert "more than 1000 chunks" in refused(many)


@pytest.mark.parametrize("flags", [0, 0x10])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("lossless", [False, True])
def test_whether_there_is_alpha_is_known_before_decoding(lossless: bool, alpha: bool, flags: int) -> None:
    """Whatever the flag of the extended header says."""
    whole = bytearray(webp(alpha, lossless, exif=exif()))
    assert whole[12:16] == b"VP8X"
    whole[20] = flags
    header, picture = inspect(bytes(whole), WEBP, 1000), read(bytes(whole))
    assert header.clear == (picture.alpha is not None)


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_every_cut_is_refused(alpha: bool, lossless: bool) -> None:
    data = webp(alpha, lossless, icc_profile=ICC)
    for size in range(len(data)):
        refused(data[:size])


def test_pixels_that_end_too_early_are_refused() -> None:
    """The container says that it is whole. What an arithmetic coder writes at its end may not be needed."""
    kind, data = frame(webp(lossless=False))
    whole = read(container((kind, data)))
    for size in range(len(data) - 4):
        refused(container((kind, data[:size])))
    for size in range(len(data) - 4, len(data)):
        try:
            found = read(container((kind, data[:size])))
        except UnreadablePicture:
            continue
        assert np.array_equal(found.pixels, whole.pixels)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"RIFX" + webp()[4:],
        webp()[:8] + b"WAVE" + webp()[12:],
        container(),
        container((b"junk", b"")),
        container((b"VP8L", b"")),
        container((b"VP8L", b"/")),
        container((b"VP8 ", bytes(10))),
        container((b"VP8X", b"")),
        container(extended(30, 20)),
        container(extended(30, 20), (b"VP8L", frame(webp())[1]), (b"VP8 ", frame(webp(lossless=False))[1])),
        container((b"EXIF", b""), frame(webp())),
    ],
)
def test_what_is_no_webp(data: bytes) -> None:
    refused(data)


def test_broken_exif_is_dropped() -> None:
    for block in (b"", b"broken", b"MM\0*\xff\xff\xff\xff"):
        picture = read(container(extended(30, 20, 8), frame(webp()), (b"EXIF", block)))
        assert picture.exif is None
        assert picture.pixels.shape == (20, 30, 3)
