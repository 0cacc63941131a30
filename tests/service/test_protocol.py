import contextlib
import http.client
import json
import select
import socket
import struct
import sys
from pathlib import Path

import httpx
import pytest

from service.connections import Connections
from service.protocol import MOST_BYTES, Protocol
from tests.service.conftest import Served, parsed, png, raw, serving

START = b"GET /livez HTTP/1.1\r\nhost: a\r\n"
BODY = json.dumps({"users": [{}]}).encode()
DATA_SEGMENTS_IN = 152
"""Where Linux has this count of a connection in its `tcp_info`."""


def connected(served: tuple[Served, httpx.Client]) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served[0].port), 30)


def sent(connection: socket.socket, data: bytes) -> bytes:
    """What comes back until the server closes; it may do so while there is more to send."""
    with contextlib.suppress(ConnectionError):
        connection.sendall(data)
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize(
    "head",
    [
        START + b"x-long: " + b"a" * MOST_BYTES,
        START + b"x-long: " + b"a" * 4_000_000 + b"\r\n\r\n",
        START + b"x-long: a\r\n" * 6000 + b"\r\n",
        START + b"a" * MOST_BYTES,
        b"GET /" + b"a" * MOST_BYTES,
        b"GET /" + b"a" * MOST_BYTES + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["unfinished", "huge", "many", "name", "path-unfinished", "path"],
)
def test_a_head_above_the_limit_is_answered_with_431(served: tuple[Served, httpx.Client], head: bytes) -> None:
    with connected(served) as connection:
        answer = sent(connection, head)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"connection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "more",
    [
        b"2\r\n{}\r\n0\r\nx-long: " + b"a" * 4_000_000 + b"\r\n\r\n",
        b"2\r\n{}\r\n0\r\n" + b"x-long: a\r\n" * 6000 + b"\r\n",
        b"2;" + b"a" * 4_000_000 + b"\r\n{}\r\n0\r\n\r\n",
    ],
    ids=["trailer", "trailers", "extension"],
)
def test_what_surrounds_chunks_is_limited_too(served: tuple[Served, httpx.Client], more: bytes) -> None:
    head = b"POST /v1/generate HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
    head += b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    with connected(served) as connection:
        assert b" 200 " in sent(connection, head + b"2;a=b\r\n{}\r\n0\r\nx-short: a\r\n\r\n")
    with connected(served) as connection:
        assert b" 200 " not in sent(connection, head + more)


def test_a_head_at_the_limit_is_served_and_the_connection_lives(served: tuple[Served, httpx.Client]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served[0].port, timeout=30)
    json_body = {"content-type": "application/json"}
    for _ in range(3):
        connection.request("GET", "/livez", headers={"x-long": "a" * (MOST_BYTES - 200)})
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
        first = connection.sock
        connection.request("POST", "/v1/recommend", BODY.ljust(1_000_000), json_body)
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
        assert connection.sock is first
    connection.close()


def test_pipelined_requests_are_counted_one_by_one(served: tuple[Served, httpx.Client]) -> None:
    request = START + b"x-long: " + b"a" * 30_000 + b"\r\n"
    with connected(served) as connection:
        answer = sent(connection, (request + b"\r\n") * 9 + request + b"connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 10


def test_what_is_no_http_is_still_answered_with_400(served: tuple[Served, httpx.Client]) -> None:
    with connected(served) as connection:
        assert sent(connection, b"no HTTP\r\n\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux counts the segments of a connection")
@pytest.mark.parametrize(
    ("request_line", "body", "status"),
    [("GET /livez", b"", 200), ("POST /v1/generate", b'{"count": 20}', 200), ("POST /v1/generate", b"{", 400)],
    ids=["short", "longer", "refused"],
)
def test_the_head_of_an_answer_comes_with_its_body(
    served: tuple[Served, httpx.Client], request_line: str, body: bytes, status: int
) -> None:
    """No process can end in between, and leave half an answer that a proxy cannot mend."""
    head = (
        f"{request_line} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with raw(served[0].port, head.encode() + body) as connection:
        assert parsed(connection).status_code == status
        told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, DATA_SEGMENTS_IN + 4)
    assert struct.unpack_from("I", told, DATA_SEGMENTS_IN) == (1,)


@pytest.mark.parametrize("after", ["close", "keep-alive"])
def test_a_caller_that_leaves_a_little_of_its_answer_is_cut_off(zoo: Path, after: str) -> None:
    """Less than what uvicorn tells of: the connection would be closed when the rest is taken, and it never is."""
    with serving(zoo) as (server, _):
        server.config.http_protocol_class = Protocol.limited(10, 0.2, Connections(10))
        server.config.timeout_keep_alive = 1
        server.servers[0].sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        body = png(230, 230, compress_level=0)
        head = f"POST /v1/denoise?amount=0 HTTP/1.1\r\nhost: a\r\ncontent-type: image/png\r\nconnection: {after}\r\n"
        with socket.socket() as stalled:
            stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stalled.connect(("127.0.0.1", server.port))
            stalled.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            ended = select.poll()
            ended.register(stalled, select.POLLHUP)
            assert ended.poll(15_000)
        assert server.server_state.connections == set()
