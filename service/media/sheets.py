"""Many pictures of one size as one array, and that array as one picture."""

import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Stack = NDArray[np.uint8]
"""[B,H,W] or [B,H,W,3]"""
WEBP_LOSSLESS = {"lossless": True, "quality": 20, "method": 1}
"""How hard the encoder tries, not what it loses: the utmost takes three times as long for the same size."""


def sheet(stack: Stack, gap: int) -> NDArray[np.uint8]:
    """The pictures row by row in a grid, with `gap` white pixels around each."""
    (count, height, width), channels = stack.shape[:3], stack.shape[3:]
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    pixels = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, *channels), 255, np.uint8)
    for place, picture in enumerate(stack):
        top, left = place // columns * (height + gap) + gap, place % columns * (width + gap) + gap
        pixels[top : top + height, left : left + width] = picture
    return pixels


def webp(pixels: NDArray[np.uint8]) -> bytes:
    """One picture [H,W] or [H,W,3] as WebP, without loss."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", **WEBP_LOSSLESS)
    return buffer.getvalue()
