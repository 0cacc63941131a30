"""A figure of a model card, and the one way in which its pixels become a PNG."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

INK = "#7a7a7a"
"""Of words and axes: the grey that is equally legible on a white and on a dark page."""


@dataclass(frozen=True)
class Figure:
    """`name` is the file's, without `.png`; `alt` says what is seen, `caption` what to look for."""

    name: str
    png: bytes
    alt: str
    caption: str


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels [H,W,4], red, green, blue and opacity, as the smallest PNG that holds them exactly."""
    colour, opacity = pixels[..., :3], pixels[..., 3:]
    grey = bool((colour == colour[..., :1]).all())
    image = Image.fromarray(np.concatenate((colour[..., :1], opacity), axis=2) if grey else pixels)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
