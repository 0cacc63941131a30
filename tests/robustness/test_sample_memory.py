"""A thousand samples, the most that a call may have, are answered in bounded memory, in every form."""

import shutil
import sys
from pathlib import Path

import pytest

from benchmarks.served import serving
from tests.processes import ROOT
from tests.robustness.conftest import Figure

MEGABYTES = 50
SAMPLES = 1000

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


@pytest.mark.parametrize("model", ["fashion-vae", "digits-gan"])
@pytest.mark.parametrize(
    "accept", ["application/zip", "application/x-npy", "application/json", "image/png", "image/webp"]
)
def test_a_thousand_samples(model: str, accept: str, tmp_path: Path, figure: Figure) -> None:
    shutil.copytree(ROOT / "models/zoo" / model, tmp_path / model)
    with serving(models=tmp_path, default_generate=model) as served:
        served.generate({"seed": 1, "count": 10}, accept)
        rest = served.resident()
        served.forget_peak()
        served.generate({"seed": 1, "count": SAMPLES}, accept)
        figure("MB", round(most := served.peak() - rest))
    assert most < MEGABYTES
