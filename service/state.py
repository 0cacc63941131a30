"""What one process owns, handed to whoever needs it."""

import asyncio

from service import limits, tracing
from service.keys import Keys
from service.metrics import Metrics, Shared
from service.runtime.crowd import Crowd
from service.runtime.library import Library
from service.runtime.pool import Pool
from service.settings import Settings

ON_THE_LOOP = {
    "/v1/recommend": "recommend",
    "/v1/encode": "encode",
    "/v1/generate": "generate",
    "/v2/models/{graph}/infer": "infer",
    "/v2/models/{graph}/versions/{number}/infer": "infer",
}
"""The queues of endpoints whose calls wait for the event loop. Those of /v1/denoise wait for a thread."""
MANY = 2**31
"""Calls: none is too many."""


class State:
    """Made before the loop runs: nothing is loaded yet, no thread is started but that which sends spans."""

    def __init__(self, settings: Settings, shared: Shared | None = None) -> None:
        """`shared` is where the processes of one port keep their metrics."""
        self.settings = settings
        self.metrics = Metrics(shared)
        self.keys = Keys(settings.keys_file)
        self.tracing = tracing.start()
        self.metrics.memory_limit.set(limits.memory() or 0)  # read once, as all that follows from it
        self.library = Library(settings, self.metrics, shared and shared.folder)
        threads = settings.denoise_threads or max(1, limits.processors() // settings.processes)
        self.pool = Pool(threads, settings.max_queue_pixels, settings.queue_seconds)
        self._crowds = {queue: Crowd(1, settings.queue_seconds, threads=threads) for queue in ON_THE_LOOP.values()}
        self._others = Crowd(MANY, settings.queue_seconds)
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

    def crowd(self, method: str, endpoint: str) -> Crowd:
        """The calls among which one of `endpoint` waits."""
        queue = ON_THE_LOOP.get(endpoint) if method == "POST" else None
        return self._crowds[queue] if queue else self._others

    def unready(self) -> list[str]:
        """Why calls cannot be answered; empty when they can."""
        going = ["the service is stopping"] if self.leaving or self.draining else []
        return going + self.library.unready()

    def measure(self) -> None:
        """Copy what is owned into the gauges; on the event loop."""
        metrics, settings = self.metrics, self.settings
        metrics.measure_process()
        metrics.ready.set(not self.unready())
        metrics.in_flight.set(self.in_flight)
        queues = self.library.queues() | {
            ("pictures", "pixels"): (self.pool.small.pixels, settings.max_queue_pixels),
            ("large pictures", "pixels"): (self.pool.large.pixels, settings.max_queue_pixels),
            ("bodies", "bytes"): (self.buffered_bytes, settings.max_buffered_bytes),
        }
        crowds = self._crowds | {"pictures": self.pool.small.crowd, "large pictures": self.pool.large.crowd}
        calls = {(queue, "calls"): crowd.calls for queue, crowd in crowds.items()}
        metrics.queue_depth.tell({queue: depth for queue, (depth, _) in queues.items()} | calls)
        metrics.queue_limit.tell({queue: limit for queue, (_, limit) in queues.items()})
        metrics.models.tell(dict.fromkeys(self.library.versions(), 1))
        metrics.device.tell({(settings.device, self.library.device()): 1})
