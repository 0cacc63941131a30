"""What a latent space offers beside its codes: directions of attributes, and how odd a picture is."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from training.data.labelled import Images, Pictures

Rows = NDArray[np.floating]
QUANTILES = 101


def error_quantiles(errors: Rows) -> tuple[float, ...]:
    """Quantiles 0, 0.01 ... 1 of the errors [N], to six significant digits."""
    return tuple(float(f"{value:.6g}") for value in np.quantile(errors, np.linspace(0, 1, QUANTILES)))


def directions(codes: Rows, labels: NDArray[np.uint8], images: Images, data: Pictures) -> dict[str, tuple[float, ...]]:
    """A step [Z] for every class and every attribute of `data`, from the codes [N,Z] of labelled pictures.

    A class's step leads from the mean of all codes to the mean of its own. An attribute's is
    the mean of the codes of pictures that have one standard deviation more of it than the
    average, if codes and attribute are jointly Gaussian: cov(code, attribute) / std(attribute).
    """
    centre = codes.mean(axis=0)
    steps = {
        name: codes[labels == label].mean(axis=0) - centre
        for label, name in enumerate(data.classes)
        if (labels == label).any()
    }
    for name in data.attributes:
        value = ATTRIBUTES[name](images)
        off, spread = value - value.mean(), value.std()
        if spread > 0:
            steps[name] = (codes - centre).T @ off / (len(off) * spread)
    return {name: tuple(float(f"{number:.6g}") for number in step) for name, step in steps.items()}


def thickness(images: Images) -> Rows:
    """Mean width of the strokes [N] in pixels: their area over the length of their skeleton."""
    ink = images[:, 0] >= 128
    skeleton = np.array([skeletonize(picture).sum() for picture in ink])
    return ink.sum(axis=(1, 2)) / np.maximum(skeleton, 1)


def slant(images: Images) -> Rows:
    """Horizontal shift a row [N], in pixels to the right for one pixel up, by the second moments of the grey values."""
    weight = images[:, 0].astype(np.float64)
    weight /= np.maximum(weight.sum(axis=(1, 2), keepdims=True), 1)
    up, right = -np.arange(weight.shape[1])[:, None], np.arange(weight.shape[2])[None]
    off_up = up - (weight * up).sum(axis=(1, 2), keepdims=True)
    off_right = right - (weight * right).sum(axis=(1, 2), keepdims=True)
    return (weight * off_up * off_right).sum(axis=(1, 2)) / np.maximum((weight * off_up**2).sum(axis=(1, 2)), 1e-9)


ATTRIBUTES: dict[str, Callable[[Images], Rows]] = {"thickness": thickness, "slant": slant}
