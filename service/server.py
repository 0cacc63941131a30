"""uvicorn around the application: one process that serves until it is told to stop."""

import asyncio
import contextlib
import logging
import math
import os
import socket
import time
from collections.abc import Generator

import uvicorn

from service import connections, listening, signals
from service.app import create_app
from service.connections import Connections
from service.metrics import Shared
from service.protocol import Protocol
from service.settings import Settings
from service.state import State

log = logging.getLogger("service")


class Server(uvicorn.Server):
    """uvicorn, but told to stop by `stop`: its own way of ending on a signal is to die of it."""

    def __init__(self, settings: Settings, shared: Shared | None = None) -> None:
        self.state = State(settings, shared)
        self._draining: asyncio.Task[None] | None = None
        held = Connections(connections.most(settings.max_connections))
        super().__init__(
            uvicorn.Config(
                create_app(self.state),
                loop="uvloop",
                http=Protocol.limited(settings.head_seconds, settings.stall_seconds, held),
                timeout_keep_alive=settings.idle_seconds,
                backlog=listening.BACKLOG,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are handled by `stop`."""
        signals.stop_by(self.stop)
        yield

    def stop(self) -> None:
        """Drain, then exit. The second time: exit at once."""
        if self._draining is not None:
            log.warning("stopping at once: %d requests are dropped", self.state.in_flight)
            logging.shutdown()
            os._exit(0)  # a thread that works on a picture would be waited for
        self.drain()

    def drain(self) -> None:
        """Say that the service goes, take no more work, finish what was accepted, exit. Once begun, it goes its way."""
        if self._draining is None:
            self.state.leaving = True
            self.state.draining = not self.state.settings.leave_seconds
            self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        """Wait for what was accepted. Meanwhile the port stays open, so that probes see the service go."""
        if not self.state.draining:
            log.info("leaving: calls are taken for %g s more", self.state.settings.leave_seconds)
            await asyncio.sleep(self.state.settings.leave_seconds)
            self.state.draining = True
        log.info("stopping: %d requests in flight", self.state.in_flight)
        end = time.monotonic() + self.state.settings.drain_seconds
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.state.settings.drain_seconds):
                await self.state.idle.wait()
        # An answer that was given may still be on its way to a slow reader: uvicorn waits for it this long.
        self.config.timeout_graceful_shutdown = max(1, math.ceil(end - time.monotonic()))
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where once the models are there."""
        await super().startup(sockets)
        self._greeting = asyncio.get_running_loop().create_task(self._greet())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the port once the connections that the system has accepted were taken, then end."""
        for sock in sockets or ():
            listening.refuse_more(sock)
        with contextlib.suppress(TimeoutError):  # a process that has no descriptor left cannot take them
            async with asyncio.timeout(1):
                while any(listening.queued(sock) for sock in sockets or ()):  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0)
        await asyncio.sleep(0)  # the last one taken learns of it in the loop's next turn
        await super().shutdown(sockets)

    def greet(self, models: str) -> None:
        """Say where the service is and what it has."""
        print(f"Harmonium: {listening.greeting(self.servers[0].sockets[0])}\n{models}", flush=True)

    async def _greet(self) -> None:
        await self.state.library.scanned.wait()
        shelf = self.state.library.shelf
        loaded = [f"{name} {max(versions)}" for name in shelf.names() if (versions := shelf.loaded(name))]
        self.greet(f"Models on {self.state.library.device()}: {', '.join(loaded) or 'none'}")
