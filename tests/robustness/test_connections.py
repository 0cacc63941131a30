"""More connections than anybody needs: idle by the thousand, above the limit, and above what the system allows."""

import contextlib
import os
import resource
import select
import socket
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.connections import FILES, SPARE
from tests.processes import Service, running
from tests.robustness.conftest import Figure, calls
from tests.robustness.hammer import Hammer, hammering
from tests.service.conftest import parsed, raw

MANY = 10_000
HALF_A_HEAD = b"GET /livez HTTP/1.1\r\nhost: a\r\nx-slow: "
BEGUN = (
    b"POST /v1/generate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    b"content-length: 2\r\nexpect: 100-continue\r\n\r\n"
)
OWN_FILES = 300
"""Descriptors that the process of the tests needs beside its connections."""
PATIENCE = 10.0
"""Seconds that a head may take: the default."""
CROWDED = "those that wait make room"


@pytest.fixture
def room() -> Iterator[int]:
    """Connections that the system lets a process hold."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(MANY + OWN_FILES, hard) if hard != resource.RLIM_INFINITY else MANY + OWN_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    yield most - OWN_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Idle:
    """Connections on which nothing goes on, every second one with half a head; when each was opened and closed."""

    def __init__(self, port: int, count: int) -> None:
        self._poll = select.epoll()
        self._open: dict[int, tuple[socket.socket, float, int]] = {}
        self._count = 0
        self.ages: list[float] = []
        """Seconds that those that are closed were open."""
        self.last_words: set[bytes] = set()
        """What they were answered: its first line."""
        self._port = port
        self.more(count)

    def __len__(self) -> int:
        return len(self._open)

    @property
    def numbers(self) -> list[int]:
        """Of those that are open, in the order in which they were opened."""
        return [number for _, _, number in self._open.values()]

    def more(self, count: int) -> None:
        """Open further ones."""
        for number in range(self._count, self._count + count):
            connection = raw(self._port, HALF_A_HEAD if number % 2 else b"")
            self._open[connection.fileno()] = connection, time.monotonic(), number
            self._poll.register(connection, select.EPOLLIN)
            self.look(0)
        self._count += count

    def look(self, seconds: float) -> None:
        """Note those that were closed."""
        for descriptor, _ in self._poll.poll(seconds):
            connection, opened, _ = self._open.pop(descriptor)
            self._poll.unregister(descriptor)
            self.ages.append(time.monotonic() - opened)
            with connection, contextlib.suppress(ConnectionResetError):
                answer = connection.recv(4096)
                assert connection.recv(1) == b""
                self.last_words.add(answer.partition(b"\r\n")[0])

    def close(self) -> None:
        for connection, _, _ in self._open.values():
            connection.close()
        self._poll.close()


@contextlib.contextmanager
def idling(port: int, count: int) -> Iterator[Idle]:
    with contextlib.closing(Idle(port, count)) as idle:
        yield idle


def memory(service: Service) -> float:
    """Resident, in MB."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


def taken(service: Service) -> int:
    """Descriptors that the process has open."""
    return len(list(Path(f"/proc/{service.process.pid}/fd").iterdir()))


def processor_seconds(pid: int) -> float:
    """That the process has spent."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def milliseconds(hammer: Hammer) -> float:
    """The median of all calls."""
    return round(1000 * statistics.median(outcome.ended - outcome.began for outcome in hammer.outcomes), 1)


def test_ten_thousand_idle_connections_hinder_nobody(zoo: Path, tmp_path: Path, room: int, figure: Figure) -> None:
    """They are closed when their time is over and not before, however many there are."""
    count = min(MANY, room)
    limits = {"max_connections": str(MANY + 100), "head_seconds": str(PATIENCE)}
    with running(zoo, tmp_path, **limits) as service:
        asked = calls(service.port)
        with hammering(service.port, asked, clients=2) as alone:
            alone.more(40)
        before, files = memory(service), taken(service)
        with idling(service.port, count) as idle:
            with hammering(service.port, asked, clients=2) as beside:
                beside.more(40)
                idle.look(0)
                held, grown = len(idle), memory(service) - before
            assert set(beside.summary()) == {"right"}
            while idle:
                idle.look(5)
        assert min(idle.ages) > PATIENCE - 0.01
        assert idle.last_words == {b"", b"HTTP/1.1 408 Request Timeout"}
        end = time.monotonic() + 10
        while taken(service) > files + 2:
            assert time.monotonic() < end
        assert CROWDED not in service.said
    figure("connections, of which the system allows", (count, room))
    figure("open at a time", held)
    figure("MB for a thousand of them", round(1000 * grown / held, 1))
    figure("ms of a call without them and beside them", (milliseconds(alone), milliseconds(beside)))
    figure("s that one was open", (round(min(idle.ages), 2), round(max(idle.ages), 2)))
    assert grown < 0.03 * held


def test_who_waits_longest_makes_room(zoo: Path, tmp_path: Path) -> None:
    """However many come each caller is answered, and a request that has begun is not dropped."""
    with running(zoo, tmp_path, max_connections="50", head_seconds="60") as service:
        url = f"http://127.0.0.1:{service.port}/v1/generate"
        with raw(service.port, BEGUN) as works, idling(service.port, 0) as idle:
            assert works.recv(100).startswith(b"HTTP/1.1 100 ")
            for _ in range(20):
                idle.more(50)
                assert httpx.post(url, json={}).status_code == 200
                assert taken(service) < 50 + SPARE + FILES
            while len(idle) >= 50:
                idle.look(5)
            assert idle.numbers == list(range(1000 - len(idle), 1000))
            works.sendall(b"{}")
            assert parsed(works).status_code == 200
        assert idle.last_words == {b"", b"HTTP/1.1 503 Service Unavailable"}
        assert len(service.until(CROWDED)) == 1


def test_where_every_connection_works_a_new_one_is_refused(zoo: Path, tmp_path: Path) -> None:
    with running(zoo, tmp_path, max_connections="3") as service, contextlib.ExitStack() as opened:
        working = [opened.enter_context(raw(service.port, BEGUN)) for _ in range(3)]
        for connection in working:
            assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        for _ in range(5):
            answer = httpx.get(f"http://127.0.0.1:{service.port}/livez")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.headers["connection"] == "close"
            assert answer.text == "There are too many connections."
        working[0].sendall(b"{}")
        assert parsed(working[0]).status_code == 200
        assert httpx.get(f"http://127.0.0.1:{service.port}/livez").status_code == 200
        assert working[0].recv(1) == b""  # it waited, and made room


def test_fewer_connections_are_taken_than_the_system_allows_descriptors(zoo: Path, tmp_path: Path) -> None:
    """So that none is dropped without a word, and files can be opened."""
    with running(zoo, tmp_path, most_files=200, scan_seconds="0.01") as service:
        service.until("this process may have 200 files open: 104 connections at most")
        with idling(service.port, 1000) as idle:
            for _ in range(20):
                assert httpx.get(f"http://127.0.0.1:{service.port}/readyz").status_code == 200
            while len(idle) > 104:
                idle.look(5)
        assert "Too many open files" not in service.said


def test_descriptors_are_raised_to_what_the_setting_needs(zoo: Path, tmp_path: Path, room: int) -> None:
    """The soft limit is 1024 on most systems."""
    if room < 2000:
        pytest.skip("the system allows too few descriptors")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with running(zoo, tmp_path, max_connections="1200") as service:
            assert resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE)[0] >= 1200
            assert "files open" not in service.said
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_process_out_of_descriptors_waits_and_serves_again(zoo: Path, tmp_path: Path, figure: Figure) -> None:
    """Where they are taken from it while it runs: it neither turns in circles nor fills the log."""
    with running(zoo, tmp_path, head_seconds="3", scan_seconds="0.05") as service:
        pid, url = service.process.pid, f"http://127.0.0.1:{service.port}/v1/generate"
        with idling(service.port, 500) as idle:
            assert httpx.post(url, json={}).status_code == 200
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (100, 100))
            service.until("cannot look at the model folders")
            spent, began = processor_seconds(pid), time.monotonic()
            dropped = 0
            for _ in range(50):
                with raw(service.port, b"") as late, contextlib.suppress(ConnectionResetError):
                    dropped += late.recv(1) == b""
            while idle:
                idle.look(5)
            share = (processor_seconds(pid) - spent) / (time.monotonic() - began)
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(httpx.TransportError):
                assert httpx.post(url, json={}).status_code == 200
                break
            assert time.monotonic() < end
        assert service.said.count("cannot look at the model folders") == 1
        assert share < 0.5
    figure("of 50 callers turned away meanwhile", dropped)
    figure("of a processor taken meanwhile", round(share, 2))
