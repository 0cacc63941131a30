"""TIFF files written by hand, tag by tag, against the pixels they were written from."""

import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.media import pictures as media
from service.media.ifd import MOST_NUMBERS, MOST_TAGS
from service.media.negotiation import JPEG, NPY, PNG, TIFF, WEBP
from service.media.picture import Picture
from service.media.pictures import inspect, loses, write
from service.problems import PictureTooLarge, UnreadablePicture
from tests.service.conftest import encoded, opened, pixels
from tests.service.test_pictures import ICC

Pixels = np.ndarray[Any, Any]
Tags = Mapping[int, tuple[int, Sequence[int]] | None]
CODES = {1: "B", 2: "B", 3: "H", 4: "I", 5: "Q", 7: "B", 13: "I"}
WHITE, BLACK, RGB, PALETTE = 0, 1, 2, 3
GREY, COLOUR = np.zeros((4, 6, 1), np.uint8), np.zeros((4, 6, 3), np.uint8)
COLOURS = np.random.default_rng(9).integers(0, 256, (3, 256))


def read(data: bytes) -> Picture:
    inspect(data, TIFF, 10**6)
    (picture,) = media.read(data, TIFF)
    return picture


def refused(data: bytes) -> str:
    with pytest.raises(UnreadablePicture) as caught:
        read(data)
    return caught.value.detail


def laid_out(tags: Tags, blocks: Sequence[bytes] = (), order: str = "<", following: int = 0) -> bytes:
    """A TIFF of these tags: blocks of pixels first, then the tags, then their values."""
    body, starts = b"", []
    for block in blocks:
        starts.append(8 + len(body))
        body += block + b"\0" * (len(block) % 2)
    places, sizes = (324, 325) if 322 in tags else (273, 279)
    if blocks:
        tags = {places: (4, starts), sizes: (4, [len(block) for block in blocks])} | dict(tags)
    tags = {tag: value for tag, value in tags.items() if value is not None}
    first = 8 + len(body)
    entries, values, place = b"", b"", first + 2 + 12 * len(tags) + 4
    for tag, (kind, numbers) in sorted(tags.items()):
        raw = struct.pack(f"{order}{len(numbers)}{CODES[kind]}", *numbers)
        if len(raw) > 4:
            raw, values = struct.pack(order + "I", place + len(values)), values + raw
        entries += struct.pack(order + "HHI", tag, kind, len(numbers)) + raw.ljust(4, b"\0")
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", first)
    count, after = struct.pack(order + "H", len(tags)), struct.pack(order + "I", following)
    return head + body + count + entries + after + values


def handmade(
    samples: Pixels,
    model: int = BLACK,
    bits: int = 8,
    compression: int = 1,
    order: str = "<",
    strip: int | None = None,
    tile: tuple[int, int] | None = None,
    extra: Sequence[int] = (),
    **changes: Any,
) -> bytes:
    """`samples` [H,W,S] as a TIFF; `changes` are tags, t262=(3, [5]), or None to leave one out."""
    height, width, depth = samples.shape
    tags: dict[int, Any] = {256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * depth), 259: (3, [compression])}
    tags |= {262: (3, [model]), 277: (3, [depth])}
    if tile:
        high, wide = tile
        tags |= {322: (3, [wide]), 323: (3, [high])}
        padded = np.pad(samples, ((0, -height % high), (0, -width % wide), (0, 0)))
        parts = [
            padded[top : top + high, left : left + wide]
            for top in range(0, height, high)
            for left in range(0, width, wide)
        ]
    else:
        rows = strip or height
        tags |= {278: (4, [rows])}
        parts = [samples[top : top + rows] for top in range(0, height, rows)]
    if extra:
        tags |= {338: (3, extra)}
    if model == PALETTE:
        tags |= {320: (3, [257 * int(value) for value in COLOURS[:, : 2**bits].ravel()])}
    tags |= {int(tag[1:]): value for tag, value in changes.items()}
    return laid_out(tags, [packed(part, bits, compression, order) for part in parts], order)


def packed(part: Pixels, bits: int, compression: int, order: str) -> bytes:
    """One strip or tile."""
    rows = []
    for row in part.reshape(len(part), -1):
        if bits == 16:
            rows.append(row.astype(order + "u2").tobytes())
        else:
            planes = (row[:, None] >> np.arange(bits - 1, -1, -1)) & 1
            rows.append(np.packbits(planes.astype(np.uint8)).tobytes())
    if compression == 32773:  # PackBits without any run
        return b"".join(
            bytes([len(row[at : at + 128]) - 1]) + row[at : at + 128] for row in rows for at in range(0, len(row), 128)
        )
    return zlib.compress(b"".join(rows)) if compression in (8, 32946) else b"".join(rows)


LAYOUTS: tuple[dict[str, Any], ...] = ({}, {"strip": 4}, {"tile": (16, 16)}, {"tile": (16, 32)})


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("compression", [1, 8, 32773])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_layout_of_every_kind_is_read_to_the_bit(layout: dict[str, Any], compression: int, order: str) -> None:
    draw = np.random.default_rng(0)
    how = layout | {"compression": compression, "order": order}
    for height, width in ((19, 37), (5, 8)):

        def some(bits: int, depth: int, size: tuple[int, int] = (height, width)) -> Pixels:
            return draw.integers(0, 2**bits, (*size, depth)).astype(np.uint16 if bits == 16 else np.uint8)

        for bits in (1, 2, 4, 8):
            grey = some(bits, 1)
            shown = (grey[..., 0].astype(int) * 255 // (2**bits - 1)).astype(np.uint8)
            assert np.array_equal(read(handmade(grey, BLACK, bits, **how)).pixels, shown)
            assert np.array_equal(read(handmade(grey, WHITE, bits, **how)).pixels, 255 - shown)
            coloured = read(handmade(grey, PALETTE, bits, **how))
            assert np.array_equal(coloured.pixels, COLOURS[:, grey[..., 0]].transpose(1, 2, 0))
        deep = some(16, 1)
        assert np.array_equal(read(handmade(deep, BLACK, 16, **how)).pixels, deep[..., 0])
        for model, colours in ((BLACK, 1), (RGB, 3)):
            clear = some(8, colours + 1)
            picture = read(handmade(clear, model, extra=[2], **how))
            assert picture.alpha is not None
            assert np.array_equal(picture.pixels, clear[..., 0] if model == BLACK else clear[..., :3])
            assert np.array_equal(picture.alpha, clear[..., -1])
        rgb = some(8, 3)
        assert np.array_equal(read(handmade(rgb, RGB, **how)).pixels, rgb)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I;16"])
def test_what_others_write_is_read(mode: str, compression: str | None) -> None:
    deep = Image.fromarray(pixels(70, 90).astype(np.uint16) * 257)
    image = deep if mode == "I;16" else Image.fromarray(pixels(70, 90, 3)).convert(mode)
    picture = read(encoded(image, "TIFF", compression=compression, icc_profile=ICC))
    expected = np.asarray(image)
    if "A" in mode:
        assert picture.alpha is not None
        assert (picture.alpha == 255).all()
        expected = expected[..., 0] if mode == "LA" else expected[..., :3]
    assert np.array_equal(picture.pixels, expected)
    assert picture.icc == ICC


def test_alpha_that_was_multiplied_in_is_divided_out() -> None:
    clear = np.array([[[100, 50, 25, 100], [10, 10, 10, 255], [0, 0, 0, 0]]], np.uint8)
    picture = read(handmade(clear, RGB, extra=[1]))
    assert np.array_equal(picture.pixels[0, :2], [[255, 127, 63], [10, 10, 10]])
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, clear[..., 3])


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_exif_is_kept(orientation: int, compression: int) -> None:
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    text = {tag: (2, b"%d a text\0" % tag) for tag in (0x010F, 0x0110, 0x0131)}
    data = handmade(grey, compression=compression, t274=(3, [orientation]), **{f"t{tag}": v for tag, v in text.items()})
    upright = {
        1: grey, 2: grey[:, ::-1], 3: grey[::-1, ::-1], 4: grey[::-1],
        5: grey.swapaxes(0, 1), 6: np.rot90(grey, -1), 7: np.rot90(grey, 2).swapaxes(0, 1), 8: np.rot90(grey),
    }[orientation][..., 0]  # fmt: skip
    picture = read(data)
    assert inspect(data, TIFF, 100).shape == picture.pixels.shape
    assert np.array_equal(picture.pixels, upright)
    for kind in (PNG, JPEG, WEBP):
        kept = opened(write(picture, kind)).getexif()
        assert {tag: kept.get(tag) for tag in text} == {tag: f"{tag} a text" for tag in text}
        assert kept.get(0x0112, 1) == 1
        assert 273 not in kept  # where the strips were


def test_further_directories_of_exif_are_kept() -> None:
    plain = handmade(GREY, t34665=(4, [0]), t34853=(4, [0]))
    subseconds = struct.pack("<HHHI4sI", 1, 0x9291, 2, 3, b"42", 0)
    north = struct.pack("<HHHI4sI", 1, 1, 2, 2, b"N", 0)
    exif = handmade(GREY, t34665=(4, [len(plain)]), t34853=(4, [len(plain) + len(subseconds)])) + subseconds + north
    kept = opened(write(read(exif), PNG)).getexif()
    assert kept.get_ifd(0x8769) == {0x9291: "42"}
    assert kept.get_ifd(0x8825) == {1: "N"}


def test_an_orientation_that_stands_elsewhere_does_not_count() -> None:
    xmp = b'<x:xmpmeta xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    data = handmade(np.zeros((2, 3, 1), np.uint8), t700=(1, xmp))
    assert read(data).pixels.shape == inspect(data, TIFF, 100).shape == (2, 3)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (handmade(COLOUR.astype(np.uint16), RGB, 16), "16-bit"),
        (handmade(GREY.astype(np.uint16), WHITE, 16), "16-bit"),
        (handmade(np.zeros((4, 6, 2), np.uint16), BLACK, 16, extra=[2]), "16-bit"),
        (encoded(Image.new("CMYK", (4, 4)), "TIFF"), "CMYK is not read; send the picture as RGB"),
        (encoded(Image.new("YCbCr", (4, 4)), "TIFF"), "YCbCr is not read"),
        (encoded(Image.new("LAB", (4, 4)), "TIFF"), "CIELAB is not read"),
        (encoded(Image.new("F", (4, 4)), "TIFF"), "floats as a NumPy array"),
        (encoded(Image.new("I", (4, 4)), "TIFF"), "only unsigned integers"),
        (handmade(GREY, t339=(3, [2])), "only unsigned integers"),
        (
            encoded(Image.new("RGB", (4, 4)), "TIFF", compression="jpeg"),
            "TIFF compression 7 is not read; send none, LZW",
        ),
        (handmade(GREY, t259=(3, [34925])), "TIFF compression 34925"),
        (handmade(GREY, t259=(3, [4])), "TIFF compression 4 "),
        (handmade(COLOUR, RGB, t284=(3, [2])), "stored apart"),
        (handmade(np.zeros((4, 6, 4), np.uint8), RGB, extra=[0]), "beside colour and alpha"),
        (handmade(np.zeros((4, 6, 5), np.uint8), RGB, extra=[2, 2]), "beside colour and alpha"),
        (handmade(GREY, t258=(3, [12])), "12 bit"),
        (handmade(COLOUR, RGB, t258=(3, [8, 8, 4])), "4, 8 bit"),
        (handmade(GREY, t262=None), "tag 262"),
        (handmade(GREY, t256=(4, [6, 6])), "tag 256 has 2 values"),
        (handmade(GREY, t256=(2, [6])), "tag 256 is of type 2"),
        (handmade(GREY, t256=(4, [0])), "no pixels"),
        (b"II+\0" + bytes(40), "BigTIFF"),
        (b"MM\0+" + bytes(40), "BigTIFF"),
        (b"II*\0", "not a readable TIFF"),
        (b"II*\0\xff\xff\xff\xff", "outside"),
        (laid_out({}), "tag 256"),
    ],
)
def test_other_kinds_are_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(UnreadablePicture) as caught:
        inspect(data, TIFF, 10**6)
    assert words in caught.value.detail


def test_several_pages_are_refused() -> None:
    page = Image.new("L", (4, 4))
    assert "several pages" in refused(encoded(page, "TIFF", save_all=True, append_images=[page]))
    assert "several pages" in refused(laid_out({256: (4, [1]), 257: (4, [1])}, following=8))


def test_bombs_are_refused_before_decoding() -> None:
    huge = handmade(GREY, t256=(4, [60_000]), t257=(4, [60_000]))
    with pytest.raises(PictureTooLarge) as caught:
        inspect(huge, TIFF, 16_000_000)
    assert caught.value.setting == "HARMONIUM_MAX_PIXELS"
    with pytest.raises(PictureTooLarge, match="side"):
        inspect(handmade(GREY, t256=(4, [70_000])), TIFF, 16_000_000)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (handmade(GREY, t273=(4, [8] * (MOST_NUMBERS + 1))), "262144 are read"),
        (laid_out({tag: (3, [1]) for tag in range(256, 257 + MOST_TAGS)}), "1000 are read"),
        (handmade(GREY, t273=(4, [8] * 1000), t279=(4, [6] * 1000)), "1000 strips or tiles in place of 1"),
        (handmade(GREY, t278=(4, [0])), "no rows"),
        (handmade(GREY, t278=(4, [2])), "1 strips or tiles in place of 2"),
        (handmade(GREY, t279=None), "in place of 1"),
        (handmade(GREY, t273=None), "either strips or tiles"),
        (handmade(GREY, t322=(3, [16]), t273=(4, [8]), t279=(4, [24])), "either strips or tiles"),
        (handmade(GREY, tile=(16, 16), t322=(4, [2**31]), t323=(4, [2**31])), "tiles are of 2147483648"),
        (handmade(GREY, tile=(16, 16), t322=(4, [0])), "tiles are of 0"),
        (handmade(np.zeros((1, 60_000, 1), np.uint8), tile=(1024, 60_000), compression=8), "tiles are of 60000 x 1024"),
        (handmade(GREY, tile=(16, 16), t322=(4, [1]), t323=(4, [1])), "in place of 24"),
        (handmade(GREY, t279=(4, [23])), "cut off"),
        (handmade(GREY, t279=(4, [2**32 - 1])), "cut off"),
        (handmade(GREY, compression=8, t279=(4, [0])), "cut off"),
        (handmade(GREY, t34665=(4, [2**31])), "outside"),
        (handmade(GREY, t34665=(4, [4])), "cut off"),
    ],
)
def test_tags_that_lie_are_refused_before_decoding(data: bytes, words: str) -> None:
    assert words in refused(data)


def test_further_directories_are_looked_at_before_pillow_reads_them() -> None:
    plain = handmade(GREY, t34665=(4, [0]))
    numbers = struct.pack("<HHHIII", 1, 0x9000, 5, MOST_NUMBERS + 1, 8, 0)
    whole = handmade(GREY, t34665=(4, [len(plain)])) + numbers
    assert "262144 are read" in refused(whole)
    inner = struct.pack("<HHHIII", 1, 0xA005, 4, 1, len(plain) + 18, 0)
    assert "262144 are read" in refused(handmade(GREY, t34665=(4, [len(plain)])) + inner + numbers)


@pytest.mark.parametrize(
    "how", [{}, {"compression": 8}, {"compression": 32773, "strip": 3}, {"tile": (16, 16)}], ids=str
)
def test_every_cut_is_refused(how: dict[str, Any]) -> None:
    data = handmade(pixels(20, 30, 3), RGB, **how)
    for size in range(len(data)):
        refused(data[:size])


def test_every_cut_of_what_others_write_is_refused() -> None:
    data = encoded(Image.fromarray(pixels(20, 30, 3)), "TIFF", compression="tiff_lzw")
    read(data)
    for size in range(len(data)):
        refused(data[:size])


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_pixels_that_end_too_early_are_refused(compression: str) -> None:
    """The strip says that it is whole, and has less than a strip."""
    image = Image.fromarray(pixels(40, 30, 3))
    data = encoded(image, "TIFF", compression=compression)
    tags = opened(data).tag_v2  # type: ignore[attr-defined]
    assert len(tags[273]) == 1
    compressed = data[tags[273][0] : tags[273][0] + tags[279][0]]
    blank = {256: (4, [30]), 257: (4, [40]), 258: (3, [8, 8, 8]), 259: (3, [tags[259]]), 262: (3, [RGB]), 277: (3, [3])}
    blank |= {317: (3, [tags.get(317, 1)]), 278: (4, [40])}
    assert np.array_equal(read(laid_out(blank, [compressed])).pixels, np.asarray(image))
    for size in range(1, len(compressed) - 8, 97):
        refused(laid_out(blank, [compressed[:size]]))


def test_what_answers_can_hold_of_it() -> None:
    deep, clear = handmade(GREY.astype(np.uint16), BLACK, 16), handmade(np.zeros((4, 6, 2), np.uint8), extra=[2])
    lost = {data: [loses(inspect(data, TIFF, 100), kind) for kind in (PNG, JPEG, WEBP, NPY)] for data in (deep, clear)}
    assert lost[deep] == [None, "16 bit", "16 bit", None]
    assert lost[clear] == [None, "transparency", None, "transparency"]
