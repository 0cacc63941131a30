"""How near generated pictures are to real ones, on the features of the project's own classifier.

Where pictures have no classes there is no classifier, and principal components are the features.
Not Inception figures: the unit belongs to these features, so every table carries its own scale,
measured in the same run on real pictures that were degraded in known ways.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.manifest import Baseline, Metric
from training.data.labelled import Images, Pictures
from training.graphs import Graphs
from training.learners.judge import Judge, train_judge
from training.metrics.principal import Components

Features = NDArray[np.float64]


def frechet(first: Features, second: Features) -> float:
    """Frechet distance of the Gaussians with the two sets' means and covariances (Dowson and Landau 1982).

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the last trace by the eigenvalues of C1^(1/2) C2 C1^(1/2).
    """
    covariances = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    values, vectors = np.linalg.eigh(covariances[0])
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    mixed = np.sqrt(np.linalg.eigvalsh(root @ covariances[1] @ root).clip(0)).sum()
    shift = np.square(first.mean(axis=0) - second.mean(axis=0)).sum()
    return float(shift + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * mixed)


def sample(graphs: Graphs, labels: NDArray[np.int64], seed: int) -> Images:
    """One generated picture for each label, uint8 [N,C,H,W]; a graph without classes ignores them."""
    size = graphs.inputs("decode")["latent"][1]
    assert isinstance(size, int)
    inputs: dict[str, NDArray[Any]] = {
        "latent": np.random.default_rng(seed).standard_normal((len(labels), size), np.float32)
    }
    if conditional(graphs):
        inputs["label"] = labels
    images = graphs.in_batches("decode", 500, **inputs)["image"]
    return np.round(images * 255).clip(0, 255).astype(np.uint8)


def conditional(graphs: Graphs) -> bool:
    """Whether pictures of a class can be asked for."""
    return "label" in graphs.inputs("decode")


def independent_pixels(train: Images, count: int, seed: int) -> Images:
    """Pictures whose every pixel is that of another training picture: right pixel by pixel, and in nothing else."""
    flat = train.reshape(len(train), -1)
    rows = np.random.default_rng(seed).integers(len(flat), size=(count, flat.shape[1]))
    return np.take_along_axis(flat, rows, axis=0).reshape(count, *train.shape[1:])


def evaluate(graphs: Graphs, data: Pictures) -> list[Metric]:
    """Frechet distance and accuracy of the asked class of as many samples as there are test pictures."""
    judge = train_judge(data.train, len(data.classes)) if data.classes else Components(data.train.images)
    name, features_of = (
        (f"{judge.size} principal components", "the principal components of training pictures")
        if isinstance(judge, Components)
        else ("project's own features", "features of a classifier trained for this run (seed 0)")
    )
    real, count = data.measured.images, len(data.measured.images)
    _, reference = judge.look(real)
    labels = np.arange(count, dtype=np.int64) % max(1, len(data.classes))
    images = sample(graphs, labels, seed=0)
    found, features = judge.look(images)
    protocol = f"{count} samples against {count} test pictures, {features_of}"
    metrics = [
        Metric(
            name=f"Frechet distance, {name}",
            value=frechet(features, reference),
            better="lower",
            samples=count,
            data=f"{data.name} test",
            protocol=protocol,
            baselines=tuple(
                Baseline(name=name, value=frechet(judge.look(images)[1], reference))
                for name, images in _scale(data, count).items()
            ),
        )
    ]
    if isinstance(judge, Judge) and conditional(graphs):
        metrics.append(_accuracy(judge, found, labels, data))
    return metrics


def _accuracy(judge: Judge, found: NDArray[np.int64], labels: NDArray[np.int64], data: Pictures) -> Metric:
    """How often a sample is of the class that was asked for, in the eyes of the judge."""
    accuracy, count = float((found == labels).mean()), len(labels)
    judged = float((judge.look(data.measured.images)[0] == data.measured.labels).mean())
    return Metric(
        name="accuracy of the asked class",
        value=accuracy,
        standard_error=float(np.sqrt(accuracy * (1 - accuracy) / count)),
        better="higher",
        samples=count,
        data=f"{data.name} test",
        protocol="share of samples that the same classifier puts into the class that was asked for",
        baselines=(Baseline(name="the classifier on real test pictures", value=judged),),
    )


def _scale(data: Pictures, count: int) -> dict[str, Images]:
    """Real training pictures, whole and degraded, and independent pixels: what a distance means."""
    real = data.train.images[:count]
    return {
        "real training pictures": real,
        f"{len(real[:1000]):,} real ones repeated": np.resize(real[:1000], (count, *real.shape[1:])),
        "real ones shifted by 2 pixels": np.roll(real, 2, axis=3),
        "independent pixels": independent_pixels(data.train.images, count, seed=0),
    }
