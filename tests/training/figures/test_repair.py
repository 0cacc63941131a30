from dataclasses import replace

from models.manifest import Denoise
from tests import versions
from tests.training.figures.pixels import decoded
from training.data import photographs
from training.figures import denoise, repair
from training.figures.sheet import GAP, LINE
from training.graphs import Graphs

MANIFEST, FILES = versions.denoise(blind=True)
GRAPHS = Graphs({"clean": FILES["clean.onnx"]})
DATA = photographs.synthetic(0)


def task() -> Denoise:
    found = MANIFEST.task(Denoise)
    assert found is not None
    return found


def test_a_model_that_takes_no_sigma_is_shown_with_every_kind_of_damage() -> None:
    figure, gains = denoise.figures(task(), GRAPHS, DATA)
    assert (figure.name, gains.name) == ("before-and-after", "gains")
    height, width = repair.CROP
    page = decoded(figure.png)
    assert page.shape[0] == LINE + len(repair.SHOWN) * (2 * height + LINE + GAP)
    left = page.shape[1] - 4 * (2 * width + GAP)
    clean = page[LINE : LINE + 2 * height : 2, left : left + 2 * width : 2, :3]
    top = (96 - height) // 2
    assert (clean == DATA.validation[0][top : top + height, :width]).all()
    assert "synthetic" in figure.caption


def test_photographs_that_may_not_be_shown_are_not() -> None:
    kept = denoise.figures(task(), GRAPHS, replace(DATA, showable={}))
    assert [figure.name for figure in kept] == ["gains"]  # bars alone
