import io
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, JpegImagePlugin
from PIL.PngImagePlugin import PngInfo

from service.media import pictures as media
from service.media.exif import ORIENTATION
from service.media.jpeg import MOST_SEGMENTS
from service.media.negotiation import JPEG, PNG, TIFF, WEBP
from service.media.picture import Picture
from service.media.pictures import MAX_SIDE, inspect, loses, write
from service.media.png import MOST_CHUNKS, MOST_PARTS
from service.problems import PictureTooLarge, Problem, UnreadablePicture
from tests.service.conftest import encoded, opened, pixels, png

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def read(data: bytes, kind: str) -> Picture:
    (picture,) = media.read(data, kind)
    return picture


def handmade(width: int, height: int, depth: int, colour: int, rows: bytes = b"", *more: bytes) -> bytes:
    """A PNG, chunk by chunk."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = b"".join(chunk(data[:4], data[4:]) for data in more)
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (1, 1), (1, 9, 3), (9, 1)])
@pytest.mark.parametrize("alpha", [False, True])
def test_png_keeps_every_pixel(shape: tuple[int, ...], alpha: bool) -> None:
    clear = pixels(*shape[:2], seed=1) if alpha else None
    data = write(Picture(pixels(*shape), clear, ICC), PNG)
    image = opened(data)
    assert image.info["icc_profile"] == ICC
    mode = {(2, False): "L", (2, True): "LA", (3, False): "RGB", (3, True): "RGBA"}[len(shape), alpha]
    assert image.mode == mode
    again = read(data, PNG)
    assert np.array_equal(again.pixels, pixels(*shape))
    assert (again.alpha is None) if clear is None else np.array_equal(again.alpha, clear)
    assert again.icc == ICC


def test_16_bit_grey_keeps_every_pixel() -> None:
    deep = np.arange(35, dtype=np.uint16).reshape(5, 7) * 1871
    data = encoded(Image.fromarray(deep))
    assert np.array_equal(read(data, PNG).pixels, deep)
    image = opened(write(Picture(deep), PNG))
    assert image.mode == "I;16"
    assert np.array_equal(np.asarray(image), deep)


@pytest.mark.parametrize("kind", [PNG, JPEG])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_dropped(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    grey = np.full((8, 24), 30, np.uint8)
    grey[:, 12:] = 200
    data = encoded(Image.fromarray(grey), kind.split("/")[1].upper(), exif=exif)
    picture = read(data, kind)
    turned = orientation >= 5
    assert picture.pixels.shape == ((24, 8) if turned else (8, 24))
    bright = picture.pixels > 100
    last = bright[-1, 0] if turned else bright[0, -1]
    assert last == (orientation in (1, 4, 5, 6))
    kept = opened(write(picture, kind)).getexif()
    assert kept[0x010F] == "Maker"
    assert kept.get(0x0112, 1) == 1


def test_exif_tells_of_the_size_of_what_was_turned() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769).update({0xA002: 24, 0xA003: 8})
    picture = read(encoded(Image.new("L", (24, 8)), "JPEG", exif=exif), JPEG)
    for shown, size in ((picture, (8, 24)), (picture.beside(picture), (16, 24))):
        kept = opened(write(shown, JPEG)).getexif().get_ifd(0x8769)
        assert (kept[0xA002], kept[0xA003]) == size


@pytest.mark.parametrize(("quality", "sampling"), [(50, 2), (90, 2), (94, 2), (95, 0), (100, 0)])
def test_a_jpeg_of_high_quality_keeps_colour_at_full_size(quality: int, sampling: int) -> None:
    data = write(Picture(pixels(16, 16, 3)), JPEG, quality)
    assert JpegImagePlugin.get_sampling(JpegImagePlugin.JpegImageFile(io.BytesIO(data))) == sampling


def test_16_bit_grey_is_turned_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = np.arange(6, dtype=np.uint16).reshape(2, 3) * 9000
    picture = read(encoded(Image.fromarray(deep), exif=exif), PNG)
    assert np.array_equal(picture.pixels, np.rot90(deep, -1))


def test_palettes_and_1_bit_become_what_they_show() -> None:
    colours = Image.fromarray(pixels(6, 6, 3)).quantize(8)
    assert np.array_equal(read(encoded(colours), PNG).pixels, np.asarray(colours.convert("RGB")))
    clear = read(encoded(colours, transparency=0), PNG)
    assert clear.alpha is not None
    assert np.array_equal(clear.alpha == 0, np.asarray(colours) == 0)
    line = Image.fromarray(pixels(6, 6) > 100)
    assert np.array_equal(read(encoded(line), PNG).pixels, (pixels(6, 6) > 100) * 255)


def test_a_colour_key_becomes_alpha() -> None:
    flat = np.zeros((3, 4, 3), np.uint8)
    flat[0, 0] = 9, 8, 7
    picture = read(encoded(Image.fromarray(flat), transparency=(9, 8, 7)), PNG)
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha == 0, (flat == (9, 8, 7)).all(axis=2))


@pytest.mark.parametrize("colour", [2, 4, 6])
def test_16_bit_colour_is_refused_and_never_cut(colour: int) -> None:
    with pytest.raises(UnreadablePicture, match="16-bit"):
        inspect(handmade(2, 2, 16, colour, bytes(40)), PNG, 100)


def test_16_bit_grey_with_a_colour_key_is_refused() -> None:
    with pytest.raises(UnreadablePicture, match="16-bit"):
        inspect(handmade(2, 2, 16, 0, bytes(10), b"tRNS\0\0"), PNG, 100)


def test_cmyk_and_animations_are_refused() -> None:
    with pytest.raises(UnreadablePicture, match="CMYK"):
        inspect(encoded(Image.new("CMYK", (4, 4)), "JPEG"), JPEG, 100)
    frames = [Image.new("L", (4, 4), shade) for shade in (0, 99)]
    with pytest.raises(UnreadablePicture, match="animation"):
        inspect(encoded(frames[0], save_all=True, append_images=frames[1:]), PNG, 100)


def test_pixels_are_counted_before_decoding() -> None:
    with pytest.raises(PictureTooLarge) as caught:
        inspect(handmade(60000, 60000, 8, 2), PNG, 16_000_000)  # a bomb: no pixels at all in the file
    assert caught.value.setting == "HARMONIUM_MAX_PIXELS"
    with pytest.raises(PictureTooLarge, match="side"):
        inspect(handmade(MAX_SIDE + 1, 1, 8, 0), PNG, 16_000_000)
    assert inspect(png(10, 10), PNG, 100).pixels == 100
    with pytest.raises(PictureTooLarge):
        inspect(png(10, 10), PNG, 99)


@pytest.mark.parametrize(("form", "kind"), [("PNG", JPEG), ("JPEG", PNG), ("GIF", PNG), ("TIFF", JPEG)])
def test_content_type_says_what_it_is(form: str, kind: str) -> None:
    with pytest.raises(UnreadablePicture):
        inspect(encoded(Image.new("L", (8, 8)), form), kind, 100)


@pytest.mark.parametrize("kind", [PNG, JPEG])
def test_every_cut_is_refused(kind: str) -> None:
    image = Image.fromarray(pixels(20, 20, 3))
    data = encoded(image, kind.split("/")[1].upper())
    last = len(data) - (1 if kind == PNG else 8)
    for size in [0, 1, *range(8, last, 37), last]:
        with pytest.raises(UnreadablePicture):  # noqa: PT012
            inspect(data[:size], kind, 1000)
            read(data[:size], kind)


def test_a_damaged_byte_of_a_png_is_refused() -> None:
    whole = png(40, 48)
    at = whole.index(b"IDAT")
    for place in (at + 20, at - 1, len(whole) - 14):  # a pixel, a length, the checksum of the pixels
        broken = whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]
        with pytest.raises(UnreadablePicture):
            read(broken, PNG)
    assert read(whole, PNG).height == 40


def test_a_jpeg_of_endless_scans_is_refused_before_decoding() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (640, 640)).save(buffer, "JPEG", progressive=True)
    honest = buffer.getvalue()
    inspect(honest, JPEG, 10**6)
    last = honest[honest.rindex(b"\xff\xda") : -2]
    with pytest.raises(UnreadablePicture, match="scans"):
        inspect(honest[:-2] + last * 200 + honest[-2:], JPEG, 10**6)


def test_the_longest_side_can_be_written_as_either_type() -> None:
    line = Picture(np.zeros((1, MAX_SIDE, 3), np.uint8))
    for kind in (PNG, JPEG):
        assert inspect(write(line, kind), kind, 10**6).pixels == MAX_SIDE


def test_jpeg_is_written_with_quality_profile_and_grey() -> None:
    picture = Picture(pixels(64, 64), icc=ICC)
    small, large = write(picture, JPEG, 10), write(picture, JPEG, 95)
    assert len(small) < len(large)
    image = opened(large)
    assert (image.mode, image.info["icc_profile"]) == ("L", ICC)


@pytest.mark.parametrize(
    ("data", "lost"),
    [
        (png(4, 4), None),
        (encoded(Image.new("RGBA", (4, 4))), "transparency"),
        (encoded(Image.new("I;16", (4, 4))), "16 bit"),
    ],
)
def test_what_a_jpeg_would_lose_is_known_from_the_header(data: bytes, lost: str | None) -> None:
    assert loses(inspect(data, PNG, 100), JPEG) == lost
    assert loses(inspect(data, PNG, 100), PNG) is None


def test_texts_are_not_unpacked() -> None:
    info = PngInfo()
    info.add_text("bomb", "0" * 100_000_000, zip=True)
    data = encoded(Image.new("L", (4, 4), 9), pnginfo=info)
    tracemalloc.start()
    assert (read(data, PNG).pixels == 9).all()
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


def test_a_second_header_never_replaces_the_first() -> None:
    """Pillow takes the last one: a picture of any size behind a header of 4 pixels."""
    small, large = handmade(2, 2, 8, 0), handmade(9000, 9000, 8, 0)
    header = slice(8, 33)
    for data in (small[:33] + large[header] + small[33:], small[:-12] + large[header] + small[-12:]):
        with pytest.raises(UnreadablePicture, match="again"):
            inspect(data, PNG, 10**6)


def test_a_profile_that_no_jpeg_can_hold_is_dropped_there() -> None:
    most = 255 * 65_519
    for size, kept in ((most, True), (most + 1, False)):
        icc = bytes(size)
        assert (opened(write(Picture(pixels(4, 4), icc=icc), JPEG)).info.get("icc_profile") == icc) == kept


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("orientation", [1, 6])
def test_exif_of_a_png_may_come_after_the_pixels(orientation: int, last: bool) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x010F] = orientation, "Maker"
    chunk = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    data = handmade(3, 2, 8, 0, bytes([0, 1, 2, 3, 0, 4, 5, 6]), *([] if last else [chunk]))
    if last:
        end = data.rindex(b"IEND") - 4
        data = data[:end] + handmade(1, 1, 8, 0, b"", chunk)[33 : 33 + 8 + len(chunk)] + data[end:]
    picture = read(data, PNG)
    grey = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    assert np.array_equal(picture.pixels, grey if orientation == 1 else np.rot90(grey, -1))
    assert inspect(data, PNG, 100).shape == picture.pixels.shape
    assert opened(write(picture, PNG)).getexif()[0x010F] == "Maker"


def test_a_colour_key_after_the_pixels_is_refused() -> None:
    data = handmade(1, 1, 8, 0, bytes(2))
    end = data.rindex(b"IEND") - 4
    key = handmade(1, 1, 8, 0, b"", b"tRNS\0\0")[33:47]
    with pytest.raises(UnreadablePicture, match="tRNS comes after its pixels"):
        inspect(data[:end] + key + data[end:], PNG, 100)


def test_chunks_and_segments_are_counted_before_pillow_reads_them() -> None:
    """Each takes it a moment, for a dozen bytes."""
    inspect(handmade(1, 1, 8, 0, bytes(2), *[b"teXt"] * 900), PNG, 100)
    with pytest.raises(UnreadablePicture, match="chunks"):
        inspect(handmade(1, 1, 8, 0, bytes(2), *[b"teXt"] * (MOST_CHUNKS + 1)), PNG, 100)
    with pytest.raises(UnreadablePicture, match="chunks"):
        inspect(handmade(1, 1, 8, 0, bytes(2), *[b"IDAT"] * (MOST_PARTS + 1)), PNG, 100)
    jpeg = encoded(Image.new("L", (8, 8)), "JPEG")
    comment = b"\xff\xfe\0\2"
    for filling in (comment, b"\xff"):
        assert inspect(jpeg[:2] + filling * 900 + jpeg[2:], JPEG, 100).shape == (8, 8)
        with pytest.raises(UnreadablePicture, match="segments"):
            inspect(jpeg[:2] + filling * MOST_SEGMENTS + jpeg[2:], JPEG, 100)


@pytest.mark.parametrize("cut", [b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\0\0", b"\xff\xd8\0\0\0\0"])
def test_a_jpeg_without_a_scan_is_refused(cut: bytes) -> None:
    with pytest.raises(UnreadablePicture):
        inspect(cut, JPEG, 100)


def test_floats_are_written_as_what_can_be_shown_of_them() -> None:
    floats = np.array([[-1, 0, 0.25, 1, 2]])
    for dtype in (np.float32, np.float64):
        image = opened(write(Picture(floats.astype(dtype)), PNG))
        assert np.asarray(image).tolist() == [[0, 0, 64, 255, 255]]


def test_16_bit_colour_is_written_to_the_bit() -> None:
    deep = np.arange(30, dtype=np.uint16).reshape(2, 5, 3) * 2003
    data = write(Picture(deep), PNG)
    assert data[24:26] == bytes([16, 2])
    start = data.index(b"IDAT") + 4
    rows = np.frombuffer(zlib.decompress(data[start:-16]), np.uint8).reshape(2, 31)
    assert (rows[:, 0] == 2).all()  # the filter "up": each row is told as the difference to the one above
    values = np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8)
    assert np.array_equal(np.ascontiguousarray(values).view(">u2").reshape(2, 5, 3), deep)


@pytest.mark.parametrize("kind", [PNG, JPEG, WEBP])
def test_a_grey_picture_may_have_an_axis_of_channels(kind: str) -> None:
    grey = pixels(8, 9)
    assert write(Picture(grey[..., None]), kind) == write(Picture(grey), kind)


EXIF = Image.Exif()
EXIF[ORIENTATION], EXIF[0x010F] = 6, "Maker"
WHOLE = [
    (encoded(image, form, exif=EXIF, icc_profile=ICC, **options), kind)
    for form, kind, many in (
        ("PNG", PNG, [{}]),
        ("JPEG", JPEG, [{}, {"progressive": True}]),
        ("WEBP", WEBP, [{}, {"lossless": True}]),
        ("TIFF", TIFF, [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}]),
    )
    for options in many
    for image in (Image.fromarray(pixels(9, 7)), Image.fromarray(pixels(9, 7, 3)))
]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(WHOLE), st.data())
def test_any_damage_is_refused_or_the_header_was_right(whole: tuple[bytes, str], data: st.DataObject) -> None:
    damaged, kind = bytearray(whole[0]), whole[1]
    places = st.integers(0, min(len(damaged), data.draw(st.sampled_from([40, 200, 10**6]))) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=4)):
        damaged[place] = value
    try:
        header = inspect(bytes(damaged), kind, 10**5)
        picture = read(bytes(damaged), kind)
    except Problem:
        return
    assert (picture.pixels.shape, picture.pixels.dtype) == (header.shape, header.dtype)
    assert (picture.alpha is not None) == header.clear
    inspect(write(picture, PNG), PNG, 10**5)


def test_written_png_is_valid_to_others() -> None:
    data = write(Picture(pixels(30, 40, 3)), PNG)
    image = Image.open(io.BytesIO(data))
    image.verify()


def warned_of(data: bytes) -> bytes:
    """A JPEG whose EXIF ends too early, of which Pillow warns."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x0131] = 6, "software with a long name"
    whole = encoded(opened(data), "JPEG", exif=exif)
    start = whole.index(b"\xff\xe1")
    size = struct.unpack(">H", whole[start + 2 : start + 4])[0]
    short = whole[start + 4 : start + 2 + size - 12]
    return whole[:start] + b"\xff\xe1" + struct.pack(">H", len(short) + 2) + short + whole[start + 2 + size :]


def test_a_photo_is_read_whatever_pillow_warns_of() -> None:
    """In a process of its own, because pytest has its own filter of warnings, and it makes errors of them."""
    data = warned_of(png(8, 24))
    with pytest.warns(UserWarning, match="Truncated"):
        Image.open(io.BytesIO(data)).getexif()
    code = """
import sys
from service.media import pictures
from service.problems import UnreadablePicture
data = sys.stdin.buffer.read()
pictures.inspect(data, pictures.JPEG, 1000)
(picture,) = pictures.read(data, pictures.JPEG)
pictures.write(picture, pictures.JPEG)
print(picture.pixels.shape)
try:
    pictures.read(data[:-200], pictures.JPEG)
except UnreadablePicture:
    print("cut")
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, input=data, capture_output=True, timeout=60)
    assert (done.stdout, done.stderr) == (b"(24, 8)\ncut\n", b"")


@pytest.mark.parametrize("exif", [b"eXIfMM\0*\xff\xff\xff\xff", b"eXIfbroken", b"eXIf"])
def test_broken_exif_is_dropped(exif: bytes) -> None:
    picture = read(handmade(2, 2, 8, 0, bytes(6), exif), PNG)
    assert picture.pixels.shape == (2, 2)
    assert picture.exif is None


def test_more_exif_than_jpeg_can_hold_is_dropped_there() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a" * 70_000
    picture = read(encoded(Image.fromarray(pixels(8, 8)), exif=exif), PNG)
    assert opened(write(picture, PNG)).getexif()[0x010F] == "a" * 70_000
    assert dict(opened(write(picture, JPEG)).getexif()) == {}


@pytest.mark.parametrize("palette", [[], [b"PLTE"], [b"PLTE" + bytes(7)], [b"PLTE" + bytes(771)]])
def test_a_palette_picture_without_a_sound_palette_is_refused_and_never_black(palette: list[bytes]) -> None:
    with pytest.raises(UnreadablePicture, match="palette"):
        inspect(handmade(2, 2, 8, 3, bytes(6), *palette), PNG, 100)


def test_a_camera_s_table_of_further_pictures_is_left_out() -> None:
    frames = [Image.fromarray(pixels(8, 12, 3, seed=seed)) for seed in (0, 1)]
    several = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:], quality=95)
    assert Image.open(io.BytesIO(several)).format == "MPO"
    alone = encoded(frames[0], "JPEG", quality=95)
    assert np.array_equal(read(several, JPEG).pixels, read(alone, JPEG).pixels)
