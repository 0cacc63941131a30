"""The connections of one process, under a limit: who waits makes room for who comes.

A connection waits while it has no request whose head is complete and whose answer is not given: it is idle between two
requests, has sent nothing yet, or half a head. Above the limit the one that has waited longest is closed, whosever it
is: who opens connections by the thousand keeps nobody out, though idle ones have to be opened again. Where every one
works, a newcomer is refused. Without a limit the system's on descriptors would be met, where a connection is dropped
without a word and no file can be opened either.
"""

import logging
import time
from itertools import islice
from typing import Protocol

from service import limits

log = logging.getLogger("service")

SPARE = 32
"""Connections above the limit that may be on their way out, until what they were sent is taken."""
FILES = 64
"""Descriptors that the process needs for all else."""
TELL_SECONDS = 60.0
"""Between two warnings."""


class Connection(Protocol):
    """What may be asked of a connection."""

    def make_room(self) -> bool:
        """Close, as it waits and others come; False if it has something to say after all."""
        ...

    def turn_away(self) -> None:
        """Refuse whatever it asks, and close."""
        ...


class Connections:
    """Those of one process, at most `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[Connection, None] = {}
        """The one that has waited longest first."""
        self._working: set[Connection] = set()
        self._leaving: set[Connection] = set()
        self._quiet_until = 0.0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._working) + len(self._leaving)

    def join(self, newcomer: Connection) -> None:
        """It waits for its first request, and another makes room for it if there are too many."""
        self._waiting[newcomer] = None
        if self._excess() <= 0:
            return
        self._warn()
        if self._may_leave():
            able = (one for one in self._waiting if one is not newcomer and one.make_room())
            for one in list(islice(able, 1)):
                del self._waiting[one]
                self._leaving.add(one)
        if self._excess() <= 0:
            return
        del self._waiting[newcomer]
        if self._may_leave():
            self._leaving.add(newcomer)
            newcomer.turn_away()
        else:  # without a word: there is no room for those either who take their time to hear it
            newcomer.make_room()

    def work(self, connection: Connection) -> None:
        """It has a request."""
        if connection in self._waiting:
            del self._waiting[connection]
            self._working.add(connection)

    def wait(self, connection: Connection) -> None:
        """It has its answer."""
        if connection in self._working:
            self._working.remove(connection)
            self._waiting[connection] = None

    def leave(self, connection: Connection) -> None:
        """It is closed."""
        self._waiting.pop(connection, None)
        self._working.discard(connection)
        self._leaving.discard(connection)

    def _may_leave(self) -> bool:
        return len(self._leaving) < SPARE

    def _excess(self) -> int:
        return len(self._waiting) + len(self._working) - self._most

    def _warn(self) -> None:
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + TELL_SECONDS
            told = "more than %d connections (HARMONIUM_MAX_CONNECTIONS): those that wait make room for those that come"
            log.warning(told, self._most)


def most(wanted: int) -> int:
    """How many there may be where `wanted` is the setting: fewer if the system allows too few descriptors."""
    needed = wanted + SPARE + FILES
    allowed = limits.descriptors(needed)
    if allowed >= needed:
        return wanted
    fewer = max(allowed // 2, allowed - SPARE - FILES)
    told = "HARMONIUM_MAX_CONNECTIONS is %d, but this process may have %d files open: %d connections at most"
    log.warning(told, wanted, allowed, fewer)
    return fewer
