"""How a job has its pieces of work done, so that no long one keeps the others waiting."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from typing import TypeVar

from service.runtime.clock import Clock

Result = TypeVar("Result")


class Turns:
    """One job's. Before every piece it is asked whether somebody still waits for the answer."""

    def __init__(self, clock: Clock, threads: Executor | None = None, at_once: int = 1) -> None:
        """Pieces are done in the thread of the job or, with `threads`, in those: at most `at_once` of them.

        Threads that take the pieces of several jobs in the order of their coming let each job have its turn.
        """
        self._clock, self._threads, self._at_once = clock, threads, at_once

    def one(self, piece: Callable[[], Result]) -> Result:
        """The piece's result.

        Raises:
            Deadline: nobody waits any more; and whatever the piece raised.
        """
        (result,) = self.all([piece])
        return result

    def all(self, pieces: Iterable[Callable[[], Result]]) -> Iterator[Result]:
        """The results in the order of the pieces. When one fails, those that have begun are waited for.

        Raises:
            Deadline: as above.
        """
        if self._threads is None:
            yield from map(self._done, pieces)
            return
        begun = deque[Future[Result]]()
        try:
            for piece in pieces:
                begun.append(self._threads.submit(self._done, piece))
                if len(begun) == self._at_once:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            wait([piece for piece in begun if not piece.cancel()])

    def _done(self, piece: Callable[[], Result]) -> Result:
        self._clock.check()
        return piece()
