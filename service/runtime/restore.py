"""Denoising of one picture: which noise, which graph, in which channels."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models import noise
from models.manifest import Denoise
from service.runtime import tiles
from service.runtime.session import NotFinite, Session
from service.runtime.turns import Turns

Strength = float | Literal["auto"]
BAND = 64
"""Rows of a picture that are compared at a time."""


def plain(pixels: NDArray[Any]) -> NDArray[Any]:
    """One channel [H,W,1] of a grey picture [H,W,3]; any other as it is.

    Noise that is the same in all channels is detail to a network for colour.
    """
    if pixels.ndim == 2:
        return pixels
    bands = (pixels[top : top + BAND] for top in range(0, len(pixels), BAND))
    same = all((band[..., 1:] == band[..., :1]).all() for band in bands)  # of a colour picture the first will do
    return pixels[..., :1] if same else pixels


def noise_level(
    pixels: NDArray[Any],
    alpha: NDArray[np.uint8] | None,
    strength: Strength,
    task: Denoise,
    sessions: Mapping[str, Session],
) -> float | None:
    """The sigma to use, on the 0..255 scale: the caller's or the estimated one, at most what the model was trained for.

    None of a model that takes none.

    `pixels` are uint8, uint16 or floats, of which 0..1 is full scale; [H,W], [H,W,1] or [H,W,3]; `alpha` is [H,W]. One
    estimate counts for the whole picture.

    Raises:
        NotFinite: the values are too large for an estimate.
    """
    if task.sigma_max is None:
        return None
    if strength == "auto":
        pixels = _shown(pixels, alpha)
        if task.estimator == "haar":
            strength = 255 * noise.haar(_channels_first(pixels)) / _full_scale(pixels)
        else:
            estimate = sessions["estimate"]
            scale = np.float32(_full_scale(pixels))
            strength = 255 * noise.by_graph(
                _channels_first(pixels),
                lambda image: estimate.run({"image": image.astype(np.float32) / scale})["sigma"],
            )
        if not np.isfinite(strength):
            raise NotFinite("the noise level is not finite")
    return min(float(strength), task.sigma_max)


def clean(
    pixels: NDArray[Any],
    sigma: float | None,
    amount: float,
    task: Denoise,
    sessions: Mapping[str, Session],
    turns: Turns,
) -> NDArray[Any]:
    """`pixels` without noise of `sigma` (0..255 scale), blended with the original by `amount` (1: none of it).

    Keeps shape and type. Floats reach the graph as they are, and its answer is not cut to 0..1.

    Raises:
        NotFinite: the graph gave something that is no picture.
        Deadline: of `turns`.
    """
    if sigma == 0 or amount == 0:
        return pixels

    def work(tile: NDArray[Any]) -> NDArray[Any]:
        image = _planes(tile)
        restored = _run(image, sigma, task, sessions)
        if not np.isfinite(restored).all():
            raise NotFinite("clean is not finite")
        blended = restored if amount == 1 else image + np.float32(amount) * (restored - image)
        if pixels.dtype.kind == "u":
            blended = np.clip(blended, 0, 1) * np.iinfo(pixels.dtype).max + 0.5
        result = blended.astype(pixels.dtype)
        return result[0] if tile.ndim == 2 else result.transpose(1, 2, 0)

    return tiles.over(pixels, work, task.size_multiple, task.overlap, turns)


def _shown(pixels: NDArray[Any], alpha: NDArray[np.uint8] | None) -> NDArray[Any]:
    """The box around all that is not wholly transparent: what nobody sees beside it tells nothing of the noise."""
    if alpha is None or not alpha.any():
        return pixels
    top, bottom = np.flatnonzero(alpha.any(axis=1))[[0, -1]]
    left, right = np.flatnonzero(alpha.any(axis=0))[[0, -1]]
    return pixels[top : bottom + 1, left : right + 1]


def _planes(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """[H,W] or [H,W,C] -> [C,H,W], where 1 is full scale."""
    planes = np.ascontiguousarray(_channels_first(pixels), np.float32)
    return planes / np.float32(_full_scale(pixels)) if pixels.dtype.kind == "u" else planes


def _channels_first(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _full_scale(pixels: NDArray[Any]) -> int:
    """The value of white."""
    return np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1


def _run(
    image: NDArray[np.float32], sigma: float | None, task: Denoise, sessions: Mapping[str, Session]
) -> NDArray[np.float32]:
    """Bring `image` [1 or 3,H,W] into the channels that a graph of the model takes, and its answer back."""
    channels = image.shape[0]
    if channels == 1 and "clean_grey" in sessions:
        return _rows(image[None], sigma, sessions["clean_grey"], task.graphs["clean_grey"].max_batch)[0]
    session, most = sessions["clean"], task.graphs["clean"].max_batch
    if channels == task.channels:
        return _rows(image[None], sigma, session, most)[0]
    if channels == 1:
        grey = np.repeat(image, 3, axis=0)
        return _rows(grey[None], sigma, session, most)[0].mean(axis=0, keepdims=True)
    return _rows(image[:, None], sigma, session, most)[:, 0]


def _rows(images: NDArray[np.float32], sigma: float | None, session: Session, most: int) -> NDArray[np.float32]:
    done: list[NDArray[np.float32]] = []
    for start in range(0, len(images), most):
        part = images[start : start + most]
        told = {} if sigma is None else {"sigma": np.full(len(part), sigma / 255, np.float32)}
        done.append(session.run({"image": part, **told})["clean"])
    return np.concatenate(done)
