"""uvicorn's HTTP/1.1 with a limit that it lacks: on the head of a request.

httptools collects a request line, headers, trailers or the extension of a chunk of any
length before it tells anyone.
"""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_BYTES = 65_536
"""In the head of one request, trailers included."""
REFUSAL = b"The headers have more than 65536 bytes."
ANSWER = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\n"
    b"connection: close\r\n"
    b"\r\n%b"
) % (len(REFUSAL), REFUSAL)


class HeadTooLarge(Exception):
    """Raised in a callback of the parser, which passes it on as an error of its own."""


class Protocol(HttpToolsProtocol):
    """One connection. What is above the limit is answered with 431, and the connection is closed."""

    _head = 0
    """Bytes of the request's head that the parser has told of."""
    _silent = 0
    """Bytes that came since the parser last told of a body, or of the end of a head or a request."""

    def data_received(self, data: bytes) -> None:
        """Count what the parser may keep to itself."""
        self._silent += len(data)
        super().data_received(data)
        if self._silent > MOST_BYTES and not self.transport.is_closing():
            self._refuse()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._head = 0
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
        """The head was within the limit."""
        self._silent = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """The guard counts these bytes."""
        self._silent = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request was within the limit."""
        self._silent = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn does when the parser gives up, for whatever reason."""
        if self._head > MOST_BYTES:
            self._refuse()
        else:
            super().send_400_response(msg)

    def _count(self, size: int) -> None:
        self._head += size
        if self._head > MOST_BYTES:
            raise HeadTooLarge

    def _refuse(self) -> None:
        if not (self.cycle and not self.cycle.response_complete):
            self.transport.write(ANSWER)  # else it would be taken for the answer to the request before
        self.transport.close()
