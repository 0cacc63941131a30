"""How near generated pictures are to real ones, on the features of the project's own classifier.

Data sets that a judge is kept for have it (see `judges.py`); for others one is trained in every run. Where pictures
have no classes there is no classifier, and principal components are the features. Not Inception figures: the unit
belongs to these features, so every table carries its own scale, measured in the same run on real pictures that were
degraded in known ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.manifest import Baseline, Metric
from training.data.labelled import Images, Pictures
from training.graphs import Graphs
from training.learners import judge
from training.metrics import calibration, judges, neighbours
from training.metrics.distances import Gaussian, frechet, kernel_distance
from training.metrics.neighbours import Reference
from training.metrics.principal import Components

Features = NDArray[np.float64]
Labels = NDArray[np.int64]
SIDES: dict[str, Literal["higher", "lower"]] = {
    "Frechet distance": "lower",
    "kernel distance": "lower",
    "precision": "higher",
    "recall": "higher",
    "density": "higher",
    "coverage": "higher",
    "copying": "lower",
}
"""What is measured on features, and which side is better."""
CLASS_SIDES: dict[str, Literal["higher", "lower"]] = {"class imbalance": "lower", "rarest class": "higher"}
"""What is measured on predicted classes."""
DRAWS = 4
"""Sets of latents: by one alone, a Frechet distance of .05 is .005 off."""


def sample(graphs: Graphs, labels: Labels, seed: int) -> Images:
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


@dataclass(frozen=True)
class Real:
    """What is known of real pictures: the measured ones, and how far these lie from those of training."""

    gaussian: Gaussian
    reference: Reference
    shares: NDArray[np.float64]
    """Of each predicted class [K]."""
    training: Features
    unseen: NDArray[np.float64]
    """Distance of each measured picture to the nearest training picture."""

    def features(self, found: Features) -> dict[str, float]:
        """Every figure of `SIDES` of pictures with features [N,D]."""
        support = neighbours.support(found, self.reference)
        return {
            "Frechet distance": frechet(Gaussian.of(found), self.gaussian),
            "kernel distance": kernel_distance(found, self.reference.rows),
            "precision": support.precision,
            "recall": support.recall,
            "density": support.density,
            "coverage": support.coverage,
            "copying": neighbours.copying(neighbours.nearest(found, self.training), self.unseen),
        }

    def classes(self, found: Labels) -> dict[str, float]:
        """Every figure of `CLASS_SIDES` of pictures with predicted classes [N].

        Total variation from the shares of real pictures, and the least share by that of real ones: 0 when a class is
        missing.
        """
        own = shares(found, len(self.shares))
        there = self.shares > 0
        return {
            "class imbalance": float(np.abs(own - self.shares).sum() / 2),
            "rarest class": float((own[there] / self.shares[there]).min()),
        }


def shares(labels: Labels, classes: int) -> NDArray[np.float64]:
    """The share of each class [K] among labels [N]."""
    return np.bincount(labels, minlength=classes) / len(labels)


def evaluate(graphs: Graphs, data: Pictures) -> list[Metric]:
    """All of `DRAWS` times as many samples as there are test pictures, of their classes if these can be asked for."""
    looker, unit, features_of = _judge(data)
    measured, count = data.measured, len(data.measured.images)
    judged, features = looker.look(measured.images)
    _, training = looker.look(data.train.images)
    real = Real(
        looker.reference if isinstance(looker, judges.Kept) else Gaussian.of(features),
        Reference.of(features),
        shares(judged, max(1, len(data.classes))),
        training,
        neighbours.nearest(features, training),
    )
    labels = measured.labels.astype(np.int64)
    drawn = [looker.look(sample(graphs, labels, seed)) for seed in range(DRAWS)]
    scale = {name: looker.look(images) for name, images in calibration.scale(data).items()}
    own = [real.features(found) for _, found in drawn]
    rows = {name: real.features(found) for name, (_, found) in scale.items()}
    protocol = f"{count} samples against {count} test pictures, mean of {DRAWS} draws, {features_of}"
    metrics = [_metric(f"{name}, {unit}", name, better, own, rows, data, protocol) for name, better in SIDES.items()]
    if data.classes:
        own = [real.classes(classes) for classes, _ in drawn]
        rows = {name: real.classes(classes) for name, (classes, _) in scale.items()}
        protocol = "classes that the same classifier sees in samples, against those it sees in test pictures"
        metrics += [_metric(name, name, better, own, rows, data, protocol) for name, better in CLASS_SIDES.items()]
        if conditional(graphs):
            right = float((judged == labels).mean())
            metrics.append(_accuracy([classes for classes, _ in drawn], labels, data, right))
    return metrics


Looker = judges.Kept | judge.Judge | Components


def _judge(data: Pictures) -> tuple[Looker, str, str]:
    """Who looks at pictures, what the unit of its features is called, and whose they are."""
    if not data.classes:
        components = Components(data.train.images)
        return components, f"{components.size} principal components", "the principal components of training pictures"
    own = "project's own features"
    kept = judges.find(data)
    if kept is not None:
        return kept, f"{own} {kept.record.graph_sha256[:8]}", f"features of the classifier that is kept for {data.name}"
    trained = judge.train_judge(data.train, len(data.classes), judge.enough(len(data.train.images)))
    return trained, own, "features of a classifier trained for this run (seed 0)"


def _metric(
    title: str,
    name: str,
    better: Literal["higher", "lower"],
    own: list[dict[str, float]],
    others: dict[str, dict[str, float]],
    data: Pictures,
    protocol: str,
) -> Metric:
    """The figure `name` of the model's own draws, in the mean, beside that of other pictures."""
    values = [figures[name] for figures in own]
    return Metric(
        name=title,
        value=float(np.mean(values)),
        standard_error=float(np.std(values, ddof=1) / np.sqrt(len(values))),
        better=better,
        samples=len(data.measured.images),
        data=f"{data.name} test",
        protocol=protocol,
        baselines=tuple(Baseline(name=other, value=figures[name]) for other, figures in others.items()),
    )


def _accuracy(drawn: list[Labels], labels: Labels, data: Pictures, judged: float) -> Metric:
    """How often a sample is of the class that was asked for, in the eyes of the judge."""
    accuracy = float(np.mean([found == labels for found in drawn]))
    return Metric(
        name="accuracy of the asked class",
        value=accuracy,
        standard_error=float(np.sqrt(accuracy * (1 - accuracy) / (len(drawn) * len(labels)))),
        better="higher",
        samples=len(labels),
        data=f"{data.name} test",
        protocol=f"share of samples that the same classifier puts into the class that was asked for, {DRAWS} draws",
        baselines=(Baseline(name="the classifier on real test pictures", value=judged),),
    )
