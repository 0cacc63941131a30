"""Threads for work on whole pictures, which must never run on the event loop."""

import asyncio
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from service.problems import Overloaded
from service.runtime.clock import Clock
from service.runtime.crowd import Crowd, in_thread
from service.runtime.turns import Threads, Turns

Result = TypeVar("Result")
SMALL = 1_000_000
"""Pixels of a job that is done in one go, in a second or two."""
LARGE_JOBS = 64
"""Large jobs that are in work at once. They wait for their pieces, which costs a thread each and no time."""


class Lane:
    """What is admitted of small jobs, or of large ones: so many pixels, running or waiting.

    A job alone may have more; one of none is always admitted.
    """

    def __init__(self, max_pixels: int, crowd: Crowd) -> None:
        """`crowd` is that of the calls which are nothing but such a job."""
        self._max_pixels, self.crowd = max_pixels, crowd
        self.pixels = 0

    def admit(self, pixels: int) -> None:
        """Count them.

        Raises:
            Overloaded: there is no room for them.
        """
        if pixels and self.pixels and self.pixels + pixels > self._max_pixels:
            raise Overloaded("Too many pixels are waiting.", setting="HARMONIUM_MAX_QUEUE_PIXELS")
        self.pixels += pixels

    def release(self, pixels: int) -> None:
        """They are done."""
        self.pixels -= pixels


class Pool:
    """Runs jobs in threads, small ones and large ones apart: no number of large ones keeps a small one waiting.

    A small job has one of `threads` threads to itself. Large ones are done piece by piece, by as many threads.
    """

    def __init__(self, threads: int, max_pixels: int, seconds: float) -> None:
        """`max_pixels` is what each of the two lanes admits, and a burst of calls is done in `seconds`."""
        self.small, self.large = Lane(max_pixels, Crowd(threads, seconds)), Lane(max_pixels, Crowd(1, seconds))
        self._small_jobs = ThreadPoolExecutor(threads, thread_name_prefix="picture")
        self._large_jobs = ThreadPoolExecutor(LARGE_JOBS, thread_name_prefix="large-picture")
        self._pieces = Threads(threads)

    async def run(self, job: Callable[[], Result], pixels: int, clock: Clock) -> Result:
        """The result of a job that is a single piece, and counts its own stages. See `run_in_turns`."""

        def begin(turns: Turns) -> Result:
            clock.check()
            return job()

        return await self._run(begin, self.small, pixels, clock)

    async def run_in_turns(self, job: Callable[[Turns], Result], pixels: int, clock: Clock) -> Result:
        """The result of a call that is one job, which does all its work in pieces.

        No piece is begun for a caller that has left, or after its deadline.

        Raises:
            Overloaded, Deadline: and whatever the job raised.
        """
        lane = self.small if pixels <= SMALL else self.large
        with lane.crowd.enter():
            return await self._run(job, lane, pixels, clock)

    async def _run(self, job: Callable[[Turns], Result], lane: Lane, pixels: int, clock: Clock) -> Result:
        loop = asyncio.get_running_loop()
        submitted = time.perf_counter()
        small = lane is self.small

        def begin() -> Result:
            clock.add("queue", time.perf_counter() - submitted)
            return job(Turns(clock, None if small else self._pieces))

        def release(_: "Future[Result]") -> None:
            loop.call_soon_threadsafe(lane.release, pixels)

        lane.admit(pixels)
        try:
            future = (self._small_jobs if small else self._large_jobs).submit(begin)
        except RuntimeError:  # the system has no thread left
            lane.release(pixels)
            raise
        # A thread goes on for a while after its caller was cancelled: the pixels are free when it ends, not before.
        future.add_done_callback(release)
        with in_thread():
            return await asyncio.wrap_future(future)

    @contextmanager
    def held(self, pixels: int) -> Generator[None]:
        """Count pixels that are collected outside of a job, which they may be given to as soon as the block ends.

        Raises:
            Overloaded.
        """
        self.small.admit(pixels)
        try:
            yield
        finally:
            self.small.release(pixels)

    def close(self) -> None:
        """Forget what waits, and wait for what runs: a large job ends with its piece in hand."""
        self._large_jobs.shutdown(wait=False, cancel_futures=True)
        self._pieces.close()
        self._small_jobs.shutdown(wait=True, cancel_futures=True)
        self._large_jobs.shutdown(wait=True)
