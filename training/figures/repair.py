"""What a restorer makes of damaged photographs, to the eye."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.manifest import Denoise
from training.data.photographs import Photographs
from training.figures.figure import Figure
from training.figures.sheet import middles, sheet
from training.graphs import Graphs
from training.metrics import repair
from training.metrics.restoration import median, psnr

SHOWN = "sensor noise, strong", "salt and pepper, 20 %", "JPEG of quality 10", "caption", "watermark"
CROP = 64, 96


def figures(task: Denoise, graphs: Graphs, data: Photographs) -> list[Figure]:
    """Photographs that may be shown, a kind of damage each: as they were, damaged, filtered and repaired."""
    if not data.showable:
        return []
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
    return [
        Figure(
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
    ]
