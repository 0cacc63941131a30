"""A picture of 50 megapixels is answered in 600 MB: what the process takes at most, above what it takes at rest.

The shipped model takes two minutes for one on two cores, so this is shown in two parts: reading and writing, by a model
that does little, and the tiles of the shipped model, on a part of the picture. `benchmarks.large_pictures` measures the
whole.
"""

import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.large_pictures import photograph
from benchmarks.served import serving
from tests.processes import ROOT
from tests.robustness.conftest import Figure
from tests.versions import publish_all

MEGABYTES = 600
HEIGHT, WIDTH = 5774, 8660
WHILE_IT_RUNS = HEIGHT * WIDTH * 3 * 2 / 1e6
"""What the pixels take, as they were and cleaned."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


def taken(folder: Path, picture: bytes, accept: str) -> float:
    """MB above rest at the most, while `picture` is cleaned."""
    with serving(models=folder, denoise_threads=2) as served:
        served.denoise(photograph(400, 600), accept)
        rest = served.resident()
        served.forget_peak()
        served.denoise(picture, accept)
        return served.peak() - rest


@pytest.mark.parametrize("accept", ["image/jpeg", "image/png"])
def test_fifty_megapixels_are_read_and_written(accept: str, tmp_path: Path, figure: Figure) -> None:
    publish_all(tmp_path)
    figure("MB", round(most := taken(tmp_path, photograph(HEIGHT, WIDTH), accept)))
    assert most < MEGABYTES


def test_fifty_megapixels_leave_room_for_the_tiles_of_the_shipped_model(tmp_path: Path, figure: Figure) -> None:
    shutil.copytree(ROOT / "models/zoo/photo-dae", tmp_path / "photo-dae")
    height, width = 1600, 2400
    most = taken(tmp_path, photograph(height, width), "image/jpeg")
    figure("MB", round(tiles := most - height * width * 3 * 2 / 1e6))
    assert WHILE_IT_RUNS + tiles < MEGABYTES
