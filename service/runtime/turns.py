"""How a job has its pieces of work done: here and now, or by threads that take what is due first."""

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any, TypeVar

from service.runtime.clock import Clock

Result = TypeVar("Result")


class Threads:
    """Threads for pieces of several jobs: the piece with the next deadline comes first.

    So a small picture need not wait for a large one that has more time, and of several that are alike the first to
    come is the first to be done; if all had equal shares, all might be late.
    """

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="piece")
        self._lock = threading.Lock()
        self._waiting: list[tuple[float, int, Callable[[], Any], Future[Any]]] = []
        self._number = itertools.count()
        self.count = threads

    def submit(self, deadline: float, piece: Callable[[], Result]) -> Future[Result]:
        """The piece's future. `deadline` is in the time of `time.monotonic`."""
        future: Future[Result] = Future()
        with self._lock:
            heapq.heappush(self._waiting, (deadline, next(self._number), piece, future))
        self._threads.submit(self._take)
        return future

    def close(self) -> None:
        """Cancel what waits, and wait for what runs."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for *_, future in self._waiting:
            future.cancel()

    def _take(self) -> None:
        with self._lock:
            *_, piece, future = heapq.heappop(self._waiting)
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(piece())
        except BaseException as error:
            future.set_exception(error)


class Turns:
    """One job's. Before every piece it is asked whether somebody still waits for the answer."""

    def __init__(self, clock: Clock, threads: Threads | None = None) -> None:
        """Pieces are done in the thread of the job or, with `threads`, in all of those at once."""
        self._clock, self._threads = clock, threads

    def one(self, stage: str, piece: Callable[[], Result]) -> Result:
        """The piece's result; the time that it takes counts towards `stage`.

        Raises:
            Deadline: nobody waits any more; and whatever the piece raised.
        """
        (result,) = self.all(stage, [piece])
        return result

    def all(self, stage: str, pieces: Iterable[Callable[[], Result]]) -> Iterator[Result]:
        """The results in the order of the pieces. When one fails, those that have begun are waited for.

        Raises:
            Deadline: as above.
        """
        timed = (partial(self._done, stage, piece, time.perf_counter()) for piece in pieces)
        if self._threads is None:
            yield from (piece() for piece in timed)
            return
        begun = deque[Future[Result]]()
        try:
            for piece in timed:
                begun.append(self._threads.submit(self._clock.deadline, piece))
                if len(begun) > self._threads.count:  # one more than can run, so that no thread looks elsewhere
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            wait([piece for piece in begun if not piece.cancel()])

    def _done(self, stage: str, piece: Callable[[], Result], submitted: float) -> Result:
        self._clock.add("queue", time.perf_counter() - submitted)
        self._clock.check()
        with self._clock.stage(stage):
            return piece()
