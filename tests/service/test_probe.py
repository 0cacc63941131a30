"""`python -m service.probe`, as a container's health check runs it, beside a real service."""

import subprocess
import sys
from pathlib import Path

from tests.processes import environment, running


def probe(home: Path, port: int, **settings: str) -> tuple[int, str]:
    """Its exit code and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "service.probe"],
        env=environment(home, HARMONIUM_PORT=str(port), **settings),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
    )
    return done.returncode, done.stdout


def test_a_service_that_is_ready_is_healthy(zoo: Path, tmp_path: Path) -> None:
    with running(zoo, tmp_path) as service:
        code, said = probe(tmp_path, service.port)
        assert (code, '"ready":true' in said) == (0, True), said
        assert probe(tmp_path, service.port, HARMONIUM_HOST="0.0.0.0")[0] == 0


def test_a_service_that_is_not_ready_is_not_and_tells_why(tmp_path: Path) -> None:
    with running(tmp_path, tmp_path) as service:
        code, said = probe(tmp_path, service.port)
        assert (code, "no model is loaded" in said) == (1, True), said


def test_where_nobody_answers_the_exit_code_is_1_and_one_line_says_so(tmp_path: Path) -> None:
    with running(tmp_path, tmp_path) as service:
        port = service.port
    assert probe(tmp_path, port) == (1, f"no answer from 127.0.0.1, port {port}: [Errno 111] Connection refused\n")


def test_it_costs_no_more_than_the_standard_library(tmp_path: Path) -> None:
    """It runs every few seconds, on the cores that the service needs."""
    program = "import sys, service.probe; print(*{name.partition('.')[0] for name in sys.modules})"
    told = environment(tmp_path)
    loaded = subprocess.run([sys.executable, "-c", program], env=told, capture_output=True, text=True, check=True)
    assert "service" in loaded.stdout.split()
    assert not {"pydantic", "numpy", "asyncio", "http"} & set(loaded.stdout.split())
