"""What can be read off a code: which class a picture is of, by its neighbours and by a linear classifier."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from models.manifest import Baseline, Metric
from training.data.labelled import Images, Pictures
from training.graphs import Graphs
from training.metrics import principal
from training.metrics.likelihood import spread

Rows = NDArray[np.float64]
Labels = NDArray[np.integer]
Classify = Callable[[Rows, Labels, Rows], NDArray[np.int64]]
"""Training rows, their classes, and rows whose classes are asked for."""
NEIGHBOURS = 10
BLOCK = 500
"""Rows whose distances from all training rows are held at once."""
DECAY = 1e-4
"""Weight of the squared weights in the linear classifier's loss."""


def by_neighbours(train: Rows, labels: Labels, test: Rows, neighbours: int = NEIGHBOURS) -> NDArray[np.int64]:
    """The class [M] that most of the nearest `train` [N,D] rows have, for every row of `test` [M,D].

    Of classes with as many neighbours the lowest counts.
    """
    lengths = np.square(train).sum(axis=1)
    found: list[NDArray[np.int64]] = []
    for start in range(0, len(test), BLOCK):
        distances = lengths - 2 * test[start : start + BLOCK] @ train.T
        nearest = np.argpartition(distances, neighbours - 1, axis=1)[:, :neighbours]
        votes = np.apply_along_axis(np.bincount, 1, labels[nearest].astype(np.int64), minlength=int(labels.max()) + 1)
        found.append(votes.argmax(axis=1))
    return np.concatenate(found)


def by_lines(train: Rows, labels: Labels, test: Rows) -> NDArray[np.int64]:
    """The class [M] by multinomial logistic regression on standardised codes, fitted by L-BFGS."""
    centre, spread = train.mean(axis=0), train.std(axis=0) + 1e-12
    seen, asked = ((rows - centre) / spread for rows in (train, test))
    classes = int(labels.max()) + 1
    target = np.eye(classes)[labels]

    def loss(flat: Rows) -> tuple[float, Rows]:
        weight, offset = flat[classes:].reshape(-1, classes), flat[:classes]
        logits = seen @ weight + offset
        off = (softmax(logits, axis=1) - target) / len(seen)
        value = -(target * log_softmax(logits, axis=1)).sum() / len(seen) + DECAY * np.square(weight).sum()
        return float(value), np.concatenate([off.sum(axis=0), (seen.T @ off + 2 * DECAY * weight).ravel()])

    fitted = minimize(loss, np.zeros(classes * (1 + train.shape[1])), jac=True, method="L-BFGS-B").x
    return (asked @ fitted[classes:].reshape(-1, classes) + fitted[:classes]).argmax(axis=1)


def evaluate(graphs: Graphs, data: Pictures) -> list[Metric]:
    """Accuracies on the means of test pictures, beside those on as many principal components; none without classes."""
    if not data.classes:
        return []
    train, test = data.train, data.measured
    codes = [_means(graphs, part.images) for part in (train, test)]
    size = codes[0].shape[1]
    components = principal.Components(train.images, size)
    pixels = [components.look(part.images)[1] for part in (train, test)]
    metrics: list[Metric] = []
    probing: tuple[tuple[str, Classify, str], ...] = (
        (f"{NEIGHBOURS}-NN accuracy", by_neighbours, f"most of {NEIGHBOURS} nearest training pictures, by their means"),
        ("linear probe accuracy", by_lines, "multinomial logistic regression on the means of training pictures"),
    )
    for name, classify, protocol in probing:
        right, baseline = (
            (classify(rows[0], train.labels, rows[1]) == test.labels).astype(np.float64) for rows in (codes, pixels)
        )
        metrics.append(
            Metric(
                name=name,
                value=float(right.mean()),
                standard_error=spread(right),
                better="higher",
                samples=len(right),
                data=f"{data.name} test",
                protocol=protocol,
                baselines=(
                    Baseline(
                        name=f"PCA, {size} components",
                        value=float(baseline.mean()),
                        standard_error=spread(baseline),
                    ),
                ),
            )
        )
    return metrics


def _means(graphs: Graphs, images: Images) -> Rows:
    return graphs.in_batches("encode", 500, image=images.astype(np.float32) / 255)["mean"].astype(np.float64)
