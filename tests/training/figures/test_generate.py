from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.stats import norm

from models.manifest import Generate
from tests import versions
from tests.training.figures.pixels import decoded
from training.data import mnist
from training.figures import generate
from training.figures.figure import Figure
from training.figures.sheet import GAP, LINE, most
from training.graphs import Graphs

DATA = mnist.synthetic(0, classes=("0",), attributes=())
CELL = 56 + GAP


def built(*, classes: int = 0, latent: int = 4) -> tuple[Generate, Graphs]:
    manifest, files = versions.generate(classes=classes, latent=latent)
    task = manifest.task(Generate)
    assert task is not None
    return task, Graphs({"decode": files["decode.onnx"]})


@cache
def draw(*, classes: int = 0, latent: int = 4, showable: bool = True) -> dict[str, Figure]:
    data = replace(DATA, showable=showable)
    found = generate.figures(*built(classes=classes, latent=latent), data)
    return {figure.name: figure for figure in found}


def cell(figure: Figure, row: int, column: int, columns: int) -> np.ndarray:
    """The picture [28,28] in a cell of a sheet."""
    page = decoded(figure.png)[..., 0]
    left, top = page.shape[1] - columns * CELL + column * CELL, page.shape[0] % CELL + row * CELL
    return page[top : top + 56 : 2, left : left + 56 : 2]


def painted(graphs: Graphs, latent: np.ndarray, label: int | None = None) -> np.ndarray:
    """What the graph draws for one latent [Z]."""
    inputs = {"latent": latent[None].astype(np.float32)}
    if label is not None:
        inputs["label"] = np.array([label])
    return np.round(graphs.run("decode", **inputs)["image"][0, 0] * 255)


def near(found: np.ndarray, wanted: np.ndarray) -> bool:
    """Equal but for the last bit: the sum of a row may depend on how many rows there are."""
    return bool(np.abs(found.astype(int) - wanted).max() <= 1)


def test_what_there_is_decides_what_is_drawn() -> None:
    assert list(draw()) == ["samples", "interpolation", "edits", "nearest"]
    assert list(draw(latent=2, showable=False)) == ["samples", "interpolation", "lattice"]
    assert list(draw(classes=3)) == ["samples", "interpolation", "edits", "nearest"]
    task, graphs = built(classes=3)
    found = generate.figures(task.model_copy(update={"directions": {}}), graphs, DATA)
    assert [figure.name for figure in found] == ["samples", "interpolation", "nearest"]


def test_samples_are_the_first_that_were_drawn_a_row_for_each_class() -> None:
    _, graphs = built(classes=3)
    latent = np.random.default_rng(0).standard_normal((3, 12, 4), np.float32)
    figure = draw(classes=3)["samples"]
    for row in range(3):
        for column in (0, 5, 11):
            assert near(cell(figure, row, column, 12), painted(graphs, latent[row, column], row))


def test_an_interpolation_ends_in_the_latents_it_lies_between() -> None:
    _, graphs = built()
    ends = np.random.default_rng(1).standard_normal((5, 2, 4), np.float32)
    figure = draw()["interpolation"]
    for row in range(5):
        assert near(cell(figure, row, 0, 11), painted(graphs, ends[row, 0]))
        assert near(cell(figure, row, 10, 11), painted(graphs, ends[row, 1]))


def test_an_edit_adds_so_much_of_the_direction() -> None:
    task, graphs = built()
    start = np.random.default_rng(2).standard_normal(4, np.float32)
    figure = draw()["edits"]
    assert decoded(figure.png).shape[0] == LINE + CELL
    for column, amount in enumerate(generate.AMOUNTS):
        page = decoded(figure.png)[LINE:, ..., 0]
        left = page.shape[1] - len(generate.AMOUNTS) * CELL + column * CELL
        moved = start + amount * np.array(task.directions["first"], np.float32)
        assert near(page[:56:2, left : left + 56 : 2], painted(graphs, moved))


def test_a_lattice_is_the_plane_in_equal_shares_x_to_the_right_and_y_up() -> None:
    _, graphs = built(latent=2)
    size = int(np.sqrt(most((1, 28, 28))))
    figure = draw(latent=2, showable=False)["lattice"]
    for row, column in ((0, 0), (0, size - 1), (size - 1, 0), (3, 7)):
        x, y = norm.ppf((column + 0.5) / size), norm.ppf((size - 1 - row + 0.5) / size)
        assert near(cell(figure, row, column, size), painted(graphs, np.array([x, y])))


def test_slerp_goes_along_the_arc_at_an_even_pace() -> None:
    start, end = np.array([2.0, 0, 0], np.float32), np.array([0, 2.0, 0], np.float32)
    points = generate.slerp(start, end, np.linspace(0, 1, 5))
    angles = np.linspace(0, np.pi / 2, 5)
    assert points == pytest.approx(2 * np.column_stack((np.cos(angles), np.sin(angles), 0 * angles)), abs=1e-6)
    straight = generate.slerp(start, -2 * start, np.array([0, 0.25, 1]))
    assert straight == pytest.approx(np.outer([1, 0.25, -2], start), abs=1e-6)


@pytest.mark.parametrize("rows", [7, 1000])
def test_the_nearest_picture_is_that_of_the_least_distance(rows: int) -> None:
    rng = np.random.default_rng(0)
    train = rng.integers(256, size=(50, 3, 6, 5), dtype=np.uint8)
    asked = rng.integers(256, size=(9, 3, 6, 5), dtype=np.uint8)
    asked[0] = train[49]
    distances = np.square(asked[:, None].astype(int) - train[None]).sum(axis=(2, 3, 4))
    assert np.array_equal(generate.nearest(asked, train, rows), train[distances.argmin(axis=1)])


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 64), (3, 100, 100), (3, 512, 512)])
@pytest.mark.parametrize("wanted", [(10, 12), (1, 1), (12, 7)])
def test_a_grid_keeps_to_what_a_sheet_may_hold(shape: tuple[int, int, int], wanted: tuple[int, int]) -> None:
    task = built()[0].model_copy(update=dict(zip(("channels", "height", "width"), shape, strict=True)))
    rows, columns = generate._grid(task, *wanted)
    assert 1 <= rows <= wanted[0]
    assert 1 <= columns <= wanted[1]
    assert rows * columns <= most(shape)
