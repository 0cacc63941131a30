"""What a code keeps of a picture, and how the codes lie."""

from __future__ import annotations

import numpy as np
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from models.manifest import Encode
from training.data.labelled import Images, Pictures, Split
from training.figures import generate, plot
from training.figures.figure import Figure
from training.figures.sheet import most, sheet
from training.graphs import Graphs
from training.metrics.likelihood import kl_by_unit

COLUMNS = 10
BANDS = 2
SCATTERED = 3_000
CLASS_COLOURS = (
    "#1f7fc0", "#d55e00", "#009e73", "#b8609a", "#a08a00", "#7a7a7a", "#7b6bd0", "#a0522d", "#2b9fa8", "#d0465f",
)  # fmt: skip


def figures(task: Encode, graphs: Graphs, data: Pictures) -> list[Figure]:
    """Reconstructions (of pictures that may be shown) and their errors, if there is a decoder; a plane of codes."""
    found: list[Figure] = []
    codes = graphs.in_batches("encode", 500, image=data.measured.images / np.float32(255))
    mean = codes["mean"]
    if "decode" in graphs.sessions:
        rebuilt = generate.decode(graphs, mean, data.measured.labels)
        if data.showable:
            found.append(_reconstructions(data.measured, rebuilt))
        errors = np.square(rebuilt - data.measured.images / np.float32(255)).mean(axis=(1, 2, 3))
        found.append(_errors(task, errors))
    if task.latent_size == 2 and data.classes:
        found.append(_plane(mean, data))
    elif task.latent_size > 2:
        found.append(_units(mean, codes["log_variance"]))
    return found


def _reconstructions(held_out: Split, rebuilt: NDArray[np.float32]) -> Figure:
    turn = np.array([(held_out.labels[:place] == label).sum() for place, label in enumerate(held_out.labels[:1000])])
    order = np.lexsort((held_out.labels[: len(turn)], turn))  # the first of every class, then the second ...
    columns = min(COLUMNS, len(order), most(held_out.images.shape[1:]))
    bands = max(1, min(BANDS, len(order) // columns, most(held_out.images.shape[1:]) // (2 * columns)))
    rows: list[Images] = []
    for band in range(bands):
        chosen = order[band * columns : (band + 1) * columns]
        rows += [held_out.images[chosen], generate.eight_bit(rebuilt[chosen])]
    return Figure(
        "reconstructions",
        sheet([list(row) for row in rows], left=["picture", "rebuilt"] * bands),
        "Pairs of rows: held-out pictures, and below each what the decoder makes of its code",
        "Held-out pictures above what is left of each after encoding: look for strokes that move, close or vanish.",
    )


def _errors(task: Encode, errors: NDArray[np.floating]) -> Figure:
    figure, (panel,) = plot.panels(height=2.5)
    limit = float(np.quantile(errors, 0.995))
    panel.hist(errors[errors <= limit], bins=60, color=plot.OURS["color"])
    last = len(task.error_quantiles) - 1
    for share, style in ((0.5, ":"), (0.99, "--")) if last > 0 else ():
        value = task.error_quantiles[round(share * last)]
        panel.axvline(value, color=plot.OTHERS[0]["color"], linestyle=style, label=f"anomaly {share:g} (validation)")
    panel.set(xlabel="mean squared error a pixel, in 0..1", ylabel="pictures")
    if last > 0:
        panel.legend()
    return Figure(
        "errors",
        plot.png(figure),
        "Histogram of the reconstruction errors of held-out pictures, with the errors below which half of them and "
        "99 of 100 lie",
        "Reconstruction errors of test pictures, without the highest half per cent: a picture of yours to the right of "
        "the dashed line is odder than 99 of 100 that were held out.",
    )


def _units(mean: NDArray[np.float32], log_variance: NDArray[np.float32]) -> Figure:
    """KL(q(z|x) || N(0, I)) by number of the code, which adds up over them."""
    nats = np.sort(kl_by_unit(mean.astype(np.float64), log_variance.astype(np.float64)).mean(axis=0))[::-1]
    figure, (panel,) = plot.panels(height=2.5)
    panel.bar(np.arange(1, len(nats) + 1), nats, color=plot.OURS["color"])
    panel.set(xlabel="numbers of the code, the most telling first", ylabel="nats a picture")
    return Figure(
        "units",
        plot.png(figure),
        "Bars: how much each number of the code tells of a picture, from the most to the least",
        "What each number tells of a picture: the KL divergence of its posterior from its prior, mean of the test "
        "pictures. A bar of no height is a number that is not used.",
    )


def _plane(mean: NDArray[np.float32], data: Pictures) -> Figure:
    figure, (panel,) = plot.panels(height=5.5)
    points, labels = mean[:SCATTERED], data.test.labels[:SCATTERED]
    for place, name in enumerate(data.classes):
        own = points[labels == place]
        if len(own):
            colour = CLASS_COLOURS[place % len(CLASS_COLOURS)]
            panel.scatter(own[:, 0], own[:, 1], s=6, color=colour, alpha=0.8, linewidths=0)
            x, y = np.median(own, axis=0)
            # In white outlines, or the points of other classes would hide it.
            label = panel.annotate(name, (x, y), color=colour, fontsize=15, fontweight="bold", ha="center", zorder=5)
            label.set_path_effects([withStroke(linewidth=4, foreground="white")])
    panel.set(xlabel="first number of the code", ylabel="second")
    panel.set_aspect("equal", adjustable="datalim")
    return Figure(
        "plane",
        plot.png(figure),
        "Scatter plot of the codes of test pictures, coloured and named by class",
        "Codes of test pictures, each class in its colour: classes that lie apart can be told apart by the code alone.",
    )
