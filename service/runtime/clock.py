"""One request's time: until when it may run, and where the time went."""

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

from service.problems import Deadline


class Clock:
    """Shared by the loop and the thread that works for the request; a caller that left sets `left`."""

    def __init__(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds
        self.left = False
        self.spent: dict[str, float] = {}
        self._lock = threading.Lock()

    def extend(self, seconds: float) -> None:
        """Allow more time, for work that is found to be long."""
        self.deadline += seconds

    def late(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self.deadline

    def check(self) -> None:
        """Called between pieces of long work.

        Raises:
            Deadline: nobody waits for the answer any more.
        """
        if self.left or self.late():
            raise Deadline

    def add(self, stage: str, seconds: float) -> None:
        """Count time towards a stage of `Server-Timing`: that of all threads that work for the request."""
        with self._lock:
            self.spent[stage] = self.spent.get(stage, 0.0) + seconds

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Count the time of a block."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - start)

    def server_timing(self) -> str:
        """The header's value, in milliseconds."""
        spent = list(self.spent.items())  # at once: a thread may add a stage meanwhile
        return ", ".join(f"{stage};dur={1000 * seconds:.2f}" for stage, seconds in spent)
