import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models import sample
from models.store import Store
from service.runtime.session import has_cuda
from tests.processes import ROOT, environment
from tests.versions import encode_and_generate, generate, recommend


def measure(zoo: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    told = {f"HARMONIUM_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.graphs", "--seconds", "0"],
        env=environment(zoo, HARMONIUM_MODELS=str(zoo), **told),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_every_graph_repeats_its_sample_and_is_measured(tmp_path: Path) -> None:
    store = Store([tmp_path])
    for built in (recommend(explains=True), encode_and_generate()):
        store.publish(*built)
    done = measure(tmp_path, device="cpu")
    assert done.returncode == 0, done.stderr
    judged = re.findall(
        r"^\| (\S+) 1 \| (\S+) \| cpu \| [1-9]\d*, 0 \| repeats \| the same \| the same \|$", done.stdout, re.M
    )
    graphs = [("digits-vae", "encode"), ("digits-vae", "decode"), ("movies-rbm", "score")]
    assert judged == graphs
    timed = re.findall(r"^\| (\S+) 1 \| (\S+) \| (\d+) \| [\d.e+-]+ \| [\d,]+ \|$", done.stdout, re.M)
    assert timed == [(*graph, rows) for graph in graphs for rows in ("1", "8", "64")]


def test_a_version_that_does_not_repeat_its_sample_is_a_failure(tmp_path: Path) -> None:
    manifest, files = generate()
    run = sample.read(files["sample.npz"], manifest.graphs)["decode"]
    other = sample.Recording(run.inputs, {"image": run.outputs["image"] + np.float32(0.1)})
    Store([tmp_path]).publish(manifest, files | {"sample.npz": sample.write({"decode": other})})
    done = measure(tmp_path, device="cpu")
    assert done.returncode == 1
    assert "from its record" in done.stdout


@pytest.mark.skipif(has_cuda(), reason="this onnxruntime was built for CUDA")
def test_no_cuda_is_a_failure_where_it_was_asked_for(tmp_path: Path) -> None:
    Store([tmp_path]).publish(*generate())
    done = measure(tmp_path, device="cuda")
    assert done.returncode == 1
    assert "| digits-gan 1 | | cuda | | this onnxruntime was built without CUDA |" in done.stdout
    done = measure(tmp_path, device="auto")
    assert done.returncode == 0
    assert "CUDA is left out: this onnxruntime was built without CUDA" in done.stdout
