"""The body of a request as it comes: under limits of size, of time, and of what all requests hold together."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from starlette.types import Receive

from service.problems import BodyTooLarge, BodyTooSlow, Overloaded
from service.state import State


class CallerLeft(Exception):
    """The connection is closed; there is nobody to answer."""


class Body:
    """One request's. Its bytes count towards `buffered_bytes` until `release`."""

    def __init__(self, receive: Receive, state: State) -> None:
        self._receive, self._state = receive, state
        self._end = asyncio.get_running_loop().time() + state.settings.body_seconds
        self._held = 0
        self.complete = False
        """Whether all of it has come."""

    async def collect(self, declared: bytes) -> bytes:
        """The whole body; its bytes are counted as they come, whatever Content-Length (`declared`) says.

        Raises:
            BodyTooLarge, BodyTooSlow, Overloaded, CallerLeft.
        """
        limit = self._state.settings.max_body_bytes
        if declared.isdigit() and int(declared) > limit:
            raise self._too_large()
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout_at(self._end):
                while not self.complete:
                    chunk = await self._next()
                    size += len(chunk)
                    if size > limit:
                        raise self._too_large()
                    self._hold(len(chunk), size)
                    chunks.append(chunk)
        except TimeoutError:
            seconds = self._state.settings.body_seconds
            detail = f"The body did not arrive within {seconds:g} seconds."
            raise BodyTooSlow(detail, setting="HARMONIUM_BODY_SECONDS") from None
        return b"".join(chunks)

    def modest(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether it comes unasked and says that it has no more bytes than it may."""
        if headers.keys() & {b"expect", b"transfer-encoding"}:
            return False
        declared = headers.get(b"content-length", b"0")
        return declared.isdigit() and int(declared) <= self._state.settings.max_body_bytes

    async def discard(self) -> None:
        """Read the rest of it for as long as it may take."""
        with suppress(TimeoutError, CallerLeft, asyncio.CancelledError):  # the last: the process ends
            async with asyncio.timeout_at(self._end):
                while not self.complete:
                    await self._next()

    def release(self) -> None:
        """It is needed no more."""
        self._state.buffered_bytes -= self._held
        self._held = 0

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise CallerLeft
        self.complete = not message.get("more_body", False)
        return message.get("body", b"")

    def _hold(self, more: int, size: int) -> None:
        """Count `more` bytes of a body that now has `size`. A body alone is held: its size was checked before."""
        total = self._state.buffered_bytes + more
        if total > max(size, self._state.settings.max_buffered_bytes):
            raise Overloaded("Too many bytes of bodies are held.", setting="HARMONIUM_MAX_BUFFERED_BYTES")
        self._state.buffered_bytes = total
        self._held += more

    def _too_large(self) -> BodyTooLarge:
        limit = self._state.settings.max_body_bytes
        return BodyTooLarge(f"The body has more than {limit} bytes.", setting="HARMONIUM_MAX_BODY_BYTES")
