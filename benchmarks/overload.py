"""`python -m benchmarks.overload`: ten times the calls that the service can answer, for a minute, each kind of call.

What it can answer is measured first: alone, one call after the other, and at full load, as many at once as there are
callers. Then calls are sent at a fixed rate, whether or not those before are answered, each on a connection that is
free. Of the processors the service has one half and the caller the other (Linux). Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.served import Served, serving
from service.runtime.crowd import BURST

CALLERS = BURST
"""As many as are all let in."""
ALONE = 200
"""Calls one after the other."""
FULL_SECONDS = 5.0
MOST_CONNECTIONS = 5000


@dataclass(frozen=True)
class Ask:
    """One kind of call."""

    name: str
    path: str
    kind: str
    body: bytes

    def to_bytes(self) -> bytes:
        """The whole request."""
        head = f"POST {self.path} HTTP/1.1\r\nHost: a\r\nContent-Type: {self.kind}\r\nContent-Length: {len(self.body)}"
        return head.encode() + b"\r\n\r\n" + self.body


@dataclass
class Found:
    """Seconds of every answer, by status; 0 is a connection that broke."""

    seconds: dict[int, list[float]] = field(default_factory=dict[int, list[float]])

    def add(self, status: int, seconds: float) -> None:
        self.seconds.setdefault(status, []).append(seconds)

    def percentile(self, status: int, share: float) -> float:
        return float(np.percentile(self.seconds.get(status, [float("nan")]), share))


class Connections:
    """Those that are free are used again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, request: bytes) -> int:
        """The status of the answer, once all of it is there."""
        try:
            reader, writer = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            (length,) = [int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")]
            await reader.readexactly(length)
        except (OSError, EOFError, ValueError):
            return 0
        if b"connection: close" not in lines:
            self._free.append((reader, writer))
        return int(head.split(b" ", 2)[1])


def asks(service: Served) -> list[Ask]:
    """Calls of some weight: with lighter ones the caller would be measured."""
    draw = np.random.default_rng(0)
    items = service.catalogue("movies-rbm")
    users = [{"liked": draw.choice(items, 20, replace=False).tolist()} for _ in range(32)]

    def png(pixels: Any) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()

    digit = base64.b64encode(png(draw.integers(0, 256, (28, 28), np.uint8))).decode()

    def of_json(value: Any) -> bytes:
        return json.dumps(value).encode()

    kind = "application/json"
    return [
        Ask("recommend, 32 users", "/v1/recommend", kind, of_json({"users": users})),
        Ask("encode, 64 pictures", "/v1/encode", kind, of_json({"images": [digit] * 64})),
        Ask("generate, 64 pictures", "/v1/generate", kind, of_json({"seed": 1, "count": 64})),
        Ask("denoise, 256 x 256", "/v1/denoise", "image/png", png(draw.integers(0, 256, (256, 256, 3), np.uint8))),
    ]


async def alone(connections: Connections, request: bytes) -> Found:
    """One after the other."""
    found = Found()
    for _ in range(ALONE):
        begun = time.perf_counter()
        found.add(await connections.ask(request), time.perf_counter() - begun)
    return found


async def full(connections: Connections, request: bytes) -> float:
    """Answers a second to callers that each wait for theirs."""
    end, answered = time.perf_counter() + FULL_SECONDS, 0

    async def caller() -> None:
        nonlocal answered
        while time.perf_counter() < end:
            status = await connections.ask(request)
            if status != 200:
                raise RuntimeError(f"a call was answered with {status} before there were too many")
            answered += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return answered / FULL_SECONDS


async def over(connections: Connections, request: bytes, rate: float, seconds: float) -> tuple[Found, int]:
    """Calls at a fixed rate; how many were not sent, because too many were open."""
    found, missed, tasks = Found(), 0, set[asyncio.Task[None]]()

    async def caller() -> None:
        begun = time.perf_counter()
        found.add(await connections.ask(request), time.perf_counter() - begun)

    begun, sent = time.perf_counter(), 0
    while (passed := time.perf_counter() - begun) < seconds:
        while sent < passed * rate:
            sent += 1
            if len(tasks) >= MOST_CONNECTIONS:
                missed += 1
                continue
            task = asyncio.create_task(caller())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    return found, missed


async def measure(service: Served, ask: Ask, times: float, seconds: float, show: Callable[[str], None]) -> None:
    connections, request = Connections(service.port), ask.to_bytes()
    calm = await alone(connections, request)
    rate = await full(connections, request)
    before = service.resident()
    found, missed = await over(connections, request, times * rate, seconds)
    after = service.resident()
    answered = len(found.seconds.get(200, [])) / seconds
    p99, unloaded = found.percentile(200, 99), calm.percentile(200, 99)
    others = Counter({status: len(spent) for status, spent in found.seconds.items() if status not in (200, 503)})
    cells = [
        ask.name,
        f"{rate:.0f}",
        f"{answered:.0f}",
        f"{1000 * unloaded:.0f}",
        f"{1000 * p99:.0f}",
        f"{p99 / unloaded:.1f}",
        f"{len(found.seconds.get(503, [])) / seconds:.0f}",
        f"{1000 * found.percentile(503, 99):.0f}",
        f"{before:.0f} to {after:.0f}",
        ", ".join(f"{number} x {status or 'broken'}" for status, number in others.items()) or "none",
        str(missed),
    ]
    show(f"| {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overload", description=__doc__)
    parser.add_argument("--times", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--only", default="", help="calls whose name holds this")
    options = parser.parse_args()
    columns = (
        *("call", "answers/s, full", "answers/s, over", "p99 alone, ms", "p99 over, ms", "ratio"),
        *("refused/s", "p99 of these, ms", "MB before and after", "others", "not sent"),
    )
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    processors = sorted(os.sched_getaffinity(0))
    half = (len(processors) + 1) // 2
    os.sched_setaffinity(0, processors[:half])
    with serving(deadline_seconds=30) as service:
        os.sched_setaffinity(0, processors[half:] or processors)
        for ask in asks(service):
            if options.only in ask.name:
                asyncio.run(measure(service, ask, options.times, options.seconds, lambda line: print(line, flush=True)))


if __name__ == "__main__":
    main()
