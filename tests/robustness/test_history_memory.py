"""A history of 5,000 ratings is answered in 200 MB: what the process takes at most, above what it takes at rest."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.served import serving
from tests.processes import ROOT, environment
from tests.robustness.conftest import Figure

MEGABYTES = 200
RATINGS = 5000
VERSIONS = sorted(path.parent for path in (ROOT / "models/zoo").glob("movies-*/*/manifest.json"))

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")

RUN = """
import sys
from pathlib import Path

import numpy as np

from models.manifest import Recommend
from models.store import verify
from service.runtime.ranking import History
from service.runtime.session import Session

def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(name))

path, ratings = Path(sys.argv[1]), int(sys.argv[2])
version = verify(path, path.parent.name, int(path.name))
task = version.manifest.task(Recommend)
session = Session(version.files["score.onnx"], "cpu")
history = History(tuple(place % task.items for place in range(ratings)), (task.liked,) * ratings)
few = History(history.index[:20], history.rating[:20])
session.run_rows_alike([few.row(task)], 1)
rest = memory("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
session.run_rows_alike([history.row(task)], 1)
session.run_rows([history.row(task, range(6))])
print(memory("VmHWM") - rest)
"""


@pytest.mark.parametrize("fields", [{}, {"diversity": 0.5, "count": 1000}, {"reasons": True}], ids=str)
def test_a_long_history_is_answered(fields: dict[str, Any], tmp_path: Path, figure: Figure) -> None:
    shutil.copytree(ROOT / "models/zoo/movies-rbm", tmp_path / "movies-rbm")
    with serving(models=tmp_path, max_reason_rows=RATINGS) as served:
        if "reasons" in fields and not served.recommender("movies-rbm")["explains"]:
            pytest.skip("the shipped version tells reasons by a run for each rating, minutes here")
        ids = served.catalogue("movies-rbm")
        ratings = [{"item": ids[place % len(ids)], "rating": 1 + place % 5} for place in range(RATINGS)]
        few = {"users": [{"ratings": ratings[:20]}], "include_rated": True, "count": 10} | fields
        served.post("/v1/recommend", few)
        rest = served.resident()
        served.forget_peak()
        (user,) = served.post("/v1/recommend", few | {"users": [{"ratings": ratings}]})["users"]
        taken = served.peak() - rest
    assert user["source"] == "model"
    assert len(user["items"]) == few["count"]
    figure("MB", round(taken))
    assert taken < MEGABYTES


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.parent.name)
def test_a_graph_takes_its_longest_history(version: Path, tmp_path: Path, figure: Figure) -> None:
    """More ratings than there are items: what a catalogue of so many would cost."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(version), str(RATINGS)],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figure("MB", round(float(done.stdout)))
    assert float(done.stdout) < MEGABYTES
