from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.manifest import Metric
from tests import tiny
from training.graphs import Graphs
from training.metrics import fidelity, judges
from training.metrics.distances import Gaussian, frechet
from training.metrics.principal import Components

ON_FEATURES = ["Frechet distance", "kernel distance", "precision", "recall", "density", "coverage", "copying"]


def test_samples_are_eight_bit_pictures_of_the_asked_classes() -> None:
    graphs = Graphs(tiny.exported("digits-gan").graphs)
    labels = np.array([3, 1, 4, 1, 5], np.int64)
    found = fidelity.sample(graphs, labels, seed=2)
    latent = np.random.default_rng(2).standard_normal((5, 4), np.float32)
    expected = graphs.run("decode", latent=latent, label=labels)["image"]
    assert found.dtype == np.uint8
    assert found.shape == (5, 1, 28, 28)
    assert np.abs(found / 255 - expected).max() <= 0.5 / 255 + 1e-6
    assert np.array_equal(found, fidelity.sample(graphs, labels, seed=2))
    assert not np.array_equal(found, fidelity.sample(graphs, labels, seed=3))


def named(metrics: list[Metric]) -> dict[str, Metric]:
    return {metric.name.partition(",")[0]: metric for metric in metrics}


def scale(metric: Metric) -> dict[str, float]:
    return {baseline.name: baseline.value for baseline in metric.baselines}


def test_without_classes_principal_components_are_the_features() -> None:
    data = replace(tiny.twin("digits-gan"), classes=())
    graphs = Graphs(tiny.exported("digits-vae").graphs)  # it draws without classes
    metrics = fidelity.evaluate(graphs, data)
    assert [metric.name for metric in metrics] == [f"{name}, 64 principal components" for name in ON_FEATURES]
    assert {metric.protocol for metric in metrics} == {
        "100 samples against 100 test pictures, mean of 4 draws, the principal components of training pictures"
    }
    components = Components(data.train.images)
    draws = [fidelity.sample(graphs, np.zeros(100, np.int64), seed) for seed in range(4)]
    *own, real = (Gaussian.of(components.look(part)[1]) for part in (*draws, data.test.images))
    found = named(metrics)
    expected = np.mean([frechet(one, real) for one in own])
    assert found["Frechet distance"].value == pytest.approx(expected, rel=1e-9)
    for name in ("Frechet distance", "kernel distance"):
        assert scale(found[name])["real training pictures"] < found[name].value, "it has hardly learnt"
    assert found["coverage"].value < scale(found["coverage"])["real training pictures"]
    assert scale(found["copying"])["real training pictures"] == 1, "they are copies of themselves"
    assert scale(found["copying"])["independent pixels"] == 0


def test_classes_are_counted_against_those_of_real_pictures() -> None:
    data = replace(tiny.twin("digits-gan"), classes=("a", "b", "c"))
    real = fidelity.Real(
        Gaussian(np.zeros(1), np.eye(1)),
        fidelity.Reference.of(np.zeros((9, 1))),
        fidelity.shares(np.array([0, 0, 1, 1]), len(data.classes)),
        np.zeros((1, 1)),
        np.zeros(1),
    )
    assert real.classes(np.array([0, 1, 0, 1])) == {"class imbalance": 0, "rarest class": 1}
    assert real.classes(np.array([0, 0, 0, 1])) == {"class imbalance": 0.25, "rarest class": 0.5}
    assert real.classes(np.array([0, 0, 0, 0])) == {"class imbalance": 0.5, "rarest class": 0}
    assert real.classes(np.array([2, 2, 0, 1])) == {"class imbalance": 0.5, "rarest class": 0.5}


def test_a_kept_judge_is_taken_for_its_data_and_no_others(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, graphs = tiny.twin("digits-gan"), Graphs(tiny.exported("digits-gan").graphs)
    monkeypatch.setattr(judges, "FOLDER", kept)
    judge = judges.find(data)
    assert judge is not None
    record = judge.record
    found = named(fidelity.evaluate(graphs, data))
    assert list(found) == [*ON_FEATURES, "class imbalance", "rarest class", "accuracy of the asked class"]
    assert "kept for synthetic" in found["recall"].protocol
    assert found["recall"].name.endswith(record.graph_sha256[:8])
    assert scale(found["accuracy of the asked class"]) == {
        "the classifier on real test pictures": pytest.approx(record.accuracy)
    }
    assert judges.find(replace(data, sha256="0" * 64)) is None
    labels = data.test.labels.astype(np.int64)
    draws = [judge.look(fidelity.sample(graphs, labels, seed)) for seed in range(4)]
    right = [(classes == labels).mean() for classes, _ in draws]
    assert found["accuracy of the asked class"].value == pytest.approx(np.mean(right))
    distances = [frechet(Gaussian.of(features), judge.reference) for _, features in draws]
    assert found["Frechet distance"].value == pytest.approx(np.mean(distances), rel=1e-6)
    assert found["Frechet distance"].standard_error == pytest.approx(np.std(distances, ddof=1) / 2, rel=1e-6)
    missing = scale(found["rarest class"])["real ones, one class missing"]
    assert missing < scale(found["rarest class"])["real training pictures"]
