import io

import numpy as np
import pytest
from PIL import Image

from tests.training.figures.pixels import decoded
from training.figures.figure import INK, encode
from training.figures.sheet import GAP, LINE, MOST_VALUES, most, sheet

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("channels", "mode"), [(1, "LA"), (3, "RGBA")])
@pytest.mark.parametrize(("side", "factor"), [(28, 2), (18, 3), (64, 1), (200, 1)])
def test_pictures_stand_in_their_cells_to_the_pixel(channels: int, mode: str, side: int, factor: int) -> None:
    rows = RNG.integers(256, size=(2, 3, channels, side, side + 4), dtype=np.uint8)
    data = sheet([list(row) for row in rows])
    assert Image.open(io.BytesIO(data)).mode == mode
    found, covered = decoded(data), np.zeros((2 * (side * factor + GAP), 3 * ((side + 4) * factor + GAP)), bool)
    assert found.shape[:2] == covered.shape
    for place, row in enumerate(rows):
        for column, picture in enumerate(row):
            top, left = place * (side * factor + GAP), column * ((side + 4) * factor + GAP)
            cell = slice(top, top + side * factor), slice(left, left + (side + 4) * factor)
            enlarged = picture.transpose(1, 2, 0).repeat(factor, axis=0).repeat(factor, axis=1)
            assert np.array_equal(found[cell][..., :channels], enlarged)
            covered[cell] = True
    assert np.array_equal(found[..., 3], 255 * covered), "between them is nothing"


def test_words_stand_beside_the_pictures_and_never_on_them() -> None:
    rows = RNG.integers(256, size=(2, 2, 1, 30, 30), dtype=np.uint8)
    bare = decoded(sheet([list(row) for row in rows]))
    told = decoded(
        sheet(
            [list(row) for row in rows],
            left=["a", "a longer word"],
            above=["x", "a heading wider than its picture"],
            below=[["1.0 dB", ""], ["", "2.0 dB"]],
        )
    )
    margin = told.shape[1] - bare.shape[1]
    assert margin > 60
    assert told.shape[0] == bare.shape[0] + LINE + 2 * LINE
    for place in range(2):
        top = LINE + place * (60 + LINE + GAP)
        assert np.array_equal(told[top : top + 60, margin:], bare[place * (60 + GAP) : place * (60 + GAP) + 60])
        assert told[top : top + 60, :margin, 3].any(), "its word to the left"
    assert told[:LINE, margin:, 3].any()
    written = told[:, :margin]
    ink = [int(INK[place : place + 2], 16) for place in (1, 3, 5)]
    assert (written[written[..., 3] > 0][:, :3] == ink).all()


def test_the_same_pictures_are_the_same_bytes() -> None:
    rows = [[np.full((3, 8, 8), value, np.uint8) for value in range(4)]]
    assert sheet(rows, left=["row"]) == sheet(rows, left=["row"])


def test_a_png_says_nothing_but_its_pixels() -> None:
    pixels = RNG.integers(256, size=(5, 7, 4), dtype=np.uint8)
    data = encode(pixels)
    assert np.array_equal(decoded(data), pixels)
    assert Image.open(io.BytesIO(data)).info == {}


def test_a_sheet_holds_so_many_pictures_that_its_file_stays_small() -> None:
    assert most((1, 28, 28)) == MOST_VALUES // 784
    assert most((3, 64, 64)) == 6
    assert most((3, 1000, 1000)) == 1
