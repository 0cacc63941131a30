from dataclasses import replace

import numpy as np
import pytest

from models.manifest import Metric
from tests import tiny
from training.data.ratings import RatingData
from training.graphs import Graphs
from training.metrics import comparison, rankers, ranking

RANKERS = ["popularity", "item-kNN", "EASE", "EASE, two inputs", "iALS"]
RATERS = ["biases only", "biased MF"]


def short(metric: Metric) -> list[str]:
    """Names without settings."""
    return [baseline.name.partition(" (")[0] for baseline in metric.baselines]


@pytest.fixture(scope="module")
def data() -> RatingData:
    return tiny.twin("movies-rbm")


@pytest.fixture(scope="module")
def graphs() -> Graphs:
    return Graphs(tiny.exported("movies-rbm").graphs)


def test_everything_stands_beside_the_model(graphs: Graphs, data: RatingData) -> None:
    metrics = comparison.compare(graphs, data, {"movies-rbm 1": graphs})
    plain = ranking.evaluate(graphs, data)
    assert [replaced(metric) for metric in metrics] == [replaced(metric) for metric in plain]
    for metric in metrics:
        rating = metric.name.startswith("RMSE")
        assert short(metric) == [*(RATERS if rating else RANKERS), "movies-rbm 1"]
        same = metric.baselines[-1]
        assert (same.value, same.seconds) == (metric.value, None), "it is the same version"
        if metric.name != "Coverage@10":
            assert (same.paired_difference, same.paired_error) == (0, 0)
            assert all(baseline.paired_error is not None for baseline in metric.baselines)
            assert all(
                baseline.paired_difference == pytest.approx(metric.value - baseline.value, abs=1e-12)
                for baseline in metric.baselines
            )
        assert all(baseline.seconds is not None for baseline in metric.baselines[:-1])


def replaced(metric: Metric) -> Metric:
    return metric.model_copy(update={"baselines": ()})


def test_tastes_are_found_by_every_ranker_but_popularity(graphs: Graphs, data: RatingData) -> None:
    gain = comparison.compare(graphs, data, {})[0]
    popular, *others = gain.baselines
    assert all(other.value > popular.value + 0.1 for other in others), gain


def test_likes_have_no_ratings_to_predict(graphs: Graphs, data: RatingData) -> None:
    parts = {name: getattr(data, name) for name in ("train", "cells", "foldin", "targets")}
    likes = {name: replace(part, rating=np.ones_like(part.rating)) for name, part in parts.items()}
    metrics = comparison.compare(graphs, replace(data, levels=(0.0, 1.0), liked=1.0, **likes), {})
    assert [metric.name for metric in metrics] == ["NDCG@10", "Recall@20", "Coverage@10"]
    assert all(short(metric) == RANKERS for metric in metrics)


@pytest.mark.parametrize("factor", [0.1, 20.0])
def test_any_scale_will_do(factor: float, graphs: Graphs, data: RatingData) -> None:
    """What ranks is the same, what predicts errs as much on the longer scale."""
    parts = {
        name: replace(getattr(data, name), rating=getattr(data, name).rating * np.float32(factor))
        for name in ("train", "cells", "foldin", "targets")
    }
    levels = tuple(factor * level for level in data.levels)
    scaled = replace(data, levels=levels, liked=float(np.float32(factor * data.liked)) * 0.999, **parts)
    for before, after in zip(comparison.compare(graphs, data, {}), comparison.compare(graphs, scaled, {}), strict=True):
        longer = factor if before.name.startswith("RMSE") else 1
        assert [baseline.value for baseline in after.baselines] == pytest.approx(
            [longer * baseline.value for baseline in before.baselines], rel=1e-3
        )


def test_a_restriction_is_told(graphs: Graphs, data: RatingData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rankers, "MOST_BYTES", 4 * 50**2)
    names = [baseline.name for baseline in comparison.compare(graphs, data, {})[0].baselines]
    assert len(data.items) == 60
    assert names[1:4] == [
        "item-kNN (liked, cosine, k 100, the 50 most rated items)",
        "EASE (rated, lambda 800, the 50 most rated items)",
        "EASE, two inputs (lambda 1600, the 25 most rated items)",
    ]
