"""`python -m service`: one process that serves until it is told to stop."""

import asyncio
import contextlib
import logging
import math
import signal
import socket
import sys
import time
from collections.abc import Generator

import uvicorn

from service import settings as configuration
from service.app import create_app
from service.protocol import Protocol
from service.settings import Settings
from service.state import State

log = logging.getLogger("service")


class Server(uvicorn.Server):
    """uvicorn, but told to stop by `stop`: its own way of ending on a signal is to die of it."""

    def __init__(self, settings: Settings) -> None:
        self.state = State(settings)
        self._stopping: asyncio.Task[None] | None = None
        super().__init__(
            uvicorn.Config(
                create_app(self.state),
                host=settings.host,
                port=settings.port,
                loop="uvloop",
                http=Protocol,
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are handled by `stop`."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        yield

    def stop(self) -> None:
        """Drain, then exit. The second time: exit at once."""
        if self._stopping is not None:
            self.force_exit = True
            self.should_exit = True
            return
        self.state.draining = True
        self._stopping = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        """Wait for what was accepted. Meanwhile the port stays open, so that probes see the service go."""
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

    async def _greet(self) -> None:
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        await self.state.library.scanned.wait()
        shelf = self.state.library.shelf
        loaded = [f"{name} {max(versions)}" for name in shelf.names() if (versions := shelf.loaded(name))]
        address = f"[{host}]" if ":" in host else host
        print(f"Harmonium: http://{address}:{port}/docs", flush=True)
        print(f"Models on {self.state.library.device()}: {', '.join(loaded) or 'none'}", flush=True)


def main() -> int:
    """Serve; the exit code is 0 after a signal and 2 for a wrong setting."""
    try:
        settings = configuration.read()
    except configuration.WrongSetting as error:
        print(error, file=sys.stderr)
        return 2
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("PIL").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    Server(settings).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
