"""Where a generator's latents come from: seeds, paths between two of them, a lattice. All for the prior N(0, I)."""

from collections.abc import Iterator
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Latent = NDArray[np.float32]
"""[Z]"""
Path = Literal["slerp", "linear"]
MOST = 100.0
"""The largest number in a latent that a caller gives. The prior reaches 10 once in 10^23 draws."""
PARALLEL = 1e-7
"""The sine of an angle that float32 cannot tell from none."""


def drawn(seed: int, size: int, classes: int) -> tuple[Latent, int | None]:
    """The latent [size] of a seed, and its class where the model has `classes`: drawn in this order from PCG64."""
    draw = np.random.Generator(np.random.PCG64(seed))
    latent = draw.standard_normal(size, np.float32)
    return latent, int(draw.integers(classes)) if classes else None


def between(start: Latent, end: Latent, steps: int, path: Path) -> NDArray[np.float32]:
    """`steps` >= 2 latents [steps, Z] at even distances from `start` to `end`, which are the first and the last."""
    share = np.linspace(0, 1, steps)[:, None]
    along = _slerp if path == "slerp" else _linear
    latents = along(start.astype(np.float64), end.astype(np.float64), share).astype(np.float32)
    latents[0], latents[-1] = start, end
    return latents


def lattice(size: int, x: int, y: int, latent_size: int) -> Iterator[Latent]:
    """size * size latents in the plane of axes `x` and `y`, all else 0; x rises along a row, y from row to row.

    Both axes have the quantiles (i + 1/2) / size of N(0, 1), so that every cell of the
    lattice stands for the same share of the prior.
    """
    quantiles = [NormalDist().inv_cdf((place + 0.5) / size) for place in range(size)]
    for down in quantiles:
        for across in quantiles:
            latent = np.zeros(latent_size, np.float32)
            latent[x], latent[y] = across, down
            yield latent


def _linear(start: NDArray[Any], end: NDArray[Any], share: NDArray[Any]) -> NDArray[Any]:
    return (1 - share) * start + share * end


def _slerp(start: NDArray[Any], end: NDArray[Any], share: NDArray[Any]) -> NDArray[Any]:
    """The direction turns at a constant rate in the plane of both ends, and the length goes evenly.

    For ends of one length this is the slerp of Shoemake (1985). Under N(0, I) in many
    dimensions all lengths are nearly one, and a straight line would leave the shell where
    latents live. Opposite ends have no plane of their own: the path then turns towards the
    axis that `start` is least along. A zero has no direction, and on a line there is no
    turning: both are linear.
    """
    near, far = float(np.linalg.norm(start)), float(np.linalg.norm(end))
    if near == 0 or far == 0 or start.size == 1:
        return _linear(start, end, share)
    first, last = start / near, end / far
    cosine = float(first @ last)
    across = last - cosine * first
    sine = float(np.linalg.norm(across))
    if sine < PARALLEL:
        axis = int(np.argmin(np.abs(first)))
        across = np.eye(first.size)[axis] - first[axis] * first
    across /= np.linalg.norm(across)
    angle, length = share * np.arctan2(sine, cosine), (1 - share) * near + share * far
    return length * (np.cos(angle) * first + np.sin(angle) * across)
