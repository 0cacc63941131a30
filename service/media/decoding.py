"""What is the same in reading any picture file, by Pillow."""

import io
import warnings

import numpy as np
from PIL import Image

from service.media.picture import Picture
from service.problems import UnreadablePicture

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
    try:
        with opened(data, form) as image:
            image.info.pop("xmp", None)  # Pillow would turn a TIFF by what stands there
            image.load()
            icc = image.info.get("icc_profile")
            turned = image.transpose(TURNS[turn]) if turn in TURNS else image
            plain = turned.convert(_mode(turned)) if _mode(turned) != turned.mode else turned
            pixels = np.array(plain)
    except UnreadablePicture:
        raise
    except Exception as error:  # see `opened`
        raise UnreadablePicture(f"The picture is broken: {error}") from error
    alpha = None
    if plain.mode in ("LA", "RGBA"):
        alpha = np.ascontiguousarray(pixels[..., -1])
        pixels = np.ascontiguousarray(pixels[..., 0] if plain.mode == "LA" else pixels[..., :3])
    native = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    return Picture(native, alpha, icc if isinstance(icc, bytes) else None, exif)


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
