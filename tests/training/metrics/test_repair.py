import numpy as np
import pytest

from tests import versions
from training.data import damage
from training.data.photographs import Photographs, Picture, synthetic
from training.graphs import Graphs
from training.metrics import repair, restoration

CLEAN = synthetic(3).validation[0]


MULTIPLE = 4


def graphs() -> Graphs:
    _, files = versions.denoise(grey=True, blind=True)
    return Graphs({name: files[f"{name}.onnx"] for name in ("clean", "clean_grey")})


def test_damage_is_seeded_by_its_kind_and_the_picture() -> None:
    first = repair.damaged(CLEAN, "salt and pepper, 5 %", 0)
    assert np.array_equal(first, repair.damaged(CLEAN, "salt and pepper, 5 %", 0))
    assert not np.array_equal(first, repair.damaged(CLEAN, "salt and pepper, 5 %", 1))


@pytest.mark.parametrize("clean", [CLEAN[:61, :70], CLEAN[:61, :70, 0]], ids=["colour", "grey"])
def test_any_size_is_repaired(clean: Picture) -> None:
    found = repair.repaired(graphs(), clean, MULTIPLE)
    assert found.shape == clean.shape
    assert np.isfinite(found).all()


def test_the_median_filter_is_the_better_one_for_dead_pixels() -> None:
    bad = repair.damaged(CLEAN, "salt and pepper, 5 %", 0)
    found = {name: restoration.psnr(image, CLEAN) for name, image in repair.others(bad).items()}
    assert found["median 3x3"] > found["damaged input"] + 3


def test_every_kind_of_damage_is_measured_beside_what_needs_no_training() -> None:
    data = Photographs([], [CLEAN[:40, :40]], [CLEAN[:40, :40, 0]], "one", "0" * 64)
    metrics = repair.evaluate(graphs(), data)
    assert len(metrics) == 2 * (len(damage.CASES) + 1)
    for metric in metrics:
        names = [baseline.name for baseline in metric.baselines]
        alone = metric.name == "PSNR, nothing wrong"
        assert names == ([] if alone else ["damaged input", "median 3x3", "median 5x5", "non-local means"])
    (jpeg,) = [metric for metric in metrics if metric.name == "PSNR, JPEG of quality 10" and metric.data == "one"]
    bad = repair.damaged(data.test[0], "JPEG of quality 10", 0)
    assert jpeg.value == pytest.approx(restoration.psnr(repair.repaired(graphs(), bad), data.test[0]))
    assert jpeg.baselines[0].value == pytest.approx(restoration.psnr(bad / 255, data.test[0]))
