"""Noise-level estimators that a manifest can name. Shared, so that what was measured is what is served."""

import numpy as np
from numpy.typing import NDArray


def haar(image: NDArray[np.float32]) -> float:
    """Sigma of white Gaussian noise in `image` [C,H,W], in the units of its values.

    The robust median estimator sigma = median(|HH|) / 0.6745 on the finest diagonal Haar
    band (Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", 1994).
    Needs at least 2 x 2 pixels; a smaller picture counts as clean (0).
    """
    _, height, width = image.shape
    even = image[:, : height // 2 * 2, : width // 2 * 2]
    if even.size == 0:
        return 0.0
    diagonal = (even[:, ::2, ::2] - even[:, 1::2, ::2] - even[:, ::2, 1::2] + even[:, 1::2, 1::2]) / 2
    return float(np.median(np.abs(diagonal)) / 0.6745)


ESTIMATORS = {"haar": haar}
