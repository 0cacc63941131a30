"""How many calls may be in work at once."""

import time
from collections.abc import Callable

from service.problems import Overloaded

BURST, ROUNDS, SHORT = 8, 4, 2
"""Calls that are let in of any burst, or so many for each that can be worked on at a time; the last: of too many."""
INSTANT = 0.02
"""Seconds. Calls that are all done in so short a time are not too many."""
CALM = 1.0
"""Seconds without a refusal after which there is no longer too much to do; refused callers are told to wait as long."""
RECENT = 16
"""Calls by which the pace is known."""


class Crowd:
    """The calls that wait for one another, as they need the event loop, or the threads for pictures.

    A burst of calls is let in, as many as are done in `seconds`. One call more, and more is asked than can be done:
    every caller at the end of a full queue would wait for all of it, for as long as that lasts. So the queue is kept
    short, and others are refused at once, until a second has passed without a refusal. Callers who wait for their
    answers before they ask again never bring that about, unless there are too many of them.
    """

    def __init__(self, at_once: int, seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        """`at_once` calls can be worked on at a time; `now` tells seconds."""
        self._at_once, self._seconds, self._now = at_once, seconds, now
        self.calls = 0
        self._pace = 0.0
        """Seconds from the end of one call to the next, as long as there are any."""
        self._last = self._calm = now()

    def enter(self) -> "Place":
        """One more call is in work, until it leaves its place.

        Raises:
            Overloaded: it is not.
        """
        now = self._now()
        # What has been in work for longer than others took tells more than they do.
        needed = self.calls * max(self._pace, now - self._last)
        burst, short = max(BURST, ROUNDS * self._at_once), SHORT * self._at_once
        full = self.calls >= burst and needed > self._seconds
        crowded = now < self._calm and self.calls >= short and needed > INSTANT
        if full or crowded:
            self._calm = now + CALM
            raise Overloaded("More calls come in than can be answered.", setting="HARMONIUM_QUEUE_SECONDS")
        if not self.calls:
            self._last = now
        self.calls += 1
        return Place(self)

    def done(self) -> None:
        """One of them is."""
        now = self._now()
        self._pace += (now - self._last - self._pace) / RECENT
        self._last = now


class Place:
    """That of one call in its crowd."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._inside = True

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """The call is done."""
        if self._inside:
            self.step_out()
            self._crowd.done()

    def step_out(self) -> None:
        """The call waits for its reader, and keeps nobody from being let in."""
        self._crowd.calls -= 1
        self._inside = False

    def step_in(self) -> None:
        """It is in work again."""
        self._crowd.calls += 1
        self._inside = True
