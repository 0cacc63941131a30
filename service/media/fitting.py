"""Any picture to the size, channels and polarity that an encoder was trained on."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.media.picture import Picture

Fit = Literal["letterbox", "stretch"]
Invert = Literal["auto", "true", "false"]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601, as JPEG and Pillow weigh it."""
CONTRAST = 0.1
"""Of full scale: where light and dark differ by less, nothing is drawn."""
DARKEST, LIGHTEST = 1, 99
"""Per cent of the values that are below what counts as dark and as light: single pixels count for nothing."""


def fit(
    picture: Picture, shape: tuple[int, int, int], how: Fit, invert: Invert, background: Literal["dark", "light"]
) -> tuple[NDArray[np.float32], bool]:
    """`picture` as float32 `shape` [C,H,W] in 0..1, and whether it was inverted.

    `background` is that of the training pictures; `invert="auto"` turns a picture whose
    border is of the other kind: nearer to its lightest value or to its darkest. One that has
    the size and the polarity already passes unchanged: its values are the pixels' divided by
    full scale.
    """
    channels, height, width = shape
    planes = _flat(picture, channels)
    ground = _border(planes)
    inverted = invert == "true" or (invert == "auto" and _light(planes, ground) != (background == "light"))
    if inverted:
        planes, ground = 1 - planes, 1 - ground
    if planes.shape[:2] != (height, width):
        planes = _resize(planes, height, width, ground, how)
    return np.ascontiguousarray(planes.transpose(2, 0, 1)), inverted


def _flat(picture: Picture, channels: int) -> NDArray[np.float32]:
    """[H,W,channels] in 0..1, alpha composited on the background; floats stay what they are."""
    planes = picture.pixels.reshape(picture.height, picture.width, -1).astype(np.float32)
    if picture.pixels.dtype.kind == "u":
        planes /= np.float32(np.iinfo(picture.pixels.dtype).max)
    if planes.shape[2] == 3 and channels == 1:
        planes = (planes @ LUMA)[..., None]
    if planes.shape[2] == 1:
        planes = np.repeat(planes, channels, axis=2)
    if picture.alpha is None or (picture.alpha == 255).all():
        return planes
    cover = picture.alpha.astype(np.float32)[..., None] / np.float32(255)
    return (planes * cover + _ground(planes, cover[..., 0]) * (1 - cover)).astype(np.float32)


def _ground(planes: NDArray[np.float32], cover: NDArray[np.float32]) -> NDArray[Any]:
    """The background colour [C] behind a picture with alpha.

    The median of the border where it is opaque. A border that is nowhere opaque says
    nothing: then white behind dark strokes and black behind light ones.
    """
    opaque = _edge(cover) >= 0.5
    if opaque.any():
        return np.median(_edge(planes)[opaque], axis=0)
    drawn = planes[cover >= 0.5]
    light = drawn.size == 0 or float(drawn.mean()) < 0.5
    return np.full(planes.shape[2], 1.0 if light else 0.0, np.float32)


def _border(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median colour [C] of the outermost pixels."""
    return np.median(_edge(planes), axis=0).astype(np.float32)


def _light(planes: NDArray[np.float32], ground: NDArray[np.float32]) -> bool:
    """Whether what is drawn is darker than the ground: grey paper is light, and a dark photograph's black is dark."""
    low, high = map(float, np.percentile(planes, (DARKEST, LIGHTEST)))
    middle = (low + high) / 2 if high - low > CONTRAST else 0.5
    return float(np.mean(ground)) > middle


def _edge(planes: NDArray[Any]) -> NDArray[Any]:
    """The outermost pixels in one row, the corners counted for both of their sides."""
    return np.concatenate([planes[0], planes[-1], planes[:, 0], planes[:, -1]])


def _resize(
    planes: NDArray[np.float32], height: int, width: int, ground: NDArray[np.float32], how: Fit
) -> NDArray[np.float32]:
    rows, columns = height, width
    if how == "letterbox":
        scale = min(height / planes.shape[0], width / planes.shape[1])
        rows, columns = max(1, round(planes.shape[0] * scale)), max(1, round(planes.shape[1] * scale))
    size = (columns, rows)
    scaled = np.stack(
        [
            np.array(Image.fromarray(np.ascontiguousarray(plane)).resize(size, Image.Resampling.BILINEAR))
            for plane in planes.transpose(2, 0, 1)
        ],
        axis=-1,
    )
    padded = np.empty((height, width, planes.shape[2]), np.float32)
    padded[:] = ground
    top, left = (height - rows) // 2, (width - columns) // 2
    padded[top : top + rows, left : left + columns] = scaled
    return padded
