"""How well noise is removed: PSNR against the clean picture, beside the median filter and non-local means."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.restoration import denoise_nl_means

from models import noise
from models.manifest import Baseline, Metric
from training.data.photographs import Photographs, Picture
from training.graphs import Graphs

SIGMAS = (5, 15, 25, 50)
Image = NDArray[np.float32]
"""[H,W] or [H,W,3], 0..1."""


def psnr(image: NDArray[np.floating], clean: Picture) -> float:
    """Peak signal-to-noise ratio in dB, peak 255, of `image` [H,W(,C)] in 0..1 rounded and clipped to 8 bit."""
    eight_bit = np.clip(np.round(image.astype(np.float64) * 255), 0, 255)
    error = np.mean((eight_bit - clean) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else 100.0


def noisy(clean: Picture, sigma: float, index: int, *, eight_bit: bool) -> NDArray[np.float32]:
    """`clean` with seeded Gaussian noise of `sigma` on the 0..255 scale, in 0..1; rounded and clipped on request."""
    rng = np.random.default_rng(1000 * int(sigma) + index)
    values = clean + rng.normal(0, sigma, clean.shape)
    if eight_bit:
        values = np.clip(np.round(values), 0, 255)
    return (values / 255).astype(np.float32)


def restore(graphs: Graphs, image: NDArray[np.float32], sigma: float | None, multiple: int = 16) -> NDArray[np.float32]:
    """A whole picture [H,W(,3)] in 0..1, cleaned as it is served; sigma on the 0..255 scale, None to estimate it."""
    return whole(graphs, image, noise_level(graphs, image) if sigma is None else sigma, multiple)


def whole(graphs: Graphs, image: NDArray[np.float32], sigma: float | None, multiple: int) -> NDArray[np.float32]:
    """The same in one run; None is for graphs that take no sigma."""
    planes = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    level = {} if sigma is None else {"sigma": np.array([sigma / 255], np.float32)}
    graph = "clean_grey" if image.ndim == 2 and "clean_grey" in graphs.sessions else "clean"
    if image.ndim == 2 and graph == "clean":
        planes = np.repeat(planes, 3, axis=0)
    _, height, width = planes.shape
    padded = np.pad(planes, ((0, 0), (0, -height % multiple), (0, -width % multiple)), mode="reflect")
    clean = graphs.run(graph, image=padded[None], **level)["clean"][0, :, :height, :width]
    return clean.mean(axis=0) if image.ndim == 2 else clean.transpose(1, 2, 0)


def noise_level(graphs: Graphs, image: NDArray[np.float32]) -> float:
    """The estimated sigma of a picture [H,W(,3)] in 0..1, on the 0..255 scale: as it is served."""
    planes = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    if "estimate" not in graphs.sessions:
        return 255 * noise.haar(planes)
    return 255 * noise.by_graph(planes, lambda windows: graphs.run("estimate", image=windows)["sigma"])


def median(image: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """The median filter on `size` x `size` pixels, each channel by itself."""
    window = (size, size) if image.ndim == 2 else (size, size, 1)
    return ndimage.median_filter(image, size=window)


def non_local_means(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Buades, Coll and Morel 2005, told sigma: the fast form with h = 0.8 sigma."""
    level = sigma / 255
    return denoise_nl_means(
        image,
        patch_size=5,
        patch_distance=6,
        h=0.8 * level,
        sigma=level,
        fast_mode=True,
        channel_axis=None if image.ndim == 2 else -1,
    )


def evaluate(graphs: Graphs, data: Photographs) -> list[Metric]:
    """PSNR at four levels, told and blind, float and 8-bit noise, and of clean pictures: on test and validation."""
    metrics: list[Metric] = []
    for name, pictures in ((data.test_name, data.test), (data.validation_name, data.validation)):
        if pictures:
            metrics += [
                _measure(graphs, pictures, name, sigma, eight_bit=eight_bit, told=told)
                for sigma in SIGMAS
                for eight_bit in (False, True)
                for told in (True, False)
            ]
            metrics.append(_measure(graphs, pictures, name, 0, eight_bit=True, told=False))
    return metrics


def _measure(
    graphs: Graphs, pictures: list[Picture], name: str, sigma: float, *, eight_bit: bool, told: bool
) -> Metric:
    inputs = [noisy(clean, sigma, index, eight_bit=eight_bit) for index, clean in enumerate(pictures)]

    def figure(restored: list[NDArray[np.float32]]) -> tuple[float, float | None]:
        values = [psnr(image, clean) for image, clean in zip(restored, pictures, strict=True)]
        spread = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
        return float(np.mean(values)), spread

    methods = (
        {
            "noisy input": inputs,
            "median 3x3": [median(image, 3) for image in inputs],
            "median 5x5": [median(image, 5) for image in inputs],
            "non-local means, told": [non_local_means(image, sigma) for image in inputs],
        }
        if told
        else {}
    )
    value, error = figure([restore(graphs, image, sigma if told else None) for image in inputs])
    baselines = [(method, figure(images)) for method, images in methods.items()]
    return Metric(
        name=f"PSNR, sigma {sigma:g}, {'told' if told else 'blind'}, {'8-bit' if eight_bit else 'float'} noise",
        value=value,
        standard_error=error,
        better="higher",
        samples=len(pictures),
        data=name,
        protocol="white Gaussian noise from default_rng(1000 * sigma + index); peak 255, answer rounded to 8 bit; dB",
        baselines=tuple(
            Baseline(name=method, value=mean, standard_error=spread) for method, (mean, spread) in baselines
        ),
    )
