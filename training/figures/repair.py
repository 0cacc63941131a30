"""What a restorer makes of damaged photographs, to the eye."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.manifest import Denoise
from training.data import damage
from training.data.photographs import Photographs, Picture
from training.figures import plot
from training.figures.figure import Figure
from training.figures.sheet import middles, sheet
from training.graphs import Graphs
from training.metrics import repair
from training.metrics.restoration import median, psnr

SHOWN = "sensor noise, strong", "salt and pepper, 20 %", "JPEG of quality 10", "caption", "watermark"
CROP = 64, 96
MEASURED = 4
"""Photographs whose gains are drawn."""


def figures(task: Denoise, graphs: Graphs, data: Photographs) -> list[Figure]:
    """Photographs that may be shown, as they were, damaged and repaired; and what is gained by kind of damage."""
    gains = _gains(task, graphs, data.validation[:MEASURED])
    return [_before_and_after(task, graphs, data), gains] if data.showable else [gains]


def _before_and_after(task: Denoise, graphs: Graphs, data: Photographs) -> Figure:
    """A kind of damage each: as they were, damaged, filtered and repaired."""
    places = list(data.showable)
    rows: list[list[NDArray[np.uint8]]] = []
    words: list[list[str]] = []
    for number, case in enumerate(SHOWN):
        place = places[number % len(places)]
        clean = data.validation[place]
        bad = repair.damaged(clean, case, place)
        filtered = median((bad / 255).astype(np.float32), 3)
        images = (bad / 255, filtered, repair.repaired(graphs, bad, task.size_multiple))
        rows.append(middles([clean, *images], *CROP))
        words.append(["", *(f"{psnr(image, clean):.1f} dB" for image in images)])
    credit = "; ".join(dict.fromkeys(data.showable.values()))
    return Figure(
        "before-and-after",
        sheet(
            rows,
            left=SHOWN,
            above=["as it was", "damaged", "median 3x3", "this model"],
            below=words,
            enlarge=2,
        ),
        "Middle pieces of photographs in four columns: as they were, damaged, after a median filter, repaired by "
        "this model; a row for each of five kinds of damage",
        "Middle pieces of validation photographs, twice enlarged, with the PSNR of the whole photograph: look for "
        f"traces of letters and for what is made up in their place. Photographs: {credit}.",
    )


def _gains(task: Denoise, graphs: Graphs, pictures: list[Picture]) -> Figure:
    """dB that this model and a median filter add, by kind of damage."""
    ours: list[float] = []
    filtered: list[float] = []
    for case in damage.CASES:
        gains: list[tuple[float, float]] = []
        for index, clean in enumerate(pictures):
            bad = repair.damaged(clean, case, index)
            image = (bad / 255).astype(np.float32)
            before = psnr(image, clean)
            model = psnr(repair.repaired(graphs, bad, task.size_multiple), clean)
            gains.append((model - before, psnr(median(image, 3), clean) - before))
        ours.append(float(np.mean([gain for gain, _ in gains])))
        filtered.append(float(np.mean([gain for _, gain in gains])))
    figure, (panel,) = plot.panels(height=3.6)
    rows = np.arange(len(ours))[::-1]
    panel.barh(rows + 0.2, ours, 0.38, color=plot.OURS["color"], label="this model")
    panel.barh(rows - 0.2, filtered, 0.38, color=plot.OTHERS[0]["color"], label="median 3x3")
    panel.set_yticks(rows, list(damage.CASES))
    panel.set(xlabel="dB gained")
    panel.legend()
    return Figure(
        "gains",
        plot.png(figure),
        "Two bars for each kind of damage: the dB that this model and a median filter gain on it, or lose",
        "What is gained on a few validation photographs, mean PSNR after less before: a bar to the left of zero makes "
        "the picture worse.",
    )
