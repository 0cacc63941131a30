"""Learning curves, from the log of the run."""

from __future__ import annotations

import json

import numpy as np

from models.manifest import MadeBy
from training.figures import plot
from training.figures.figure import Figure

MOST_PANELS = 4


def figures(log: bytes, made: MadeBy) -> list[Figure]:
    """The losses of the run over its steps; nothing without the log of just that run."""
    rows = [json.loads(line) for line in log.splitlines() if line.endswith(b"}")]  # a killed run breaks off
    if not rows or rows[-1]["step"] != made.steps or abs(rows[-1]["seconds"] - made.seconds) > 0.1:
        return []
    names = dict.fromkeys(name for row in rows for name in row if "/" in name and not name.endswith("/gradient"))
    shown = list(names)[:MOST_PANELS]
    figure, axes = plot.panels(len(shown), height=2.3)
    for panel, name in zip(axes, shown, strict=True):
        step, value = np.array([(row["step"], row[name]) for row in rows if name in row]).T
        panel.plot(step, value, color=plot.OURS["color"], linewidth=1.2)
        panel.set(title=name.replace("/", ": "), xlabel="step")
        settled = value[len(value) // 20 :]  # the first moments would hide the rest
        room = 0.05 * float(np.ptp(settled)) or 1.0
        panel.set_ylim(settled.min() - room, settled.max() + room)
        panel.locator_params(nbins=4)
    return [
        Figure(
            "learning",
            plot.png(figure),
            "Line plots over the steps of the run: " + ", ".join(name.replace("/", " ") for name in shown),
            "How training went: a curve that still moves at the end would gain from more steps. "
            "The first steps may leave the frame.",
        )
    ]
