"""What a denoiser makes of noisy photographs, to the eye and in figures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.manifest import Denoise
from training.data.photographs import Photographs, Picture
from training.figures import plot, repair
from training.figures.figure import Figure
from training.figures.sheet import middles, sheet
from training.graphs import Graphs
from training.metrics import restoration

SHOWN_AT = (25, 50, 25, 50)
"""Sigma of the noise of each photograph that is shown."""
CROP = 64, 72
SIGMAS = (5, 10, 15, 25, 35, 50, 75)
Image = NDArray[np.float32]


def figures(task: Denoise, graphs: Graphs, data: Photographs) -> list[Figure]:
    """Photographs before and after, those that may be shown; PSNR over the strength of the noise."""
    if task.sigma_max is None:
        return repair.figures(task, graphs, data)
    shown = [_before_and_after(task, graphs, data)] if data.showable else []
    return [*shown, _by_strength(task, graphs, data, task.sigma_max)]


def _before_and_after(task: Denoise, graphs: Graphs, data: Photographs) -> Figure:
    rows: list[list[NDArray[np.uint8]]] = []
    words: list[list[str]] = []
    chosen = list(zip(data.showable, SHOWN_AT, strict=False))
    for place, sigma in chosen:
        clean = data.validation[place]
        noisy = restoration.noisy(clean, sigma, place, eight_bit=True)
        images = noisy, restoration.non_local_means(noisy, sigma), _restore(task, graphs, noisy, sigma)
        rows.append(middles([clean, *images], *CROP))
        words.append(["", *(f"{restoration.psnr(image, clean):.1f} dB" for image in images)])
    credit = "; ".join(dict.fromkeys(data.showable[place] for place, _ in chosen))
    return Figure(
        "before-and-after",
        sheet(
            rows,
            left=[f"sigma {sigma}" for _, sigma in chosen],
            above=["clean", "noisy", "non-local means", "this model"],
            below=words,
            enlarge=2,
        ),
        "Middle pieces of photographs in four columns: clean, with noise, cleaned by non-local means, "
        "cleaned by this model",
        "Middle pieces of validation photographs, twice enlarged, with the PSNR of the whole photograph: look for "
        f"edges that stay and for texture that was wiped out or made up. Photographs: {credit}.",
    )


def _by_strength(task: Denoise, graphs: Graphs, data: Photographs, strongest: float) -> Figure:
    pictures, name = (data.test, data.test_name) if data.test else (data.validation, "validation photographs")
    measured: dict[str, list[float]] = {}
    for sigma in SIGMAS:
        for method, images in _methods(task, graphs, pictures, sigma).items():
            values = [restoration.psnr(image, clean) for image, clean in zip(images, pictures, strict=True)]
            measured.setdefault(method, []).append(float(np.mean(values)))
    figure, (panel,) = plot.panels()
    blind: dict[str, Any] = {
        "color": plot.OURS["color"],
        "marker": "o",
        "markersize": 10,
        "markerfacecolor": "none",
        "linestyle": ":",
    }
    for (method, values), look in zip(measured.items(), (plot.OURS, blind, *plot.OTHERS), strict=False):
        panel.plot(SIGMAS, values, label=method, **look)
    panel.axvline(strongest, color=plot.OTHERS[-1]["color"], linewidth=1)
    panel.annotate(
        "trained up to here", (strongest, 1), (-4, -2), xycoords=("data", "axes fraction"),
        textcoords="offset points", ha="right", va="top",
    )  # fmt: skip
    panel.set(xlabel="sigma of the noise, of 255", ylabel="PSNR, dB", xticks=SIGMAS)
    panel.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return Figure(
        "strength",
        plot.png(figure),
        "Line plot of PSNR over the strength of the noise: this model told the strength and blind, "
        "non-local means, median filters, the noisy input",
        f"Mean over {name}, noise rounded to 8 bit: look how far the model stays above the filters, and what is "
        "lost where the strength must be estimated (the open rings).",
    )


def _methods(task: Denoise, graphs: Graphs, pictures: list[Picture], sigma: float) -> dict[str, list[Image]]:
    noisy = [restoration.noisy(clean, sigma, place, eight_bit=True) for place, clean in enumerate(pictures)]
    return {
        "this model, told sigma": [_restore(task, graphs, image, sigma) for image in noisy],
        "this model, blind": [_restore(task, graphs, image, None) for image in noisy],
        "non-local means, told sigma": [restoration.non_local_means(image, sigma) for image in noisy],
        "median 3x3": [restoration.median(image, 3) for image in noisy],
        "median 5x5": [restoration.median(image, 5) for image in noisy],
        "noisy input": noisy,
    }


def _restore(task: Denoise, graphs: Graphs, image: Image, sigma: float | None) -> Image:
    """As it is served: what is stronger than anything in training counts as the strongest."""
    if sigma is None:
        sigma = restoration.noise_level(graphs, image)
    assert task.sigma_max is not None
    return restoration.restore(graphs, image, min(sigma, task.sigma_max), task.size_multiple)
