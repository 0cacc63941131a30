"""What a PNG shows, to the pixel."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

Array = np.ndarray[Any, Any]


def decoded(png: bytes) -> Array:
    """Pixels [H,W,4] of a PNG: red, green, blue, opacity."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def shows(png: bytes, pictures: Sequence[Array]) -> bool:
    """Whether the middle of any of `pictures` [C,H,W], as it is or enlarged by 2 or 3, is among the pixels.

    A picture whose middle row has hardly a value of its own tells nothing and counts as not shown.
    """
    channels, height, width = pictures[0].shape
    number = 256 ** np.arange(channels)
    rows = [picture[:, height // 2, width // 4 : width - width // 4].T @ number for picture in pictures]
    wanted = np.array([row for row in rows if len(np.unique(row)) >= 5])
    assert len(wanted) > 1
    page = decoded(png)[..., :channels] @ number
    mix = np.random.default_rng(0).integers(2**62, size=wanted.shape[1])  # a row of pixels becomes one number
    return any(
        bool(np.isin(sliding_window_view(page[:, start::factor], len(mix), axis=1) @ mix, wanted @ mix).any())
        for factor in (1, 2, 3)
        for start in range(factor)
    )
