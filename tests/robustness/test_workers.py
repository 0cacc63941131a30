"""One process and several: how they start, end, and what becomes of the work when one of them dies."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service import limits
from tests.processes import ROOT, Service, environment, running
from tests.robustness.conftest import Figure, calls
from tests.robustness.hammer import Call, hammering
from tests.service.conftest import parsed, raw, refused

SEED = b'{"seed": 7}'
UNFINISHED = (
    b"POST /v1/generate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n" + SEED[:1]
)
EACH = pytest.mark.parametrize("workers", [1, 2])


def probe(port: int) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}/readyz")


@contextlib.contextmanager
def unfinished(service: Service) -> Iterator[socket.socket]:
    """A request that was accepted and lacks its end."""
    with raw(service.port, UNFINISHED.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n")) as connection:
        go_on = b"HTTP/1.1 100 Continue\r\n\r\n"  # told when the guard asks for the body
        assert connection.recv(len(go_on), socket.MSG_WAITALL) == go_on
        yield connection


def finished(connection: socket.socket) -> None:
    connection.sendall(SEED[1:])
    answer = parsed(connection)
    assert (answer.status_code, answer.headers["x-seed"]) == (200, "7")


def gone(pids: list[int]) -> None:
    """Wait until no process has one of these ids."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            try:
                assert select.select([handle], [], [], 30)[0], f"process {pid} lives"
            finally:
                os.close(handle)


@EACH
def test_the_greeting_is_printed_once_and_tells_the_port_of_all(zoo: Path, tmp_path: Path, workers: int) -> None:
    with running(zoo, tmp_path, workers=str(workers), log_level="debug") as service:
        assert service.said.count("Harmonium: http://") == service.said.count("Models on cpu: ") == 1
        assert len(service.workers()) == (0 if workers == 1 else workers)
        answered: set[str] = set()
        while len(answered) < workers:  # the system chooses by the caller's port
            assert probe(service.port).json()["ready"]
            answered = {match[1] for match in service.until(r"service\.requests\[(\d+)\].*/readyz' -> 200")}
        assert answered <= {str(pid) for pid in service.workers() or [service.process.pid]}


def test_a_seed_draws_the_same_picture_in_every_process(zoo: Path, tmp_path: Path) -> None:
    with running(zoo, tmp_path, workers="2", log_level="debug") as service:
        answered: set[str] = set()
        pictures: set[bytes] = set()
        while len(answered) < 2:
            answer = httpx.post(f"http://127.0.0.1:{service.port}/v1/generate", json={"seed": 7})
            assert answer.status_code == 200
            pictures.add(answer.content)
            answered = {match[1] for match in service.until(r"service\.requests\[(\d+)\].*/v1/generate' -> 200")}
        assert len(pictures) == 1


@EACH
def test_nothing_accepted_is_lost_when_the_service_stops(
    zoo: Path, tmp_path: Path, workers: int, figure: Figure
) -> None:
    with running(zoo, tmp_path, workers=str(workers), queue_seconds="60") as service:
        with hammering(service.port, calls(service.port), clients=12) as hammer:
            hammer.more(40)
            signalled = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            hammer.wait()
        assert service.process.wait(30) == 0
        took = time.monotonic() - signalled
    summary = hammer.summary()
    assert set(summary) <= {"right", "draining", "refused", "lost", "asleep"}
    # A caller that uses an old connection at the moment at which the service closes it may find it closed.
    assert [outcome for outcome in hammer.outcomes if outcome.what == "lost" and outcome.fresh] == []
    assert [outcome for outcome in hammer.outcomes if outcome.what == "lost" and outcome.began < signalled] == []
    assert summary["refused"] == 12
    figure("requests of 12 clients", summary)
    figure("s from SIGTERM to the exit", round(took, 2))


@EACH
def test_calls_are_taken_while_the_service_leaves(zoo: Path, tmp_path: Path, workers: int) -> None:
    """A load balancer that asks /readyz has time to learn of it, and sends nobody to a closed door."""
    with running(zoo, tmp_path, workers=str(workers), leave_seconds="60") as service:
        assert probe(service.port).status_code == 200
        service.process.send_signal(signal.SIGTERM)
        service.until("leaving: calls are taken for 60 s more", times=workers)
        ready = probe(service.port)
        assert (ready.status_code, ready.json()["reasons"]) == (503, ["the service is stopping"])
        answer = httpx.post(f"http://127.0.0.1:{service.port}/v1/generate", json={"seed": 7})
        assert (answer.status_code, answer.headers["x-seed"]) == (200, "7")
        assert answer.headers["connection"] == "close"
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(30) == 0


@EACH
def test_the_service_ends_when_it_has_left(zoo: Path, tmp_path: Path, workers: int) -> None:
    with running(zoo, tmp_path, workers=str(workers), leave_seconds="3") as service:
        with hammering(service.port, calls(service.port), clients=4) as hammer:
            hammer.more(10)
            service.process.send_signal(signal.SIGTERM)
            service.until("leaving: ", times=workers)
            left = time.monotonic()
            hammer.wait()
        assert service.process.wait(30) == 0
    assert set(hammer.summary()) <= {"right", "draining", "refused", "lost", "asleep"}
    assert [outcome for outcome in hammer.outcomes if outcome.what == "right" and outcome.began > left]
    assert {outcome.what for outcome in hammer.outcomes if outcome.began < left} == {"right"}


def test_a_request_that_is_on_its_way_when_the_port_closes_gets_an_answer(zoo: Path, tmp_path: Path) -> None:
    whole = UNFINISHED + SEED[1:]
    with running(zoo, tmp_path) as service, raw(service.port, b"") as fresh, raw(service.port, whole[:20]) as begun:
        assert probe(service.port).status_code == 200  # answered after both were taken
        service.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(ConnectionRefusedError):
            while True:
                with contextlib.suppress(TimeoutError):
                    socket.create_connection(("127.0.0.1", service.port), 0.05).close()
        fresh.sendall(whole)
        begun.sendall(whole[20:])
        for connection in (fresh, begun):
            answer = parsed(connection)
            refused(answer, 503, "draining")
            assert answer.headers["connection"] == "close"
        assert service.process.wait(30) == 0


def test_a_killed_worker_takes_only_its_own_requests_with_it(zoo: Path, tmp_path: Path, figure: Figure) -> None:
    """Then the other one is told to stop, and loses none: the new one serves meanwhile."""
    with running(zoo, tmp_path, workers="2") as service:
        ready = probe(service.port)
        asked = [*calls(service.port), Call("GET", "/readyz", "", b"", ready.content)]
        with hammering(service.port, asked, clients=4) as hammer:
            hammer.more(40)
            victim, other = service.workers()
            killed = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            service.until(rf"worker {victim} was ended by SIGKILL")
            dead = time.monotonic()
            hammer.more(40)
            service.until(r"worker \d+ serves", times=3)
            back = time.monotonic()
            hammer.more(40)
        harmed = [outcome for outcome in hammer.outcomes if outcome.what != "right"]
        assert {outcome.what for outcome in harmed} <= {"lost", "cut"}
        assert all(outcome.began < dead and outcome.ended > killed for outcome in harmed)
        assert "right" in {outcome.what for outcome in hammer.outcomes if dead < outcome.began < back}
        figure("of 4 clients' requests lost with the worker", len(harmed))
        meanwhile = [
            outcome for outcome in hammer.outcomes if outcome.what == "right" and killed < outcome.ended < back
        ]
        figure("answered right meanwhile", len(meanwhile))
        figure("s until both served again", round(back - killed, 2))

        with hammering(service.port, calls(service.port), clients=4) as hammer:
            os.kill(other, signal.SIGTERM)
            service.until(rf"worker {other} ended with exit code 0")
            hammer.more(40)
        assert set(hammer.summary()) <= {"right", "draining", "lost"}
        assert [outcome for outcome in hammer.outcomes if outcome.what == "lost" and outcome.fresh] == []


def test_a_replaced_worker_shares_with_as_many_as_were_started(zoo: Path, tmp_path: Path) -> None:
    """Although it sees fewer processors: by them it would take the whole memory for its models."""
    count = limits.processors()
    if count < 2:
        pytest.skip("this process may use one processor only")
    with running(zoo, tmp_path, workers="0") as service:
        victim = service.workers()[0]
        os.sched_setaffinity(service.process.pid, {min(os.sched_getaffinity(0))})
        os.kill(victim, signal.SIGKILL)
        service.until(r"worker \d+ serves", times=count + 1)
        told = [Path(f"/proc/{pid}/environ").read_text().split("\0") for pid in service.workers()]
        assert [f"HARMONIUM_WORKERS={count}" in variables for variables in told] == [True] * count


def test_no_worker_outlives_the_parent_and_none_breaks_off(zoo: Path, tmp_path: Path, figure: Figure) -> None:
    with running(zoo, tmp_path, workers="2") as service:
        workers = service.workers()
        with unfinished(service) as connection:
            killed = time.monotonic()
            service.process.kill()
            service.until("stopping: ", times=2)
            finished(connection)
        gone(workers)
        figure("s from the parent's end to the last worker's", round(time.monotonic() - killed, 2))


@EACH
def test_an_interrupt_drains_and_a_second_one_ends_at_once(zoo: Path, tmp_path: Path, workers: int) -> None:
    """A terminal sends it to every process of its group."""
    with running(zoo, tmp_path, workers=str(workers)) as service, unfinished(service) as first:
        with unfinished(service):
            children = service.workers()
            os.killpg(service.process.pid, signal.SIGINT)
            service.until("stopping: ", times=workers)
            finished(first)
            os.killpg(service.process.pid, signal.SIGINT)
            assert service.process.wait(15) == 0  # the time to drain would be 20
        gone(children)
        assert "Traceback" not in service.said


@EACH
@pytest.mark.parametrize("shared", [False, True])
def test_a_port_in_use_ends_the_start_with_one_sentence(tmp_path: Path, workers: int, shared: bool) -> None:
    """Also if whoever is there would share it, as another service with several workers would."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        told = environment(tmp_path, HARMONIUM_PORT=str(port), HARMONIUM_WORKERS=str(workers))
        done = subprocess.run([sys.executable, "-m", "service"], env=told, timeout=60, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (f"Cannot listen on 127.0.0.1, port {port}: it is in use, HARMONIUM_PORT chooses another.\n")


def test_workers_that_cannot_start_end_the_parent(tmp_path: Path) -> None:
    """They lack a package here, which the parent does not import."""
    (tmp_path / "uvicorn.py").write_text("raise ImportError('uvicorn is broken')")
    told = environment(tmp_path, HARMONIUM_PORT="0", HARMONIUM_WORKERS="2")
    told["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{ROOT}"
    done = subprocess.run([sys.executable, "-m", "service"], env=told, timeout=60, capture_output=True, text=True)
    assert done.returncode == 1
    assert "ImportError: uvicorn is broken" in done.stderr
    assert done.stderr.count("giving up: the workers end before they serve") == 1
    assert 3 <= done.stderr.count("ended with exit code 1") <= 6
