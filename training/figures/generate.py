"""What a generator draws: samples, what lies between them, and whether it only repeats what it saw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from models.manifest import Generate
from training.data.labelled import Images, Pictures
from training.figures.figure import Figure
from training.figures.sheet import most, sheet
from training.graphs import Graphs

CLASSES, ROWS, COLUMNS = 10, 8, 12
BETWEEN_ROWS, BETWEEN_COLUMNS = 5, 11
AMOUNTS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
EDITED = 12
LATTICE = 15
Latents = NDArray[np.float32]


def figures(task: Generate, graphs: Graphs, data: Pictures) -> list[Figure]:
    """All but the nearest training pictures are the generator's own: they may be shown whatever the data."""
    found = [_samples(task, graphs), _between(task, graphs)]
    if task.latent_size == 2 and not task.classes:  # which shows every direction
        found.append(_lattice(task, graphs))
    elif task.directions:
        found.append(_edits(task, graphs))
    if data.showable:
        found.append(_nearest(task, graphs, data))
    return found


def decode(graphs: Graphs, latent: Latents, label: NDArray[np.integer]) -> NDArray[np.float32]:
    """Pictures [B,C,H,W] in 0..1; `label` [B] counts where the graph asks for one."""
    inputs = {"latent": latent, "label": label.astype(np.int64)}
    wanted = [tensor.name for tensor in graphs.sessions["decode"].get_inputs()]
    return graphs.in_batches("decode", 500, **{name: inputs[name] for name in wanted})["image"]


def eight_bit(images: NDArray[np.float32]) -> Images:
    return np.round(images * 255).clip(0, 255).astype(np.uint8)


def slerp(start: Latents, end: Latents, share: NDArray[np.floating]) -> Latents:
    """Points [S,Z] on the arc from one latent [Z] to another (Shoemake 1985), at each `share` [S] of the way."""
    cosine = start @ end / (np.linalg.norm(start) * np.linalg.norm(end))
    angle = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(angle) < 1e-6:
        return (start + share[:, None] * (end - start)).astype(np.float32)
    weights = np.sin((1 - share) * angle)[:, None], np.sin(share * angle)[:, None]
    return ((weights[0] * start + weights[1] * end) / np.sin(angle)).astype(np.float32)


def _draw(task: Generate, graphs: Graphs, latent: Latents, label: NDArray[np.integer]) -> list[Images]:
    """Rows of pictures from `latent` [R,N,Z] and the `label` [R] of each row."""
    rows, columns, size = latent.shape
    images = decode(graphs, latent.reshape(-1, size), label.repeat(columns))
    return list(eight_bit(images).reshape(rows, columns, task.channels, task.height, task.width))


def _grid(task: Generate, rows: int, columns: int) -> tuple[int, int]:
    """As much of `rows` and `columns` as a sheet may hold; rows are given up first."""
    room = most((task.channels, task.height, task.width))
    columns = min(columns, room)
    return min(rows, room // columns), columns


def _labels(task: Generate, rows: int) -> NDArray[np.int64]:
    """Classes spread over all there are."""
    return np.arange(rows) * max(1, len(task.classes)) // rows


def _names(task: Generate, label: NDArray[np.integer]) -> list[str]:
    return [task.classes[one] for one in label] if task.classes else []


def _samples(task: Generate, graphs: Graphs) -> Figure:
    if task.classes:  # of which as many as may be
        columns, rows = _grid(task, COLUMNS, min(CLASSES, len(task.classes)))
    else:
        rows, columns = _grid(task, ROWS, COLUMNS)
    label = _labels(task, rows)
    latent = np.random.default_rng(0).standard_normal((rows, columns, task.latent_size), np.float32)
    what = "A row for each class" if task.classes else "Rows"
    return Figure(
        "samples",
        sheet([list(row) for row in _draw(task, graphs, latent, label)], left=_names(task, label)),
        f"{what} of generated pictures",
        "Generated pictures, the first that were drawn, none picked out: look for broken ones and for ones that are "
        "alike.",
    )


def _between(task: Generate, graphs: Graphs) -> Figure:
    rows, columns = _grid(task, BETWEEN_ROWS, BETWEEN_COLUMNS)
    label = _labels(task, rows)
    ends = np.random.default_rng(1).standard_normal((rows, 2, task.latent_size), np.float32)
    latent = np.stack([slerp(start, end, np.linspace(0, 1, columns)) for start, end in ends])
    return Figure(
        "interpolation",
        sheet([list(row) for row in _draw(task, graphs, latent, label)], left=_names(task, label)),
        "Rows of generated pictures that change step by step from the first to the last",
        "The arc between two random latents in each row: every picture on the way should be as good as the ends.",
    )


def _edits(task: Generate, graphs: Graphs) -> Figure:
    rows, columns = _grid(task, min(EDITED, len(task.directions)), len(AMOUNTS))
    names, amounts = list(task.directions)[:rows], np.array(AMOUNTS[-columns:])
    start = np.random.default_rng(2).standard_normal(task.latent_size, np.float32)
    steps = np.array([task.directions[name] for name in names], np.float32)
    latent = (start + amounts[None, :, None] * steps[:, None]).astype(np.float32)
    return Figure(
        "edits",
        sheet(
            [list(row) for row in _draw(task, graphs, latent, np.zeros(len(names), np.int64))],
            left=names,
            above=[f"{amount:+.3g}" if amount else "0" for amount in amounts],
        ),
        "A row for each direction: one generated picture with less and with more of it",
        "One picture, moved along each direction by the amount above: all else should stay as it is.",
    )


def _lattice(task: Generate, graphs: Graphs) -> Figure:
    size = min(LATTICE, int(np.sqrt(most((task.channels, task.height, task.width)))))
    places = ndtri((np.arange(size) + 0.5) / size).astype(np.float32)
    latent = np.stack(np.meshgrid(places, -places), axis=2)  # x to the right, y up, as in the plane of codes
    return Figure(
        "lattice",
        sheet([list(row) for row in _draw(task, graphs, latent, np.zeros(size, np.int64))]),
        "Generated pictures on a square lattice of the plane of latents",
        "The whole plane of latents, each picture as likely as any other: look where one form turns into the next.",
    )


def _nearest(task: Generate, graphs: Graphs, data: Pictures) -> Figure:
    columns, _ = _grid(task, min(COLUMNS, len(task.classes) or COLUMNS), 2)
    label = _labels(task, columns)
    latent = np.random.default_rng(0).standard_normal((columns, 1, task.latent_size), np.float32)
    drawn = np.concatenate(_draw(task, graphs, latent, label))
    return Figure(
        "nearest",
        sheet([list(drawn), list(nearest(drawn, data.train.images))], left=["drawn", "nearest"]),
        "A row of generated pictures, and below each the training picture nearest to it",
        "Generated pictures above the training picture with the smallest squared distance: "
        "were the pairs alike, the model would repeat what it saw.",
    )


def nearest(drawn: Images, train: Images, rows: int = 5_000) -> Images:
    """For each of `drawn` [B,C,H,W] the picture of `train` with the least squared distance."""
    wanted = drawn.reshape(len(drawn), -1).astype(np.float32)
    best, found = np.full(len(drawn), np.inf), np.zeros(len(drawn), np.int64)
    for start in range(0, len(train), rows):
        part = train[start : start + rows].reshape(-1, wanted.shape[1]).astype(np.float32)
        distance = np.square(part).sum(axis=1) - 2 * wanted @ part.T
        here = distance.argmin(axis=1)
        closer = distance[np.arange(len(drawn)), here] < best
        found[closer], best = start + here[closer], np.minimum(best, distance.min(axis=1))
    return train[found]
