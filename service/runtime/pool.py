"""Threads for work on whole pictures, which must never run on the event loop."""

import asyncio
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from service.problems import Overloaded
from service.runtime.clock import Clock
from service.runtime.turns import Turns

Result = TypeVar("Result")
SMALL = 1_000_000
"""Pixels of a job that is done in one go: a second or two, as long as a turn of a large one takes."""
LARGE_JOBS = 64
"""Large jobs that are in work at once. They wait for their turns, which costs a thread each and no time."""


class Pool:
    """Runs jobs in threads; the pixels of all jobs, running or waiting, stay under `max_pixels`.

    A job alone may have more; one of none is always admitted. Small jobs have `threads` threads of their own, so that
    no number of large ones keeps them waiting. Large ones are done piece by piece, by as many, in turns.
    """

    def __init__(self, threads: int, max_pixels: int) -> None:
        self._at_once = threads
        self._small = ThreadPoolExecutor(threads, thread_name_prefix="picture")
        self._large = ThreadPoolExecutor(LARGE_JOBS, thread_name_prefix="large-picture")
        self._pieces = ThreadPoolExecutor(threads, thread_name_prefix="piece")
        self._max_pixels = max_pixels
        self.pixels = 0

    async def run(self, job: Callable[[], Result], pixels: int, clock: Clock) -> Result:
        """The result of a job that is a single piece. See `run_in_turns`."""
        return await self.run_in_turns(lambda turns: turns.one(job), pixels, clock)

    async def run_in_turns(self, job: Callable[[Turns], Result], pixels: int, clock: Clock) -> Result:
        """The result of a job that does all its work in pieces.

        No piece is begun for a caller that has left, or after its deadline.

        Raises:
            Overloaded, Deadline: and whatever the job raised.
        """
        self._admit(pixels)
        loop = asyncio.get_running_loop()
        submitted = time.perf_counter()
        small = pixels <= SMALL
        turns = Turns(clock) if small else Turns(clock, self._pieces, self._at_once)

        def begin() -> Result:
            clock.add("queue", time.perf_counter() - submitted)
            return job(turns)

        def release(_: "Future[Result]") -> None:
            loop.call_soon_threadsafe(self._release, pixels)

        future = (self._small if small else self._large).submit(begin)
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
        """Forget what waits, and wait for the small jobs and the pieces that run; a large job ends with its piece."""
        for threads in (self._large, self._pieces, self._small):
            threads.shutdown(wait=threads is not self._large, cancel_futures=True)
