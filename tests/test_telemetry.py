"""Nobody is told what runs here: onnxruntime's telemetry is off wherever it is imported.

Its signs are files in the home directory and one more thread, both at the import, and some 9 seconds after the first
session a name that is looked up. Each is shown to be seen where the telemetry is on. `CI` in the environment would
switch it off as well, so no process here gets it.
"""

import contextlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.processes import ROOT, environment
from tests.versions import generate

COUNT = "import os, numpy, onnxruntime; print(len(os.listdir('/proc/self/task')))"
ON, OFF = {"ORT_DISABLE_TELEMETRY": "0"}, {"ORT_DISABLE_TELEMETRY": "1"}
LOOKED_UP = "sin_port=htons(53)"


def threads(code: str, home: Path, **told: str) -> int:
    """How many a process has that runs `code` and then has imported onnxruntime."""
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{COUNT}"],
        env=environment(home, PYTHONDONTWRITEBYTECODE="1", **told),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def files(home: Path) -> list[str]:
    return [path.name for path in home.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Threads of a process without telemetry."""
    return threads("", tmp_path_factory.mktemp("quiet") / "home", **OFF)


def test_where_it_is_on_it_is_seen(tmp_path: Path, quiet: int) -> None:
    assert threads("", tmp_path / "home") == quiet + 1
    assert files(tmp_path / "home")


@pytest.mark.parametrize(
    "code",
    ["import service.__main__", "import service.worker", "import service.runtime.session", "import training.graphs"],
)
def test_where_ours_is_imported_first_there_is_no_file_and_no_thread(tmp_path: Path, quiet: int, code: str) -> None:
    assert threads(code, tmp_path / "home", **ON) == quiet
    assert files(tmp_path / "home") == []


@pytest.mark.parametrize("command", [["-m", "training", "list"], ["-c", "import training.export"]])
def test_training_leaves_no_file(tmp_path: Path, command: list[str]) -> None:
    told = environment(tmp_path, **ON)
    done = subprocess.run([sys.executable, *command], env=told, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert files(tmp_path) == []


@contextlib.contextmanager
def traced(code: str, home: Path, **told: str) -> Generator[subprocess.Popen[str]]:
    """A process that has made a session and waits for the end of its input; its errors are its network calls."""
    home.mkdir()
    (home / "decode.onnx").write_bytes(generate()[1]["decode.onnx"])
    run = f"""
{code}
import onnxruntime, sys
session = onnxruntime.InferenceSession("decode.onnx")
print("ready", flush=True)
sys.stdin.read()
"""
    command = ["strace", "-f", "-qq", "-e", "trace=connect,sendto", sys.executable, "-c", run]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env=environment(home, **told), cwd=home, text=True, **pipes) as process:
        impatient = threading.Timer(60, process.kill)
        impatient.start()
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            impatient.cancel()


def test_no_name_is_looked_up(tmp_path: Path) -> None:
    if shutil.which("strace") is None or subprocess.run(["strace", "true"], capture_output=True).returncode:
        pytest.skip("there is no strace, or it may not trace here")
    with (
        traced("import service.app", tmp_path / "service", **ON) as service,
        traced("import training.graphs", tmp_path / "training", **ON) as training,
        traced("", tmp_path / "control") as control,
    ):
        assert control.stderr is not None
        assert any(LOOKED_UP in line for line in control.stderr), "onnxruntime looked nothing up where it would"
        for process in (service, training):  # whose sessions are older
            _, calls = process.communicate()
            assert LOOKED_UP not in calls
