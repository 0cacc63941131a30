"""Every refusal of the agreement that this release has: provoked, and whole."""

import asyncio
import hashlib
import json
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from service.app import create_app
from service.problems import KINDS
from service.settings import Settings
from service.state import State
from tests.robustness.hostile.agreement import REFUSALS, Answer, refusal
from tests.service.conftest import png, serving

Provoke = Callable[[Path, httpx.Client], httpx.Response]
JSON = {"content-type": "application/json"}
PICTURE = {"content-type": "image/png"}
READ = "image/png, image/jpeg, image/webp, image/tiff, application/x-npy, application/json"


class Told(NamedTuple):
    """What a refusal says beside its kind."""

    pointers: tuple[str, ...] = ()
    setting: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    named: str = ""
    """What the detail must name."""


@pytest.fixture(scope="module")
def client(zoo: Path) -> Iterator[httpx.Client]:
    with serving(zoo) as (_, found):
        yield found


def plain(method: str, path: str, body: bytes = b"", **headers: str) -> Provoke:
    """A single request to a service like any other."""

    def provoke(_: Path, client: httpx.Client) -> httpx.Response:
        return client.request(method, path, content=body, headers=headers)

    return provoke


def small_body(zoo: Path, _: httpx.Client) -> httpx.Response:
    with serving(zoo, max_body_bytes=1024) as (_, strict):
        return strict.post("/v1/generate", content=b" " * 1025, headers=JSON)


def slow_body(zoo: Path, _: httpx.Client) -> httpx.Response:
    with serving(zoo, body_seconds=0.05) as (server, _):
        head = b"POST /v1/generate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"
        with socket.create_connection(("127.0.0.1", server.port), 30) as connection:
            connection.sendall(head)
            answer = b""
            while part := connection.recv(65536):  # the service closes
                answer += part
    start, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = start.decode().split("\r\n")
    headers = [tuple(line.split(": ", 1)) for line in lines]
    request = httpx.Request("POST", "http://here/v1/generate", content=b"{")
    return httpx.Response(int(first.split()[1]), headers=headers, content=body, request=request)


def small_pixels(zoo: Path, _: httpx.Client) -> httpx.Response:
    with serving(zoo, max_pixels=63) as (_, strict):
        return strict.post("/v1/denoise", content=png(8, 8), headers=PICTURE)


def full(zoo: Path, _: httpx.Client) -> httpx.Response:
    with serving(zoo, max_buffered_bytes=1024) as (server, strict):
        head = (
            b"POST /v1/generate HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", server.port), 30) as other:
            other.sendall(head + b" " * 999)
            end = time.monotonic() + 20
            while server.state.buffered_bytes != 999:  # counted in the server's own thread
                assert time.monotonic() < end
            return strict.post("/v1/generate", content=b"{}".ljust(100), headers=JSON)


def unready(zoo: Path, _: httpx.Client) -> httpx.Response:
    async def ask() -> httpx.Response:
        app = create_app(State(Settings(models=str(zoo))))  # its lifespan never begins, so nothing is loaded
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await client.post("/v1/generate", json={})

    return asyncio.run(ask())


def stopping(zoo: Path, _: httpx.Client) -> httpx.Response:
    with serving(zoo) as (server, strict):
        server.state.draining = True
        return strict.post("/v1/generate", json={})


def locked(zoo: Path, path: str, **headers: str) -> httpx.Response:
    """What a service answers whose one key is `right`, which may not administrate."""
    with tempfile.NamedTemporaryFile("w") as keys:
        print("app infer", hashlib.sha256(b"right").hexdigest(), file=keys, flush=True)
        with serving(zoo, keys=keys.name) as (_, strict):
            return strict.post(path, json={}, headers=headers)


def keyless(zoo: Path, _: httpx.Client) -> httpx.Response:
    return locked(zoo, "/v1/generate")


def wrong_key(zoo: Path, _: httpx.Client) -> httpx.Response:
    return locked(zoo, "/v1/generate", authorization="Bearer wrong")


def other_scope(zoo: Path, _: httpx.Client) -> httpx.Response:
    return locked(zoo, "/v2/repository/index", authorization="Bearer right")


def foreign(zoo: Path, _: httpx.Client) -> httpx.Response:
    asked = {"origin": "https://other.example", "access-control-request-method": "POST"}
    with serving(zoo, cors_origins="https://shop.example") as (_, strict):
        return strict.options("/v1/generate", headers=asked)


def late(zoo: Path, _: httpx.Client) -> httpx.Response:
    with serving(zoo, deadline_seconds=1e-6) as (_, strict):
        return strict.post("/v1/generate", json={})


RATING = b'{"users": [{"ratings": [{"item": "1196", "rating": 9}]}]}'
NOT_FINITE = b'{"class": 0, "latents": [[93.25, 0, 0, 0]]}'
AGAIN = (("retry-after", "1"),)
TABLE: dict[str, tuple[Provoke, Told]] = {
    "malformed-body": (plain("POST", "/v1/recommend", b'{"users"', **JSON), Told(named="JSON")),
    "key-missing": (keyless, Told(headers=(("www-authenticate", "Bearer"),), named="Bearer KEY")),
    "key-wrong": (wrong_key, Told(named="this key")),
    "scope-missing": (other_scope, Told(named="the scope admin")),
    "cross-origin": (foreign, Told(setting="CORS_ORIGINS", named="https://other.example")),
    "unknown-path": (plain("GET", "/v3/models"), Told(named="/v3/models")),
    "unknown-model": (plain("GET", "/v1/models/nobody"), Told(named="photo-dae")),
    "unknown-version": (plain("POST", "/v1/generate", b'{"version": 7}', **JSON), Told(named="Loaded: 1")),
    "unknown-item": (plain("GET", "/v1/models/movies-rbm/items/none/similar"), Told(named="'none'")),
    "method": (plain("PUT", "/v1/models"), Told(headers=(("allow", "GET, HEAD"),), named="GET, HEAD")),
    "not-acceptable": (plain("GET", "/v1/models", accept="text/html"), Told(named="application/json")),
    "body-too-slow": (slow_body, Told(setting="BODY_SECONDS", headers=(("connection", "close"),), named="0.05")),
    "wrong-task": (plain("POST", "/v1/encode?model=digits-gan", png(8, 8), **PICTURE), Told(named="generate")),
    "body-too-large": (small_body, Told(setting="MAX_BODY_BYTES", named="1024")),
    "picture-too-large": (small_pixels, Told(setting="MAX_PIXELS", named="8 x 8")),
    "unsupported-type": (
        plain("POST", "/v1/denoise", b"GIF89a", **{"content-type": "image/gif"}),
        Told(headers=(("accept", READ),), named="image/gif"),
    ),
    "invalid-fields": (
        plain("POST", "/v1/recommend", RATING, **JSON),
        Told(("/users/0/ratings/0/rating",), named="from 0.5 to 5"),
    ),
    "unreadable-picture": (plain("POST", "/v1/denoise", png(8, 8)[:40], **PICTURE), Told(named="cut off")),
    "unreadable-array": (
        plain("POST", "/v1/denoise", b"\x93NUMPY", **{"content-type": "application/x-npy"}),
        Told(named="NumPy"),
    ),
    "internal": (plain("POST", "/v1/generate", NOT_FINITE, **JSON), Told(named="log")),
    "overloaded": (full, Told(setting="MAX_BUFFERED_BYTES", headers=AGAIN)),
    "not-ready": (unready, Told(headers=AGAIN, named="being loaded")),
    "draining": (stopping, Told(headers=AGAIN)),
    "deadline": (late, Told(setting="DEADLINE_SECONDS")),
}
"""How to get every refusal, and what it says."""


def test_the_table_is_whole() -> None:
    assert list(TABLE) == list(REFUSALS)
    assert {name: kind.status for name, kind in KINDS.items()} == REFUSALS


@pytest.mark.parametrize("name", TABLE)
def test_every_refusal(zoo: Path, client: httpx.Client, name: str) -> None:
    provoke, told = TABLE[name]
    response = provoke(zoo, client)
    answer = Answer(response.status_code, dict(response.headers), response.content)
    problem = refusal(answer, response.request.url.raw_path.decode(), response.request.content)
    assert problem["type"] == f"/problems/{name}"
    assert tuple(error["pointer"] for error in problem.get("errors", [])) == told.pointers
    assert problem.get("setting") == (told.setting and f"HARMONIUM_{told.setting}")
    assert told.named in json.dumps(problem, ensure_ascii=False)
    for header, value in told.headers:
        assert response.headers[header] == value
    assert response.headers["x-content-type-options"] == "nosniff"
