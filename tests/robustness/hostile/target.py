"""The service that hostile requests are sent to, as a process of its own, and how to see that it is well."""

import contextlib
import http.client
import itertools
import json
import re
import select
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import NamedTuple

from tests.processes import Service, running
from tests.robustness.hostile.agreement import Answer
from tests.service.conftest import png

ALARM = re.compile(r"Traceback|\bERROR\b|\bCRITICAL\b|Warning:")
"""What the log of a healthy service never has, whatever it is sent."""
JSON = "application/json"
MOST_GROWTH = 96
"""MiB over what honest calls need, whatever is sent. JSON of 14 MB is held as body, text and picture."""


class Good(NamedTuple):
    """A call that must always be answered alike."""

    path: str
    kind: str
    body: bytes


GOOD = (
    Good("/v1/recommend", JSON, b'{"users": [{"liked": ["1196"]}, {"liked": ["260", "2"]}]}'),
    Good("/v1/denoise", "image/png", png(18, 22, 3)),
    Good("/v1/encode?reconstruct=true", "image/png", png(28, 28)),
    Good("/v1/generate", JSON, b'{"seed": 7, "class": 3, "count": 2}'),
)


class Target:
    """One connection to the service, which must outlive every refusal."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.url = f"http://127.0.0.1:{service.port}"
        self._connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        self._turns = itertools.cycle(GOOD)
        self._right = {good: self._ask(good) for good in GOOD}
        self._explained: set[str] = set()
        self.send("POST", "/v1/denoise", [("content-type", "image/png")], png(1000, 1000, 3))  # the most it may need
        self._peak = peak(service)

    def send(
        self, method: str, target: str, headers: Iterable[tuple[str, str | bytes]] = (), body: bytes | None = None
    ) -> Answer:
        """The answer, which must leave the connection open."""
        connection = self._connection
        if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
            connection.close()  # it was idle for too long, as some tests take their time
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            got = connection.getresponse()
            answer = Answer(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())
        except Exception:
            connection.close()  # or the next test would fail as well
            raise
        assert connection.sock is not None, f"{method} {target} ended the connection: {answer}"
        return answer

    def assert_well(self) -> None:
        """The next good call is answered as ever, and the log has nothing to report."""
        good = next(self._turns)
        assert self._ask(good) == self._right[good]
        assert not ALARM.search(self.service.said), self.service.said[-5000:]
        assert self.service.process.poll() is None

    def assert_explained(self, kind: str, title: str) -> None:
        """The type of a refusal answers, once for each, and begins with its title."""
        if kind not in self._explained:
            answer = self.send("GET", kind)
            assert (answer.status, answer.body.decode().startswith(title)) == (200, True)
            self._explained.add(kind)

    def close(self) -> None:
        self._connection.close()

    def assert_lean(self) -> None:
        """The most memory that was ever held is little more than honest calls need."""
        now, before = peak(self.service), self._peak
        if now - before > MOST_GROWTH:
            self._peak = now  # one test that fails is enough
        assert now - before <= MOST_GROWTH

    def _ask(self, good: Good) -> bytes:
        answer = self.send("POST", good.path, [("content-type", good.kind)], good.body)
        assert answer.status == 200, answer
        return answer.body


def peak(service: Service) -> int:
    """The most resident memory that the process ever had, in MiB; 0 where no system tells."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{service.process.pid}/status").read_text()
        if found := re.search(r"VmHWM:\s+(\d+) kB", status):
            return int(found[1]) // 1024
    return 0


@contextlib.contextmanager
def attacked(zoo: Path, home: Path) -> Generator[Target]:
    """A service whose largest picture has a million pixels: what hostile ones need more than that shows."""
    with running(zoo, home, max_pixels="1000000") as service:
        target = Target(service)
        with contextlib.closing(target):
            yield target


def problem(answer: Answer) -> str:
    """The name of the refusal that an answer is, or nothing."""
    return "" if answer.status == 200 else json.loads(answer.body)["type"].removeprefix("/problems/")
