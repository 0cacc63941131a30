"""Plots in one style, on no background, in colours that colour-blind readers and both page themes tell apart."""

from __future__ import annotations

import io
from typing import Any

import matplotlib.figure
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from training.figures.figure import INK

OURS: dict[str, Any] = {"color": "#1f7fc0", "marker": "o"}
OTHERS: tuple[dict[str, Any], ...] = (
    {"color": "#d55e00", "marker": "s", "linestyle": "--"},
    {"color": "#009e73", "marker": "^", "linestyle": "-."},
    {"color": "#b8609a", "marker": "D", "linestyle": ":"},
    {"color": INK, "marker": "x", "linestyle": "--"},
)
"""Looks of this model, and of what stands beside it: no two differ by colour alone."""

STYLE: dict[str, Any] = {
    "figure.dpi": 160,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "errorbar.capsize": 2,
}
COLOURS = 64
"""Of a plot's PNG: enough for its lines, words and soft edges."""


def panels(count: int = 1, height: float = 2.9) -> tuple[matplotlib.figure.Figure, list[Axes]]:
    """An empty figure of the width of a page, `height` in inches, with `count` plots side by side."""
    figure = matplotlib.figure.Figure(figsize=(7.6, height), layout="constrained")
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def png(figure: matplotlib.figure.Figure) -> bytes:
    """The figure's pixels as PNG, without a word about who made it and when."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    buffer = io.BytesIO()
    Image.fromarray(pixels).quantize(COLOURS, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
