"""How strong the noise of a picture is, when nobody tells. Shared, so that what was measured is what is served."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Planes = NDArray[Any]
"""[C,H,W], of any type: only what is judged is ever converted."""
WINDOW = 512
"""Side of what is judged at once, pixels."""
WINDOWS = 4
"""Windows along a side at most: 16 of them are enough for any picture."""
SMALLEST = 16
"""Pixels a side that a graph needs; a smaller picture is continued by its mirror image."""


def haar(image: Planes) -> float:
    """Sigma of white Gaussian noise in `image`, in the units of its values: one for the whole picture.

    The robust median estimator sigma = median(|HH|) / 0.6745 on the finest diagonal Haar
    band (Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", 1994), over windows, spread evenly.
    Needs at least 2 x 2 pixels; a smaller picture counts as clean (0).
    """
    if min(image.shape[1:]) < 2:
        return 0.0
    found = [np.abs(_diagonal(window.astype(np.float32))).ravel() for window in _windows(image)]
    return float(np.median(np.concatenate(found)) / 0.6745)


def by_graph(image: Planes, estimate: Callable[[Planes], NDArray[np.float32]]) -> float:
    """Sigma of white Gaussian noise in `image`, in the units in which `estimate` tells it: one for the whole picture.

    `estimate` takes planes [B,1,h,w] of the picture's type and gives the sigma of each [B]. The median over windows,
    spread evenly, and channels counts.
    """
    _, height, width = image.shape
    short = [(0, 0), *((0, max(0, SMALLEST - length)) for length in (height, width))]
    image = np.pad(image, short, mode="symmetric") if height < SMALLEST or width < SMALLEST else image
    found = [estimate(np.ascontiguousarray(window[:, None])) for window in _windows(image)]
    return float(np.median(np.concatenate(found)))


def _diagonal(image: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = (length // 2 * 2 for length in image.shape[1:])
    even = image[:, :height, :width]
    return (even[:, ::2, ::2] - even[:, 1::2, ::2] - even[:, ::2, 1::2] + even[:, 1::2, 1::2]) / np.float32(2)


def _windows(image: Planes) -> Iterator[Planes]:
    for top in _starts(image.shape[1]):
        for left in _starts(image.shape[2]):
            yield image[:, top : top + WINDOW, left : left + WINDOW]


def _starts(length: int) -> Iterator[int]:
    count = min(WINDOWS, -(-length // WINDOW))
    return (place * (length - WINDOW) // max(1, count - 1) if count > 1 else 0 for place in range(count))
