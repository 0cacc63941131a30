"""How many calls may be in work at once."""

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Self

from service.problems import Overloaded

BURST, ROUNDS = 6, 4
"""Calls that are let in of any burst, or so many for each that can be worked on at a time."""
INSTANT = 0.02
"""Seconds. Calls that are all done in so short a time are not too many."""
CALM = 1.0
"""Seconds after which there is no longer too much to do; refused callers are told to wait as long."""
RECENT = 16
"""Calls by which the pace is known, and which share of them is refused."""
MOST = 0.5
"""Share of refusals below which they do not go on for their own sake."""


class Crowd:
    """The calls that wait for one another, as they need the event loop, or the threads for pictures.

    A burst of calls is let in, as many as are done in `seconds`. One call more, and more is asked than can be done:
    every caller at the end of a full queue would wait for all of it, for as long as that lasts. So from then on one
    call waits, and others are refused at once, until that has not been so, or not for most calls, for a second. Callers
    who wait for their answers before they ask again never bring it about, unless there are too many of them.
    """

    def __init__(
        self, at_once: int, seconds: float, *, threads: int = 0, now: Callable[[], float] = time.monotonic
    ) -> None:
        """`at_once` calls can be worked on at a time, or `threads` that need one each; `now` tells seconds."""
        self._at_once, self._threads, self._seconds, self._now = at_once, threads, seconds, now
        self.calls = 0
        self._in_threads = 0
        """How many of them need a thread for the time being, and have it or wait for it."""
        self._pace = 0.0
        """Seconds from the end of one call to the next, as long as there are any."""
        self._refused = 0.0
        """Share of refusals among calls that were refused or done."""
        self._last = self._calm = now()
        """When a call was done, or the first of those in work came; until when there is too much to do."""

    def enter(self) -> "Place":
        """One more call is in work, until it leaves its place.

        Raises:
            Overloaded: it is not.
        """
        now = self._now()
        on_loop, together, passed = self.calls - self._in_threads, self.calls * self._pace, now - self._last
        longer = passed > together  # than all of them should take: it tells more of a burst than calls before it do
        burst = max(BURST, ROUNDS * self._at_once)
        many = on_loop >= burst or self.calls >= max(burst, self._threads)
        waiting = on_loop > self._at_once or self.calls >= max(self._at_once + 1, self._threads)
        full = many and (self.calls * passed if longer else together) > self._seconds
        crowded = now < self._calm and waiting and together > INSTANT
        if full or crowded:
            self._refused += (1 - self._refused) / RECENT
            # Not where most are answered, nor for long calls of which none is done.
            if full or (self._refused > MOST and self._last >= self._calm - CALM):
                self._calm = now + CALM
            raise Overloaded("More calls come in than can be answered.", setting="HARMONIUM_QUEUE_SECONDS")
        self.add()
        return Place(self)

    def add(self) -> None:
        """One more is in work, whether or not it fits."""
        if not self.calls:
            self._last = self._now()
        self.calls += 1

    def remove(self, done: bool) -> None:
        """One is no longer in work; the pace is that of calls that were `done`."""
        self.calls -= 1
        if done:
            now = self._now()
            self._refused -= self._refused / RECENT
            self._pace += (now - self._last - self._pace) / RECENT
            self._last = now

    @contextmanager
    def in_thread(self) -> Generator[None]:
        """One of the calls needs a thread for as long as that."""
        self._in_threads += 1
        try:
            yield
        finally:
            self._in_threads -= 1


class Place:
    """That of one call in its crowd."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd: Crowd | None = crowd

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        self.leave(done=failed is None)

    def leave(self, *, done: bool = True) -> None:
        """The call needs it no more; once is enough."""
        if self._crowd:
            self._crowd.remove(done)
            self._crowd = None

    @contextmanager
    def outside(self) -> Generator[None]:
        """The call waits for its reader, and keeps nobody from being let in."""
        crowd = self._crowd
        if crowd:
            crowd.remove(done=False)
        try:
            yield
        finally:
            if crowd:
                crowd.add()

    def in_thread(self) -> AbstractContextManager[None]:
        """The call needs a thread, and nothing else, for as long as that."""
        return self._crowd.in_thread() if self._crowd else nullcontext()


PLACE: ContextVar[Place | None] = ContextVar("place", default=None)
"""That of the call at hand."""


def in_thread() -> AbstractContextManager[None]:
    """The call at hand needs a thread, and nothing else, for as long as that."""
    place = PLACE.get()
    return place.in_thread() if place else nullcontext()
