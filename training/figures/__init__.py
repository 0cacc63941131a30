"""The figures of a model card: a function for each task, from exported graphs and held-out data.

A new task adds one file and one row to `OF_TASK`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib.style

from models.manifest import Manifest
from training.figures import denoise, encode, generate, learning, plot, recommend
from training.figures.figure import Figure
from training.graphs import Graphs

OF_TASK: dict[str, Callable[[Any, Graphs, Any], list[Figure]]] = {
    "recommend": recommend.figures,
    "denoise": denoise.figures,
    "encode": encode.figures,
    "generate": generate.figures,
}


def draw(manifest: Manifest, graphs: Graphs, data: Any, log: bytes = b"") -> list[Figure]:
    """Every figure of a version, the same bytes for the same arguments.

    `log` is the run's `metrics.jsonl`; one that is not of the run that made this version is left out.
    Pictures of `data` appear only where `data` says that they may be shown.
    """
    with matplotlib.style.context(["default", plot.STYLE]):
        found = [figure for task in manifest.tasks for figure in OF_TASK[task.task](task, graphs, data)]
        return found + learning.figures(log, manifest.made_by)
