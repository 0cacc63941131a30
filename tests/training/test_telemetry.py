"""Training reports to nobody: onnxruntime writes no file, not even in the home of a machine without CI."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = """
from pathlib import Path
from training.graphs import Graphs
Graphs({"decode": next(Path("models/zoo/digits-gan").glob("*/decode.onnx")).read_bytes()})
"""


def test_no_file_appears_in_an_empty_home(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}  # no CI, which switches telemetry off by itself
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert list(tmp_path.rglob("*")) == []
