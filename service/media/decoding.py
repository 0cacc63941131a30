"""What is the same in reading any picture file, by Pillow."""

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.media.picture import Picture
from service.problems import UnreadablePicture

Pixels = NDArray[Any]
TURNS: dict[int, Callable[[Pixels], Pixels]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}
"""What undoes each orientation of EXIF."""
BAND = 2**20
"""Pixels that are copied out of Pillow at a time."""

Image.MAX_IMAGE_PIXELS = None  # the limit is ours, is a setting, and is met before decoding
warnings.filterwarnings("ignore", module=r"PIL\.")  # of broken metadata; each text would be remembered for good


def opened(data: bytes, form: str) -> Image.Image:
    """The picture, not decoded yet; `form` is Pillow's name of the format.

    Raises:
        UnreadablePicture.
    """
    try:
        return Image.open(io.BytesIO(data), formats=[form])
    except Exception as error:  # Pillow raises a dozen kinds for a broken file
        raise unreadable(form) from error


def unreadable(form: str) -> UnreadablePicture:
    """The refusal of bytes that are no picture of the format."""
    return UnreadablePicture(f"The bytes are not a readable {form}, which their type says they are.")


def cut_off(form: str) -> UnreadablePicture:
    """The refusal of a file that ends too early."""
    return UnreadablePicture(f"The {form} is cut off.")


def decode(data: bytes, form: str, turn: int, exif: bytes | None) -> Picture:
    """The picture as grey or RGB, with alpha apart, turned as orientation `turn` of EXIF says; `exif` is that to keep.

    Raises:
        UnreadablePicture: it is cut off or broken.
    """
    pixels, mode, icc = _loaded(data, form)
    if turn in TURNS:
        pixels = np.ascontiguousarray(TURNS[turn](pixels))
    alpha = None
    if mode in ("LA", "RGBA"):
        alpha = np.ascontiguousarray(pixels[..., -1])
        pixels = np.ascontiguousarray(pixels[..., 0] if mode == "LA" else pixels[..., :3])
    native = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    return Picture(native, alpha, icc, exif)


def _loaded(data: bytes, form: str) -> tuple[Pixels, str, bytes | None]:
    """Pixels, their mode in Pillow and the ICC profile. What Pillow holds is free when this returns."""
    try:
        with opened(data, form) as image:
            image.info.pop("xmp", None)  # Pillow would turn a TIFF by what stands there
            image.load()
            icc = image.info.get("icc_profile")
            mode = _mode(image)
            pixels = _copied(image if mode == image.mode else image.convert(mode))
    except UnreadablePicture:
        raise
    except Exception as error:  # see `opened`
        raise UnreadablePicture(f"The picture is broken: {error}") from error
    return pixels, mode, icc if isinstance(icc, bytes) else None


def _copied(image: Image.Image) -> Pixels:
    """The pixels of `image`, band by band: as a whole Pillow would make two more copies on the way."""
    rows = max(1, BAND // image.width)
    tops = range(0, image.height, rows)
    bands = (np.asarray(image.crop((0, top, image.width, min(top + rows, image.height)))) for top in tops)
    first = next(bands)
    pixels = np.empty((image.height, *first.shape[1:]), first.dtype)
    pixels[: len(first)] = first
    for top, band in zip(tops[1:], bands, strict=True):
        pixels[top : top + len(band)] = band
    return pixels


def _mode(image: Image.Image) -> str:
    """The mode to convert to: grey, RGB, and each with alpha."""
    clear = "transparency" in image.info
    if image.mode in ("1", "L"):
        return "LA" if clear else "L"
    if image.mode in ("P", "RGB", "PA"):
        return "RGBA" if clear or image.mode == "PA" else "RGB"
    if image.mode == "La":
        return "LA"
    if image.mode in ("LA", "RGBA", "I;16", "I;16B"):
        return image.mode
    raise UnreadablePicture(f"Pictures of mode {image.mode} are not read.")
