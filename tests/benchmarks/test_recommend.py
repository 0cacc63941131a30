import re
import subprocess
import sys
from pathlib import Path

import pytest

from models.store import Store
from tests.processes import ROOT, environment
from tests.versions import recommend

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


def measure(zoo: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.recommend", "--seconds", "0", *arguments],
        env=environment(zoo, HARMONIUM_MODELS=str(zoo)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_kind_of_call_is_timed(tmp_path: Path) -> None:
    Store([tmp_path]).publish(*recommend(max_ratings=512, explains=True))
    done = measure(tmp_path, "--ratings", "3", "50", "--users", "1", "2")  # of 40 items 50 ratings: some twice
    assert done.returncode == 0, done.stderr
    number = r"[\d.,]+"
    cells = rf"(?: {number} \| {number} \| 3 \| {number} \|){{3}}"
    assert re.findall(rf"^\| (\d+) \|{cells}$", done.stdout, re.M) == ["3", "50"]
    assert re.findall(rf"^\| (\d+) \| {number} \| {number} \|$", done.stdout, re.M) == ["1", "2"]


def test_a_refused_call_ends_it(tmp_path: Path) -> None:
    Store([tmp_path]).publish(*recommend())
    done = measure(tmp_path, "--ratings", "65")
    assert done.returncode != 0
    assert "65 ratings and likes; 64 are allowed by this model" in done.stderr
