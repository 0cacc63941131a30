"""Threads for work on whole pictures, which must never run on the event loop."""

import asyncio
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from service.problems import Overloaded
from service.runtime.clock import Clock

Result = TypeVar("Result")


class Pool:
    """Runs jobs in `threads` threads; the pixels of all jobs, running or waiting, stay under `max_pixels`.

    A job alone may have more; one of none is always admitted.
    """

    def __init__(self, threads: int, max_pixels: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="picture")
        self._max_pixels = max_pixels
        self.pixels = 0

    async def run(self, job: Callable[[], Result], pixels: int, clock: Clock) -> Result:
        """The job's result. A job whose caller has left, or whose deadline has passed, is not begun.

        Raises:
            Overloaded, Deadline: and whatever the job raised.
        """
        self._admit(pixels)
        loop = asyncio.get_running_loop()
        submitted = time.perf_counter()

        def begin() -> Result:
            clock.add("queue", time.perf_counter() - submitted)
            clock.check()
            return job()

        def release(_: "Future[Result]") -> None:
            loop.call_soon_threadsafe(self._release, pixels)

        future = self._threads.submit(begin)
        # A thread goes on for a while after its caller was cancelled: the pixels are free when it ends, not before.
        future.add_done_callback(release)
        return await asyncio.wrap_future(future)

    @contextmanager
    def held(self, pixels: int) -> Generator[None]:
        """Count pixels that are collected outside of a job, which they may be given to as soon as the block ends.

        Raises:
            Overloaded.
        """
        self._admit(pixels)
        try:
            yield
        finally:
            self._release(pixels)

    def _admit(self, pixels: int) -> None:
        if pixels and self.pixels and self.pixels + pixels > self._max_pixels:
            raise Overloaded("Too many pixels are waiting.", setting="HARMONIUM_MAX_QUEUE_PIXELS")
        self.pixels += pixels

    def _release(self, pixels: int) -> None:
        self.pixels -= pixels

    def close(self) -> None:
        """Forget the jobs that wait, and wait for those that run."""
        self._threads.shutdown(wait=True, cancel_futures=True)
