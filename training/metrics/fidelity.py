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
    balls: Reference
    shares: NDArray[np.float64]
    """Of each predicted class [K]."""
    training: Features
    unseen: NDArray[np.float64]
    """Distance of each measured picture to the nearest training picture."""

    def features(self, found: Features) -> dict[str, float]:
        """Every figure of `SIDES` of pictures with features [N,D]."""
        support = neighbours.support(found, self.balls)
        return {
            "Frechet distance": frechet(Gaussian.of(found), self.gaussian),
            "kernel distance": kernel_distance(found, self.balls.rows),
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
    """All of as many samples as there are test pictures, of the same classes if they can be asked for."""
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
    seen = {"": sample(graphs, labels, seed=0), **calibration.scale(data, count)}
    looked = {name: looker.look(images) for name, images in seen.items()}
    rows = {name: real.features(found) for name, (_, found) in looked.items()}
    protocol = f"{count} samples against {count} test pictures, {features_of}"
    metrics = [
        _metric(f"{name}, {unit}", better, {row: values[name] for row, values in rows.items()}, data, protocol)
        for name, better in SIDES.items()
    ]
    if data.classes:
        counted = {name: real.classes(classes) for name, (classes, _) in looked.items()}
        protocol = "classes that the same classifier sees in samples, against those it sees in test pictures"
        metrics += [
            _metric(name, better, {row: values[name] for row, values in counted.items()}, data, protocol)
            for name, better in CLASS_SIDES.items()
        ]
        if conditional(graphs):
            right = float((judged == labels).mean())
            metrics.append(_accuracy(looked[""][0], labels, data, right))
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
    name: str, better: Literal["higher", "lower"], values: dict[str, float], data: Pictures, protocol: str
) -> Metric:
    """A figure of the samples, which have no name, beside the same of other pictures, by name."""
    return Metric(
        name=name,
        value=values[""],
        better=better,
        samples=len(data.measured.images),
        data=f"{data.name} test",
        protocol=protocol,
        baselines=tuple(Baseline(name=other, value=value) for other, value in values.items() if other),
    )


def _accuracy(found: Labels, labels: Labels, data: Pictures, judged: float) -> Metric:
    """How often a sample is of the class that was asked for, in the eyes of the judge."""
    accuracy, count = float((found == labels).mean()), len(labels)
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
