"""Principal components of pictures: the linear baseline of a code, and features where there are no classes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from training.data.labelled import Images

MOST_VALUES = 50_000_000
"""Of the pictures that components are taken from; each is held as a float64."""
Rows = NDArray[np.float64]


def looked_at(images: Images) -> Images:
    """The pictures that components are taken from: all, or the first of them where they are many and large."""
    return images[: MOST_VALUES // math.prod(images.shape[1:])]


def axes(rows: Rows, size: int) -> tuple[Rows, Rows]:
    """Mean [D] of rows [N,D], and their first principal axes [D,K] in rising order: `size` of them, if there are."""
    centre = rows.mean(axis=0)
    off = rows - centre
    if len(rows) >= off.shape[1]:
        return centre, np.linalg.eigh(off.T @ off)[1][:, -size:]
    values, vectors = np.linalg.eigh(off @ off.T)  # the same axes, seen from the rows: fewer than the columns
    kept = np.flatnonzero(values > values[-1] * 1e-12)[-size:]
    return centre, off.T @ (vectors[:, kept] / np.sqrt(values[kept]))


class Components:
    """Looks at pictures [N,C,H,W] by their first principal components, in units of the pixels' 0..1."""

    def __init__(self, images: Images, size: int = 64) -> None:
        self._centre, self._axes = axes(_flat(looked_at(images)), size)

    @property
    def size(self) -> int:
        return self._axes.shape[1]

    def look(self, images: Images) -> tuple[NDArray[np.int64], Rows]:
        """One class for all [N], and features [N,K]."""
        parts = [images[start : start + 1000] for start in range(0, len(images), 1000)]
        features = np.concatenate([(_flat(part) - self._centre) @ self._axes for part in parts])
        return np.zeros(len(images), np.int64), features


def _flat(images: Images) -> Rows:
    return images.reshape(len(images), -1) / 255.0
