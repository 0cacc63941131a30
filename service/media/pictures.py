"""PNG and JPEG bytes to pixels and back, with everything a picture must keep.

Kept: grey as grey, 16-bit grey, alpha, the ICC profile, EXIF (its orientation is applied to
the pixels and dropped; broken EXIF is dropped, and so is more of it than JPEG can hold).
Palettes become RGB or RGBA, 1-bit becomes grey. What cannot be
read honestly is refused: 16-bit colour (Pillow would cut it to 8 bit in silence), CMYK,
animations.
"""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.media.negotiation import JPEG, PNG
from service.problems import PictureTooLarge, UnreadablePicture

FORMATS = {PNG: "PNG", JPEG: "JPEG"}
SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"\0\0\0\0IEND\xaeB`\x82"
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each orientation of EXIF."""
JPEG_EXIF = 65_533
"""Bytes of EXIF that JPEG can hold."""
MAX_SIDE = 65500
"""What libjpeg writes. A longer line of pixels is no picture, and padding would multiply it."""
MAX_SCANS = 100
"""Passes over a progressive JPEG; encoders make about ten. Each costs a pass over all pixels, for a few bytes."""
SCAN = b"\xff\xda"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
"""Colour types of PNG."""

Image.MAX_IMAGE_PIXELS = None  # the limit is ours, is a setting, and is met before decoding
warnings.filterwarnings("ignore", module=r"PIL\.")  # of broken metadata; each text would be remembered for good


@dataclass(frozen=True)
class Picture:
    """`pixels` [H,W] or [H,W,3], uint8 or (grey only) uint16; `alpha` [H,W], uint8."""

    pixels: NDArray[Any]
    alpha: NDArray[np.uint8] | None = None
    icc: bytes | None = None
    exif: bytes | None = None

    @property
    def height(self) -> int:
        """In pixels."""
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        """In pixels."""
        return self.pixels.shape[1]

    def with_pixels(self, pixels: NDArray[Any]) -> "Picture":
        """The same picture otherwise."""
        return replace(self, pixels=pixels)

    def jpeg_loses(self) -> str | None:
        """What a JPEG could not hold of this picture."""
        return _jpeg_loses(self.alpha is not None, self.pixels.dtype == np.uint16)


@dataclass(frozen=True)
class Header:
    """What is known of a picture before it is decoded."""

    kind: str
    pixels: int
    jpeg_loses: str | None


def inspect(data: bytes, kind: str, max_pixels: int) -> Header:
    """Read the header of a picture of media type `kind`.

    Raises:
        PictureTooLarge: more than `max_pixels`.
        UnreadablePicture: not of that type, or of a kind that is not read.
    """
    image = _open(data, kind)
    width, height = image.size
    if width * height > max_pixels:
        raise PictureTooLarge(
            f"The picture has {width} x {height} pixels; {max_pixels} are allowed.", setting="HARMONIUM_MAX_PIXELS"
        )
    if max(width, height) > MAX_SIDE:
        raise PictureTooLarge(f"The picture has {width} x {height} pixels; a side may have {MAX_SIDE}.")
    if image.mode in ("CMYK", "YCCK"):
        raise UnreadablePicture("CMYK is not read; send the picture as RGB.")
    if kind == JPEG:
        if data.count(SCAN) > MAX_SCANS:
            raise UnreadablePicture(f"The JPEG has {data.count(SCAN)} scans; {MAX_SCANS} are read.")
        return Header(kind, width * height, None)
    if getattr(image, "is_animated", False):
        raise UnreadablePicture("The picture is an animation; send one frame.")
    if data[12:16] != b"IHDR":
        raise UnreadablePicture("The PNG does not begin with its header.")
    depth, colour = data[24], data[25]
    deep, clear = depth == 16, colour in (GREY_ALPHA, RGBA) or "transparency" in image.info
    if deep and (colour != GREY or clear):
        raise UnreadablePicture("Of 16-bit pictures only grey without transparency is read; send 8 bit per channel.")
    return Header(kind, width * height, _jpeg_loses(clear, deep))


def read(data: bytes, kind: str) -> Picture:
    """Decode a picture that `inspect` let pass.

    Raises:
        UnreadablePicture: it is cut off or broken.
    """
    if kind == PNG and END not in data:  # Pillow takes one that lacks a little
        raise UnreadablePicture("The picture is cut off.")
    try:
        if kind == PNG:
            with _open(data, kind) as image:
                image.verify()  # every checksum; decoding does not look at those of the pixels
        with _open(data, kind) as image:
            image.load()
            icc = image.info.get("icc_profile")
            turn, exif = _exif(image)
            turned = image.transpose(turn) if turn is not None else image
            plain = turned.convert(_mode(turned)) if _mode(turned) != turned.mode else turned
            pixels = np.array(plain)
    except UnreadablePicture:
        raise
    except Exception as error:  # Pillow raises a dozen kinds for a broken file
        raise UnreadablePicture(f"The picture is broken: {error}") from error
    picture = Picture(pixels, None, icc if isinstance(icc, bytes) else None, exif)
    if plain.mode in ("LA", "RGBA"):
        colours = pixels[..., 0] if plain.mode == "LA" else pixels[..., :3]
        return replace(picture, pixels=np.ascontiguousarray(colours), alpha=np.ascontiguousarray(pixels[..., -1]))
    return picture


def write(picture: Picture, kind: str, quality: int = 90) -> bytes:
    """Encode as media type `kind`; `quality` 1..100 is for JPEG, which must lose nothing of `jpeg_loses`."""
    if kind == PNG:
        return _write_png(picture)
    assert picture.jpeg_loses() is None
    buffer = io.BytesIO()
    exif = picture.exif if picture.exif and len(picture.exif) <= JPEG_EXIF else b""
    Image.fromarray(picture.pixels).save(buffer, "JPEG", quality=quality, icc_profile=picture.icc, exif=exif)
    return buffer.getvalue()


def _open(data: bytes, kind: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=[FORMATS[kind]])
    except Exception as error:
        raise UnreadablePicture(
            f"The body is not a readable {FORMATS[kind]}, which Content-Type says it is."
        ) from error


def _exif(image: Image.Image) -> tuple[Image.Transpose | None, bytes | None]:
    """How the picture must be turned, and the rest of its EXIF, as far as either can be read."""
    turn = None
    try:
        exif = image.getexif()
        turn = TURNS.get(exif.pop(ORIENTATION, 1))
        return turn, exif.tobytes() if exif else None
    except Exception:  # Pillow raises a dozen kinds for broken EXIF; the pixels were read before
        return turn, None


def _mode(image: Image.Image) -> str:
    """The mode to convert to: grey, RGB, and each with alpha."""
    clear = "transparency" in image.info
    if image.mode in ("1", "L"):
        return "LA" if clear else "L"
    if image.mode in ("P", "RGB", "PA"):
        return "RGBA" if clear or image.mode == "PA" else "RGB"
    if image.mode in ("LA", "RGBA", "I;16"):
        return image.mode
    raise UnreadablePicture(f"Pictures of mode {image.mode} are not read.")


def _jpeg_loses(clear: bool, deep: bool) -> str | None:
    return "transparency" if clear else "16 bit" if deep else None


def _write_png(picture: Picture) -> bytes:
    """PNG with the "up" filter on every row and one call of zlib at its fastest.

    Pillow searches for a filter row by row, which takes ten times as long for files of about the same size.
    """
    planes = picture.pixels[..., None] if picture.pixels.ndim == 2 else picture.pixels
    colour = {1: GREY, 3: RGB}[planes.shape[2]]
    if picture.alpha is not None:
        planes = np.concatenate([planes, picture.alpha[..., None]], axis=2)
        colour = {GREY: GREY_ALPHA, RGB: RGBA}[colour]
    depth = 8 * planes.dtype.itemsize
    rows = planes.astype(planes.dtype.newbyteorder(">")).reshape(picture.height, -1).view(np.uint8)
    filtered = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    chunks = [_chunk(b"IHDR", struct.pack(">IIBBBBB", picture.width, picture.height, depth, colour, 0, 0, 0))]
    if picture.icc:
        chunks.append(_chunk(b"iCCP", b"ICC\0\0" + zlib.compress(picture.icc)))
    if picture.exif:
        chunks.append(_chunk(b"eXIf", picture.exif.removeprefix(b"Exif\0\0")))
    chunks += [_chunk(b"IDAT", zlib.compress(filtered.data, 1)), _chunk(b"IEND", b"")]
    return SIGNATURE + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
