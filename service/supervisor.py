"""The parent of several processes on one port: starts them, watches them, ends them, serves nothing itself.

Each worker listens on a socket of its own, over which the system spreads the connections. What a
dead worker had accepted is lost with it; new connections go to the others at once, and to the one
that takes its place when that has loaded its models.

Parent and worker share a pair of sockets. The worker reports through it; that the parent's end is
closed tells the worker to drain, and the system closes it however the parent ends.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from service import listening, metrics, signals
from service.metrics import Metrics, Shared
from service.settings import Settings, variable

log = logging.getLogger("service")

STEADY_SECONDS = 10
"""A worker that has served this long is replaced at once; one that dies sooner, after a delay."""
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
"""Seconds; the delay doubles with every early death in a row."""
MOST_DOUBLINGS = 10
"""More make no difference, and after some days of them no number either."""
FAILED_STARTS = 3
"""Starts in a row that one worker may fail while no other serves."""
SLACK_SECONDS = 5
"""What a worker may take beyond the time to drain before it is killed."""


class Worker:
    """A process, and the parent's end of its pair of sockets."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self.process, self._control = process, control

    @classmethod
    async def start(cls, shared: Shared, processes: int, sockets: list[socket.socket]) -> "Worker":
        """A worker on `sockets`, which become its own; one of `processes`, with which it shares memory and processors.

        Raises:
            OSError: the system has no room for it.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with contextlib.ExitStack() as ours_no_more:
            descriptors = [ours_no_more.enter_context(sock).fileno() for sock in (theirs, *sockets)]
            command = sys.executable, "-m", "service.worker", *map(str, (*shared, *descriptors))
            told = os.environ | {variable("workers"): str(processes)}
            # A group of its own: an interrupt from the terminal could come before the worker knows what to do with it.
            process = await asyncio.create_subprocess_exec(
                *command, env=told, pass_fds=descriptors, process_group=0, stdin=subprocess.DEVNULL
            )
        return cls(process, ours)

    async def report(self) -> str | None:
        """What it says when it is ready; None if it ends before."""
        said = b""
        while not said.endswith(b"\n"):
            try:
                part = await asyncio.get_running_loop().sock_recv(self._control, 65536)
            except ConnectionResetError:
                part = b""
            if not part:
                return None
            said += part
        return said.decode().strip()

    def drain(self) -> None:
        """Have it finish what it accepted and exit."""
        self._control.shutdown(socket.SHUT_RDWR)

    async def end(self) -> int:
        """Its exit code, or less than 0 for a signal, once it has ended."""
        code = await self.process.wait()
        self._control.close()
        return code


class Supervisor:
    """As many workers as the settings say, on the port that `claimed` holds; `folder` is for their metrics."""

    def __init__(self, settings: Settings, claimed: list[socket.socket], folder: Path) -> None:
        self._settings, self._port = settings, claimed
        self._places = [Shared(folder, place) for place in range(settings.processes)]
        self._metrics = Metrics(Shared(folder, settings.processes))  # its memory and time are the service's too
        self._metrics.ready.set(1)  # the least of all counts, and it is no worker that could be unready
        self._workers: set[Worker] = set()
        self._serving = 0
        self._greeted = False
        self._stopping = asyncio.Event()
        self._code = 0

    async def run(self) -> int:
        """Serve until a signal; the exit code."""
        signals.stop_by(self.stop)
        listening.reserve(self._port)
        first = [listening.share(self._port) for _ in range(self._settings.processes)]
        for sock in (sock for sockets in first for sock in sockets):
            sock.listen(listening.BACKLOG)  # from now on nobody is refused
        measuring = asyncio.get_running_loop().create_task(metrics.keep(self._metrics.measure_process))
        await asyncio.gather(*(self._keep(place, sockets) for place, sockets in zip(self._places, first, strict=True)))
        measuring.cancel()
        return self._code

    def stop(self) -> None:
        """Let the workers drain, then exit. The second time: exit at once."""
        if self._stopping.is_set():
            self._kill()
            return
        self._stopping.set()
        for worker in self._workers:
            worker.drain()
        patience = self._settings.leave_seconds + self._settings.drain_seconds + SLACK_SECONDS
        asyncio.get_running_loop().call_later(patience, self._kill)

    async def _keep(self, place: Shared, sockets: list[socket.socket] | None) -> None:
        """One worker after another in one place, the first on `sockets`."""
        early = 0
        while True:
            served = await self._one(place, sockets)
            if self._stopping.is_set():
                return
            early = 0 if served >= STEADY_SECONDS else early + 1
            if early >= FAILED_STARTS and not served and not self._serving:
                log.error("giving up: the workers end before they serve")
                self._code = 1
                self.stop()
                return
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(early - 1, MOST_DOUBLINGS)) if early else 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._stopping.wait()
            sockets = None

    async def _one(self, place: Shared, sockets: list[socket.socket] | None) -> float:
        """Seconds that one worker served."""
        try:
            worker = await Worker.start(place, self._settings.processes, sockets or listening.share(self._port))
        except OSError as error:
            log.error("cannot start a worker: %s", error)
            return 0
        self._workers.add(worker)
        if self._stopping.is_set():
            worker.drain()
        began = time.monotonic()
        report = await worker.report()
        if ready := report is not None:
            began = time.monotonic()
            self._serving += 1
            log.info("worker %d serves", worker.process.pid)
            self._greet(report)
        code = await worker.end()
        place.left()
        self._workers.discard(worker)
        self._serving -= ready
        if not self._stopping.is_set():
            log.error("worker %d %s", worker.process.pid, _ending(code))
        return time.monotonic() - began if ready else 0

    def _greet(self, models: str) -> None:
        if not self._greeted and self._serving == self._settings.processes:
            self._greeted = True
            print(f"Harmonium: {listening.greeting(self._port[0])}\n{models}", flush=True)

    def _kill(self) -> None:
        for worker in self._workers:
            with contextlib.suppress(ProcessLookupError):
                worker.process.kill()


def _ending(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
