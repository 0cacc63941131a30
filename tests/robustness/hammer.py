"""Clients that call again and again, each on its own connection, and keep what became of every request."""

import contextlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice

from service import listening
from service.protocol import LAST_CALL_SECONDS


@dataclass(frozen=True)
class Call:
    """A request and the body that a 200 must have."""

    method: str
    path: str
    kind: str
    body: bytes
    right: bytes


@dataclass(frozen=True)
class Outcome:
    """What became of one request."""

    call: Call
    began: float
    """Before it was sent, by `time.monotonic`."""
    ended: float
    """Once its answer was there, or would not come."""
    fresh: bool
    """Whether it was the first on its connection."""
    what: str
    """`right`, the name of a problem, or what went wrong: `refused`, `lost` (no byte came), `cut`, or in words.

    `asleep`: this client, on a crowded machine, sent nothing for so long after it had connected
    that a service which ends need not wait for it.
    """


class Hammer:
    """`clients` threads; what they kept is in `outcomes`."""

    def __init__(self, port: int, calls: Sequence[Call], clients: int) -> None:
        self._port, self._calls = port, calls
        self._changed = threading.Condition()
        self._stop = False
        self.outcomes: list[Outcome] = []
        self._threads = [threading.Thread(target=self._client, args=(number,)) for number in range(clients)]

    def until(self, enough: Callable[[Sequence[Outcome]], bool], seconds: float = 60) -> None:
        """Wait for outcomes."""
        with self._changed:
            assert self._changed.wait_for(lambda: enough(self.outcomes), seconds), self.summary()

    def more(self, answers: int) -> None:
        """Wait until that many more requests were answered right."""
        before = sum(outcome.what == "right" for outcome in self.outcomes)
        self.until(lambda outcomes: sum(outcome.what == "right" for outcome in outcomes) >= before + answers)

    def summary(self) -> dict[str, int]:
        """How often each thing happened."""
        return dict(Counter(outcome.what for outcome in list(self.outcomes)))

    def begin(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Finish what was begun."""
        self._stop = True
        self.wait()

    def wait(self) -> None:
        """Until every client has found the port closed, or `end`."""
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), self.summary()

    def _client(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        with contextlib.closing(connection):
            for call in islice(cycle(self._calls), number % len(self._calls), None):
                if self._stop:
                    return
                outcome = _call(connection, call)
                with self._changed:
                    self.outcomes.append(outcome)
                    self._changed.notify_all()
                if outcome.what == "refused":
                    return


@contextlib.contextmanager
def hammering(port: int, calls: Sequence[Call], clients: int) -> Generator[Hammer]:
    hammer = Hammer(port, calls, clients)
    hammer.begin()
    try:
        yield hammer
    finally:
        hammer.end()


def _call(connection: http.client.HTTPConnection, call: Call) -> Outcome:
    if connection.sock is not None and listening.queued(connection.sock):
        connection.close()  # the server has closed it since: every client looks before it uses a connection again
    fresh, began = connection.sock is None, time.monotonic()
    connected = sent = began
    try:
        if fresh:
            connection.connect()
            connected = time.monotonic()
        sent = time.monotonic()  # a closed connection may refuse to send
        connection.request(call.method, call.path, call.body, {"content-type": call.kind})
        sent = time.monotonic()
        answer = connection.getresponse()
    except ConnectionRefusedError:
        what = "refused"
    except (ConnectionError, http.client.BadStatusLine):
        what = "asleep" if fresh and sent - connected >= LAST_CALL_SECONDS else "lost"
    else:
        try:
            what = _judged(call, answer, answer.read())
        except (ConnectionError, http.client.HTTPException):
            what = "cut"
    if what in ("lost", "cut"):
        connection.close()
    return Outcome(call, began, time.monotonic(), fresh, what)


def _judged(call: Call, answer: http.client.HTTPResponse, body: bytes) -> str:
    if answer.status == 200:
        return "right" if body == call.right else f"wrong: {body[:200]!r}"
    if answer.status == 503 and answer.getheader("retry-after") == "1":
        return json.loads(body)["type"].removeprefix("/problems/")
    return f"{answer.status} {body[:200]!r}"
