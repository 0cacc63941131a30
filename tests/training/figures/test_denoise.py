from dataclasses import replace

import numpy as np
import pytest

from models.manifest import Denoise
from tests import versions
from tests.training.figures.pixels import decoded
from training.data import photographs
from training.data.photographs import Photographs
from training.figures import denoise
from training.figures.sheet import GAP, LINE
from training.graphs import Graphs
from training.metrics import restoration

MANIFEST, FILES = versions.denoise(sigma_max=30.0)
TASK = MANIFEST.task(Denoise)
GRAPHS = Graphs({"clean": FILES["clean.onnx"]})
DATA = photographs.synthetic(0)
HEIGHT, WIDTH = denoise.CROP


def pieces(data: Photographs) -> list[list[np.ndarray]]:
    """The four pieces [H,W,3] of every row, as they are before they are enlarged."""
    assert TASK is not None
    page = decoded(denoise._before_and_after(TASK, GRAPHS, data).png)[..., :3]
    left = page.shape[1] - 4 * (2 * WIDTH + GAP)
    rows = (page.shape[0] - LINE) // (2 * HEIGHT + LINE + GAP)
    found = []
    for row in range(rows):
        top = LINE + row * (2 * HEIGHT + LINE + GAP)
        starts = [left + column * (2 * WIDTH + GAP) for column in range(4)]
        found.append([page[top : top + 2 * HEIGHT : 2, start : start + 2 * WIDTH : 2] for start in starts])
    return found


def middle(picture: np.ndarray) -> np.ndarray:
    top, left = (picture.shape[0] - HEIGHT) // 2, (picture.shape[1] - WIDTH) // 2
    return picture[top : top + HEIGHT, left : left + WIDTH]


def test_each_row_is_the_middle_of_a_photograph_in_its_four_states() -> None:
    found = pieces(DATA)
    assert len(found) == 4
    for place, (clean, noisy, means, ours) in enumerate(found):
        sigma, original = denoise.SHOWN_AT[place], DATA.validation[place]
        image = restoration.noisy(original, sigma, place, eight_bit=True)
        assert np.array_equal(clean, middle(original))
        assert np.array_equal(noisy, middle(np.round(image * 255)))
        assert np.array_equal(means, middle(np.round(restoration.non_local_means(image, sigma) * 255)))
        served = restoration.restore(GRAPHS, image, min(sigma, 30.0), 4)
        assert np.array_equal(ours, middle(np.round(served * 255).clip(0, 255)))


def test_photographs_are_shown_in_their_order_and_with_their_credit() -> None:
    assert TASK is not None
    some = replace(DATA, showable={2: "by Ada, CC0", 0: "by Ada, CC0"})
    found = pieces(some)
    assert len(found) == 2
    for row, place in zip(found, (2, 0), strict=True):
        assert np.array_equal(row[0], middle(DATA.validation[place]))
    assert denoise._before_and_after(TASK, GRAPHS, some).caption.endswith(" Photographs: by Ada, CC0.")


def test_without_a_photograph_that_may_be_shown_the_figures_are_numbers() -> None:
    assert TASK is not None
    data = replace(DATA, showable={}, test=[], validation=DATA.validation[:1])
    (figure,) = denoise.figures(TASK, GRAPHS, data)
    assert figure.name == "strength"
    assert "Mean over validation photographs" in figure.caption


@pytest.mark.parametrize("told", [True, False])
def test_stronger_noise_than_in_training_counts_as_the_strongest(told: bool) -> None:
    assert TASK is not None
    image = restoration.noisy(DATA.validation[0], 60, 0, eight_bit=True)
    restored = denoise._restore(TASK, GRAPHS, image, 60.0 if told else None)
    assert np.array_equal(restored, restoration.restore(GRAPHS, image, 30.0, 4))


def test_what_is_not_told_is_estimated() -> None:
    assert TASK is not None
    image = restoration.noisy(DATA.validation[0], 10, 0, eight_bit=True)
    assert np.array_equal(denoise._restore(TASK, GRAPHS, image, None), restoration.restore(GRAPHS, image, None, 4))
