"""Real pictures that were degraded in known ways: the scale on which a figure of generated ones can be read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from training.data.labelled import Images, Pictures

REPEATED = 1000


def scale(data: Pictures) -> dict[str, Images]:
    """As many training pictures as there are test pictures, by what was done to them.

    They are drawn, and of the same classes as those: the first of a file are not like the others. Where training has
    fewer of a class all of them are taken; rows that are made anew are always as many.
    """
    train, wanted, rng = data.train, data.measured.labels, np.random.default_rng(0)
    count = len(wanted)
    order = rng.permutation(len(train.images))
    labels = train.labels[order]
    drawn = [
        order[labels == label][:number] for label, number in zip(*np.unique(wanted, return_counts=True), strict=True)
    ]
    real = train.images[rng.permutation(np.concatenate(drawn))]
    rows = {
        "real training pictures": real,
        f"{len(real[:REPEATED]):,} real ones repeated": np.resize(real[:REPEATED], (count, *real.shape[1:])),
        "real ones shifted by 2 pixels": np.roll(real, 2, axis=3),
        "real ones blurred, sigma 1": blurred(real, 1.0),
    }
    if len(data.classes) > 1:
        rows["real ones, one class missing"] = train.images[order[labels != 0][:count]]
    return rows | {"independent pixels": independent_pixels(train.images, count, seed=0)}


def blurred(images: Images, sigma: float) -> Images:
    """Pictures [N,C,H,W] under a Gaussian of `sigma` pixels; beyond the border the picture is mirrored."""
    soft = gaussian_filter(images.astype(np.float32), (0, 0, sigma, sigma), mode="reflect")
    return np.round(soft).clip(0, 255).astype(np.uint8)


def independent_pixels(train: Images, count: int, seed: int) -> Images:
    """Pictures whose every pixel is that of another training picture: right pixel by pixel, and in nothing else."""
    flat = train.reshape(len(train), -1)
    rows: NDArray[np.int64] = np.random.default_rng(seed).integers(len(flat), size=(count, flat.shape[1]))
    return np.take_along_axis(flat, rows, axis=0).reshape(count, *train.shape[1:])
