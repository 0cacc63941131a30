"""`python -m service` as a process: how it starts, what it touches, how it stops."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.processes import environment, running
from tests.service.conftest import encoded


@pytest.fixture
def hearing() -> Iterator[None]:
    """Processes hear SIGHUP also where these tests run under `nohup`, which they would inherit."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hearing")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_accepted_request_is_finished_before_the_exit(zoo: Path, tmp_path: Path, number: signal.Signals) -> None:
    with running(zoo, tmp_path) as service:
        process, port = service.process, service.port
        assert "movies-rbm 1" in service.said
        body = json.dumps({"seed": 7}).encode()
        head = f"POST /v1/generate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        with socket.create_connection(("127.0.0.1", port), 30) as accepted, httpx.Client() as client:
            accepted.sendall(head.encode() + b"\r\n\r\n" + body[:1])
            client.get(f"http://127.0.0.1:{port}/livez")  # answered after the head above was read
            process.send_signal(number)
            end = time.monotonic() + 10
            while (ready := client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                assert time.monotonic() < end
            assert ready.json()["reasons"] == ["the service is stopping"]
            assert client.post(f"http://127.0.0.1:{port}/v1/generate", json={}).status_code == 503
            assert process.poll() is None
            accepted.sendall(body[1:])
            answer = http.client.HTTPResponse(accepted)
            answer.begin()
            assert (answer.status, answer.getheader("x-seed")) == (200, "7")
            assert len(answer.read()) == int(answer.getheader("content-length") or 0)
        assert process.wait(20) == 0


def test_the_wait_for_accepted_requests_has_an_end(zoo: Path, tmp_path: Path) -> None:
    with (
        running(zoo, tmp_path, drain_seconds="0") as service,
        socket.create_connection(("127.0.0.1", service.port), 30) as accepted,
    ):
        accepted.sendall(b"POST /v1/generate HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{")
        httpx.get(f"http://127.0.0.1:{service.port}/livez")  # answered after the head above was read
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(20) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has loaded is read from /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_still_imports_ends_it_at_once(zoo: Path, tmp_path: Path, number: signal.Signals) -> None:
    """The first process of a container would not hear of a signal that it does not handle."""
    told = environment(tmp_path, HARMONIUM_MODELS=str(zoo), HARMONIUM_PORT="0")
    with subprocess.Popen([sys.executable, "-m", "service"], env=told, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        end = time.monotonic() + 30
        while "_multiarray_umath" not in Path(f"/proc/{process.pid}/maps").read_text():
            assert time.monotonic() < end
        process.send_signal(number)
        said, _ = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, b"")


def test_nothing_is_written_to_home(zoo: Path, tmp_path: Path) -> None:
    """onnxruntime would leave a device id and a database of events there, and send them."""
    with running(zoo, tmp_path) as service:
        assert httpx.post(f"http://127.0.0.1:{service.port}/v1/generate", json={}).status_code == 200
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(20) == 0
    assert list(tmp_path.rglob("*")) == []


def test_an_import_of_the_application_writes_nothing_either(tmp_path: Path) -> None:
    told = environment(tmp_path, ORT_DISABLE_TELEMETRY="0", PYTHONDONTWRITEBYTECODE="1")
    subprocess.run([sys.executable, "-c", "import service.app"], env=told, cwd=tmp_path, check=True, timeout=60)
    assert list(tmp_path.rglob("*")) == []


def test_no_torch_is_imported(tmp_path: Path) -> None:
    ours = "service.__main__, service.worker, service.supervisor"
    code = f"import {ours}, sys; print({{name.split('.')[0] for name in sys.modules}} & {{'torch', 'training'}})"
    told = environment(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", code], env=told, check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "70000"), ("PORT", "x"), ("DEVICE", "tpu"), ("SCAN_SECONDS", "nan"), ("WORKERS", "-1")]
)
def test_a_wrong_setting_stops_the_start_with_one_sentence(tmp_path: Path, name: str, value: str) -> None:
    told = environment(tmp_path, **{f"HARMONIUM_{name}": value})
    done = subprocess.run([sys.executable, "-m", "service"], env=told, timeout=60, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"HARMONIUM_{name} is {value!r}, but ")
    assert done.stderr.count("\n") == 1


def test_an_argument_stops_the_start_with_one_sentence(tmp_path: Path) -> None:
    """As in `docker run harmonium:cpu --help`, which would serve without a published port."""
    program = [sys.executable, "-m", "service", "--help"]
    done = subprocess.run(program, env=environment(tmp_path), timeout=60, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "There are no arguments, but '--help' was given: settings are HARMONIUM_* variables.\n"


def test_a_misspelt_setting_is_told(zoo: Path, tmp_path: Path) -> None:
    with running(zoo, tmp_path, wrkers="3") as service:
        assert "WARNING service" in service.said
        assert "HARMONIUM_WRKERS is no setting" in service.said


def test_a_slow_reader_gets_the_whole_answer(zoo: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4000, 4000), np.uint8)
    body = encoded(Image.fromarray(noise), compress_level=0)
    head = f"POST /v1/denoise?amount=0 HTTP/1.1\r\nhost: a\r\ncontent-type: image/png\r\ncontent-length: {len(body)}"
    with running(zoo, tmp_path) as service, socket.socket() as slow:
        process = service.process
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(30)
        slow.connect(("127.0.0.1", service.port))
        slow.sendall(head.encode() + b"\r\n\r\n" + body)
        answer = http.client.HTTPResponse(slow)
        answer.begin()
        size = int(answer.getheader("content-length") or 0)
        assert size > 15_000_000  # more than the system takes from the service at once
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2.5)
        assert len(answer.read()) == size
        assert process.wait(20) == 0
