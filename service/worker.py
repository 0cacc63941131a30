"""`python -m service.worker FOLDER PLACE CONTROL SOCKET...`: one of several processes on a port.

FOLDER holds the metrics of all, PLACE is the number of this one among them. The other arguments are descriptors.
CONTROL is one end of a pair of sockets: the worker writes a line to it when it is ready, and drains when the other end
is closed, be it because the parent wants that or because there is no parent any more.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import sys
from collections.abc import Generator
from pathlib import Path

from service import logs, metrics, signals
from service import settings as configuration
from service.metrics import Shared
from service.server import Server
from service.settings import Settings


class Worker(Server):
    """A server that reports to its parent and ends with it."""

    def __init__(self, settings: Settings, shared: Shared, control: socket.socket) -> None:
        super().__init__(settings, shared)
        self._control = control

    def load(self) -> None:
        """Load the models before the loop runs."""
        library = self.state.library
        try:
            library.shelf = library.scan()
            library.scanned.set()
        except Exception:  # the service says that it is not ready, and tries again
            logging.getLogger("service").exception("cannot look at the model folders")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and let the other workers know the gauges."""
        await super().startup(sockets)
        self._measuring = asyncio.get_running_loop().create_task(metrics.keep(self.state.measure))

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Whoever signals every process of the service and not the parent alone means the same by it."""
        signals.stop_by(self.drain)
        asyncio.get_running_loop().add_reader(self._control, self._let_go)
        yield

    def greet(self, models: str) -> None:
        """Report to the parent, which speaks for all workers."""
        with contextlib.suppress(OSError):  # it is gone: `_let_go` follows
            self._control.sendall(models.encode() + b"\n")

    def _let_go(self) -> None:
        asyncio.get_running_loop().remove_reader(self._control)
        self.drain()


def main() -> None:
    """Serve on the sockets of the command line."""
    parent = os.getppid()
    settings = configuration.read()
    logs.begin(settings.log_level, settings.log_format)
    folder, place, *descriptors = sys.argv[1:]
    control, *sockets = (socket.socket(fileno=int(number)) for number in descriptors)
    worker = Worker(settings, Shared(Path(folder), int(place)), control)
    if not sockets[0].getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        worker.load()  # it takes a dead one's place, and others serve: it listens only once it can answer
    worker.run(sockets)
    if os.getppid() != parent:
        shutil.rmtree(folder, ignore_errors=True)  # the parent was killed


if __name__ == "__main__":
    main()
