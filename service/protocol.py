"""uvicorn's HTTP/1.1 with limits that it lacks: on the head of a request, and on callers that wait. And whole answers.

httptools collects a request line, headers, trailers or the extension of a chunk of any
length before it tells anyone. uvicorn waits for ever for the rest of a head, and for a caller
that does not read its answer. What is refused here was no request yet, so the answers are
plain text.
"""

import asyncio
import socket
import struct
import sys
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service import listening
from service.connections import Connections

MOST_BYTES = 65_536
"""In the head of one request, trailers included."""
LAST_CALL_SECONDS = 1.0
"""At the end of the process: for the head of a request that may be on its way."""

CROWDED = "There are too many connections."


class HeadTooLarge(Exception):
    """Raised in a callback of the parser, which passes it on as an error of its own."""


class Joined:
    """A transport that sends the head of an answer together with the beginning of its body.

    uvicorn writes one after the other. Of a process that is killed in between, a caller would have half
    an answer, which no proxy can mend; without a byte of it, the call goes to another replica.
    """

    def __init__(
        self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, closing: Callable[[], None]
    ) -> None:
        """`closing` is called when it is closed and what was written may not be sent."""
        self._transport, self._loop, self._closing = transport, loop, closing
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send `data` with what is written next, or at the end of the loop's turn."""
        if self._transport.is_closing():  # the caller left while its answer was made
            self._held = b""
        elif self._held:
            self._transport.writelines((self._held, data))
            self._held = b""
        elif data:
            self._held = data
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        """Close once everything was sent."""
        self._flush()
        self._transport.close()
        self._closing()

    def _flush(self) -> None:
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._transport.write(held)


class Protocol(HttpToolsProtocol):
    """One connection. What is above a limit is answered with 431 or 408, and the connection is closed."""

    head_seconds = 10.0
    """For a request's head to arrive, from its first byte or from the connection's beginning."""
    stall_seconds = 30.0
    """In which a caller must take something of an answer that waits for it."""

    held = Connections(sys.maxsize)
    """All connections of the process."""

    _head = 0
    """Bytes of the request's head that the parser has told of."""
    _silent = 0
    """Bytes that came since the parser last told of a body, or of the end of a head or a request."""
    _in_head = False
    """Whether a head has begun and not ended."""
    _deaf = False
    """Set once what comes is no HTTP: it is not looked at."""
    _last = False
    """Set once the process ends: the next answer is the connection's last."""
    _head_timer: asyncio.TimerHandle | None = None
    """Runs while a head is waited for."""
    _stall_timer: asyncio.TimerHandle | None = None
    """Runs while an answer waits to be taken."""

    @classmethod
    def limited(cls, head_seconds: float, stall_seconds: float, held: Connections) -> "type[Protocol]":
        """The protocol with these limits: uvicorn makes its instances and passes them nothing of ours."""
        return type(cls.__name__, (cls,), {"head_seconds": head_seconds, "stall_seconds": stall_seconds, "held": held})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The first head is waited for from now on."""
        super().connection_made(cast(asyncio.Transport, Joined(transport, self.loop, self._expect_last_read)))
        self._wait_for_head(self.head_seconds)
        self.held.join(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self.held.leave(self)
        self._stop_waiting()
        self._stop_expecting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what the parser may keep to itself."""
        if self._deaf:
            return
        self._silent += len(data)
        super().data_received(data)
        if self._silent > MOST_BYTES:
            self._refuse(431, f"The headers have more than {MOST_BYTES} bytes.")
        if self._head_timer is None and self._answered():
            self._wait_for_head(self.head_seconds)  # for the rest of it

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: the request is answered as if it asked for none, and whoever likes could fill the log."""

    def on_message_begin(self) -> None:
        """A head begins."""
        self._head = 0
        self._in_head = True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """May come in parts."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of the head, or of the trailers."""
        self._count(len(name) + len(value) + len(b": \r\n"))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head was within the limits."""
        self._silent = 0
        self._in_head = False
        self._stop_waiting()
        self.held.work(self)
        super().on_headers_complete()
        if self._last:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """The guard counts these bytes."""
        self._silent = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request was within the limit."""
        self._silent = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The next head may have begun already."""
        super().on_response_complete()
        if self._answered():
            self.held.wait(self)
        if self._in_head and self._answered() and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._wait_for_head(self.head_seconds)

    def pause_writing(self) -> None:
        """More of an answer waits for the caller than the system takes."""
        super().pause_writing()
        self._expect_reader()

    def resume_writing(self) -> None:
        """It has been taken, but for a little."""
        self._stop_expecting()
        if self.transport.is_closing():
            self._expect_last_read()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn does when the parser gives up, for whatever reason."""
        if self._head > MOST_BYTES:
            self._refuse(431, f"The headers have more than {MOST_BYTES} bytes.")
        else:
            self._refuse(400, msg)

    def make_room(self) -> bool:
        """Of too many connections this one has waited longest. Close it, unless bytes have come that are not read."""
        if self.transport.is_closing() or listening.queued(self.transport.get_extra_info("socket")):
            return False
        if self._in_head:
            self._refuse(503, CROWDED)
        else:
            self.transport.close()  # who sent nothing expects no answer
        return True

    def turn_away(self) -> None:
        """Too many connections work. Its request may be on its way: closed at once, it could miss the answer."""
        self._deaf = True
        self._stop_waiting()
        self.transport.write(_plain(503, CROWDED))
        self._wait_for_head(min(self.head_seconds, LAST_CALL_SECONDS))

    def shutdown(self) -> None:
        """The process ends: a connection closes once nothing is on its way, be it an answer or a request."""
        self._last = True
        if self.transport.is_closing():
            return
        if not self._answered():
            self.cycle.keep_alive = False
        elif not self.cycle or self._in_head or listening.queued(self.transport.get_extra_info("socket")):
            self._stop_waiting()
            self._wait_for_head(min(self.head_seconds, LAST_CALL_SECONDS))
        else:
            self.transport.close()

    def _answered(self) -> bool:
        """Whether there is no request that waits for its answer, or for the end of it."""
        return not self.cycle or self.cycle.response_complete

    def _wait_for_head(self, seconds: float) -> None:
        if not self.transport.is_closing():
            self._head_timer = self.loop.call_later(seconds, self._late)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _late(self) -> None:
        self._head_timer = None
        if self._in_head:
            self._refuse(408, "The headers did not arrive in time.")
        else:
            self.transport.close()  # who sent nothing expects no answer

    def _expect_last_read(self) -> None:
        """The system closes a connection once its last bytes are taken, and waits for that as long as it takes."""
        if self._stall_timer is None and self.transport.get_write_buffer_size():
            self._expect_reader()

    def _expect_reader(self) -> None:
        waiting = self.transport.get_write_buffer_size()
        self._stall_timer = self.loop.call_later(self.stall_seconds, self._look_again, waiting)

    def _stop_expecting(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _look_again(self, waiting: int) -> None:
        if self.transport.get_write_buffer_size() >= waiting:
            at_once = struct.pack("ii", 1, 0)  # the system, too, drops what it holds, and tells the caller
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            self.transport.abort()
        else:
            self._expect_reader()

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > MOST_BYTES:
            raise HeadTooLarge

    def _refuse(self, status: int, reason: str) -> None:
        """Close the connection over what is no request; the requests before it are answered first."""
        if self.transport.is_closing():
            return
        self._deaf = True
        self._stop_waiting()
        if self._answered():
            self.transport.write(_plain(status, reason))
            self.transport.close()
        elif self.cycle.more_body:  # the fault is in its body, and an answer may have begun
            if not self.cycle.response_started and not self.pipeline:
                self.transport.write(_plain(status, reason))
            self.transport.close()
        else:
            self.cycle.keep_alive = False


def _plain(status: int, reason: str) -> bytes:
    """A whole answer, the last of its connection."""
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "content-type: text/plain; charset=utf-8",
        f"content-length: {len(reason)}",
        "connection: close",
        *(["retry-after: 1"] if status == HTTPStatus.SERVICE_UNAVAILABLE else []),
    )
    return "\r\n".join((*head, "", reason)).encode()
