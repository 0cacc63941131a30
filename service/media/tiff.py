"""TIFF with one page: its tags before Pillow and libtiff see them.

Read are 8 bit and less a channel of grey, palette and RGB, with alpha or without, and 16-bit
grey; uncompressed, or compressed without loss by what `COMPRESSIONS` lists.
"""

import math

import numpy as np

from service.media.decoding import cut_off, decode, opened
from service.media.exif import ASIDE, ORIENTATION, PREFIX
from service.media.ifd import BrokenDirectory, Directory
from service.media.negotiation import TIFF
from service.media.picture import Header, Picture
from service.problems import UnreadablePicture

FORM = "TIFF"
BIG = (b"II+\0", b"MM\0+")
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES = 256, 257, 258, 259, 262, 277
STRIPS, STRIP_ROWS, STRIP_BYTES, PLANES, EXTRA, SAMPLE_FORMAT = 273, 278, 279, 284, 338, 339
TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES = 322, 323, 324, 325
COLOURS = 320
EXIF, GPS, INTEROPERABILITY = 0x8769, 0x8825, 0xA005
"""Tags that point at further directories, the last one from within EXIF's."""
KEPT = {0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298, EXIF, GPS}
"""What EXIF takes over: description, make, model, software, date, artist, copyright, and its own directories."""
NONE = 1
COMPRESSIONS = {NONE: "none", 5: "LZW", 8: "Deflate", 32773: "PackBits", 32946: "Deflate"}
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE = 0, 1, 2, 3
MODELS = {4: "mask", 5: "CMYK", 6: "YCbCr", 8: "CIELAB"}
"""Colour models that are not read, as far as they have names."""
MAX_TILE = 1024
"""Pixels of a tile's side, if the picture itself is not larger. A tile is decoded whole, however small the picture."""


def header(data: bytes) -> Header:
    """What the tags tell.

    Raises:
        UnreadablePicture: not a TIFF, cut off, or of a kind that is not read.
    """
    if data[:4] in BIG:
        raise UnreadablePicture("BigTIFF is not read; send a plain TIFF.")
    try:
        tags = Directory(data)
        if tags.next:
            raise UnreadablePicture("The TIFF has several pages; send one.")
        width, height = _one(tags, WIDTH), _one(tags, HEIGHT)
        bits, samples, model = _kind(tags)
        turn = _one(tags, ORIENTATION, 1)
    except BrokenDirectory as error:
        raise UnreadablePicture(f"The bytes are not a readable TIFF: {error}.") from None
    if not width or not height:
        raise UnreadablePicture("The TIFF has no pixels.")
    sides = (width, height) if turn in ASIDE else (height, width)
    grey = model in (WHITE_IS_ZERO, BLACK_IS_ZERO)
    shape = sides if grey else (*sides, 3)
    return Header(TIFF, shape, np.uint16 if bits == 16 else np.uint8, samples in (2, 4))


def read(data: bytes) -> Picture:
    """Decode a picture whose header was read.

    Raises:
        UnreadablePicture: a part of it is missing, or it is broken.
    """
    try:
        tags = Directory(data)
        _check_layout(data, tags)
        for start in (*tags.integers(EXIF), *tags.integers(GPS)):  # Pillow reads them, whatever they claim
            for inner in Directory(data, start).integers(INTEROPERABILITY):
                Directory(data, inner)
        turn = _one(tags, ORIENTATION, 1)
    except BrokenDirectory as error:
        raise UnreadablePicture(f"The bytes are not a readable TIFF: {error}.") from None
    level = data if turn == 1 else tags.replaced(ORIENTATION, 1)  # or Pillow would turn it too
    return decode(level, FORM, turn, _exif(data))


def _kind(tags: Directory) -> tuple[int, int, int]:
    """Bits of a sample, samples of a pixel, colour model: all of them such that Pillow reads them rightly."""
    compression = _one(tags, COMPRESSION, NONE)
    if compression not in COMPRESSIONS:
        raise UnreadablePicture(
            f"TIFF compression {compression} is not read; send {', '.join(dict.fromkeys(COMPRESSIONS.values()))}."
        )
    model = _one(tags, PHOTOMETRIC)
    if model not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE):
        raise UnreadablePicture(f"{MODELS.get(model, f'Colour model {model}')} is not read; send the picture as RGB.")
    if set(tags.integers(SAMPLE_FORMAT)) - {1}:
        raise UnreadablePicture("Of TIFF samples only unsigned integers are read; send floats as a NumPy array.")
    if _one(tags, PLANES, 1) != 1:  # of which Pillow reads some wrongly, without a word
        raise UnreadablePicture("The TIFF's channels are stored apart; send a pixel's samples side by side.")
    samples, extra = _one(tags, SAMPLES, 1), tags.integers(EXTRA)
    colours = 3 if model == RGB else 1
    if samples - colours not in (0, 1) or len(extra) not in (0, samples - colours) or set(extra) - {1, 2}:
        raise UnreadablePicture("The TIFF has samples beside colour and alpha; send the picture without them.")
    depths = set(tags.integers(BITS) or (1,))
    bits = max(depths)
    if len(depths) > 1 or bits not in (1, 2, 4, 8, 16) or (bits < 8 and samples > 1):
        raise UnreadablePicture(f"TIFF samples of {', '.join(map(str, sorted(depths)))} bit are not read.")
    if model == PALETTE and len(tags.integers(COLOURS)) != 3 << bits:  # Pillow would show the others black
        raise UnreadablePicture("The TIFF's palette has not as many colours as its samples.")
    if bits == 16 and (samples > 1 or model != BLACK_IS_ZERO):
        raise UnreadablePicture(
            "Of 16-bit pictures only grey without transparency is read, black as zero; send 8 bit per channel."
        )
    return bits, samples, model


def _check_layout(data: bytes, tags: Directory) -> None:
    """That all strips or tiles are there, and of sizes that fit the picture."""
    width, height = _one(tags, WIDTH), _one(tags, HEIGHT)
    bits, samples, _ = _kind(tags)
    tiled = TILES in tags
    if (STRIPS in tags) == tiled or (TILE_WIDTH in tags) != tiled:
        raise BrokenDirectory("it has not either strips or tiles")
    if tiled:
        wide, high = _one(tags, TILE_WIDTH), _one(tags, TILE_HEIGHT)
        most = max(MAX_TILE**2, 2 * width * height)  # a tile is decoded whole, however little of it is the picture
        fits = 0 < wide <= max(MAX_TILE, width + 15) and 0 < high <= max(MAX_TILE, height + 15)
        if not fits or wide * high > most:
            raise BrokenDirectory(f"its tiles are of {wide} x {high} pixels")
        starts, sizes = tags.integers(TILES), tags.integers(TILE_BYTES)
    else:
        wide, high = width, min(_one(tags, STRIP_ROWS, height), height)
        if not high:
            raise BrokenDirectory("its strips have no rows")
        starts, sizes = tags.integers(STRIPS), tags.integers(STRIP_BYTES)
    count = math.ceil(width / wide) * math.ceil(height / high)
    if not len(starts) == len(sizes) == count:
        raise BrokenDirectory(f"it has {len(starts)} strips or tiles in place of {count}")
    rows = np.full(count, high)
    if not tiled:
        rows[-1] = height - (count - 1) * high
    least = rows * math.ceil(wide * bits * samples / 8) if _one(tags, COMPRESSION, NONE) == NONE else 1
    if (np.array(starts) + np.array(sizes) > len(data)).any() or (np.array(sizes) < least).any():
        raise cut_off(FORM)


def _exif(data: bytes) -> bytes | None:
    """EXIF that says what the tags say, or None where there is nothing or it cannot be written."""
    with opened(data, FORM) as image:
        try:
            exif = image.getexif()
            for tag in set(exif) - KEPT:
                del exif[tag]
            return exif.tobytes().removeprefix(PREFIX) if exif else None
        except Exception:  # Pillow raises a dozen kinds for values that are not of their tag's type
            return None


def _one(tags: Directory, tag: int, default: int | None = None) -> int:
    """The value of a tag that has one.

    Raises:
        BrokenDirectory: it is missing and has no default, or has several.
    """
    values = tags.integers(tag)
    if not values and default is not None:
        return default
    if len(values) != 1:
        raise BrokenDirectory(f"tag {tag} has {len(values)} values in place of one")
    return values[0]
