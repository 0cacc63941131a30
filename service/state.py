"""What one process owns, handed to whoever needs it."""

import asyncio

from service.runtime.library import Library
from service.runtime.pool import Pool
from service.settings import Settings, cores


class State:
    """Made before the loop runs: nothing is loaded yet, no thread is started."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.library = Library(settings)
        threads = settings.denoise_threads or max(1, cores() // settings.processes)
        self.pool = Pool(threads, settings.max_queue_pixels)
        self.leaving = False
        """Set once, when the process has been told to stop."""
        self.draining = False
        """Set once, when it takes no more calls."""
        self.in_flight = 0
        """Requests that were accepted and are not answered yet."""
        self.buffered_bytes = 0
        """Of the bodies of requests in flight, as far as they came."""
        self.idle = asyncio.Event()
        """Set while no request is in flight."""
        self.idle.set()

    def begin(self) -> None:
        """A request was accepted."""
        self.in_flight += 1
        self.idle.clear()

    def end(self) -> None:
        """It was answered."""
        self.in_flight -= 1
        if self.in_flight == 0:
            self.idle.set()
