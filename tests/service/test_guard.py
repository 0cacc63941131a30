import asyncio
import http.client
import json
import logging
import threading
import time
from pathlib import Path

import httpx
import pytest
from fastapi import Request, Response

from service.app import create_app
from service.settings import Settings
from service.state import State
from tests.service.conftest import Served, parsed, png, raw, refused, serving

ASK = json.dumps({"users": [{}]}).encode()


@pytest.mark.parametrize("given", ["abc-1.2_X", "x" * 64])
def test_a_sane_id_is_kept(client: httpx.Client, given: str) -> None:
    assert client.get("/livez", headers={"x-request-id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "<script>", "é".encode()])
def test_any_other_id_is_replaced(client: httpx.Client, given: str | bytes) -> None:
    answers = {client.get("/livez", headers={"x-request-id": given}).headers["x-request-id"] for _ in range(2)}
    assert len(answers) == 2
    assert all(len(answer) == 16 for answer in answers)


def test_unknown_paths_and_methods(client: httpx.Client) -> None:
    for path in ("/nothing", "/v1", "/v2/nothing", "/v1/models/x/nothing", "/docs/static/x.js"):
        refused(client.get(path), 404, "unknown-path")
    answer = client.get("/v1/denoise")
    refused(answer, 405, "method")
    assert answer.headers["allow"] == "POST"
    assert client.post("/readyz").headers["allow"] == "GET, HEAD"
    refused(client.post("/readyz"), 405, "method")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/docs", "/v1/models", "/v1/models/photo-dae", "/openapi.json"])
def test_head_is_get_without_the_body(client: httpx.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "content-length"):
        assert head.headers[name] == get.headers[name]


def test_head_elsewhere(client: httpx.Client) -> None:
    assert client.head("/").status_code == client.get("/").status_code
    assert client.head("/nothing").status_code == 404
    answer = client.head("/v1/generate")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "POST", b"")


def test_a_path_forges_no_line_of_the_log(zoo: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(zoo) as (server, client), caplog.at_level(logging.DEBUG, "service.requests"):

        async def broken(request: Request) -> Response:
            raise RuntimeError

        server.app.add_api_route("/broken/{rest}", broken)
        refused(client.get("/a%0Aforged%1B%00%E2%80%A8"), 404, "unknown-path")
        refused(client.get("/broken/%0Aforged%1B%00"), 500, "internal")
    messages = [record.getMessage() for record in caplog.records if record.name == "service.requests"]
    assert len([message for message in messages if "forged" in message]) == 3
    assert all(message.isprintable() and message.isascii() for message in messages)


def test_bytes_are_counted_whatever_is_declared(zoo: Path) -> None:
    with serving(zoo, max_body_bytes=2000) as (server, client):
        setting = "HARMONIUM_MAX_BODY_BYTES"
        refused(client.post("/v1/recommend", content=b" " * 2001), 413, "body-too-large", setting=setting)
        chunks = (b" " * 500 for _ in range(5))
        refused(client.post("/v1/recommend", content=chunks), 413, "body-too-large", setting=setting)
        head = b"POST /v1/recommend HTTP/1.1\r\nhost: a\r\ncontent-length: 2001\r\n\r\n"
        with raw(server.port, head) as connection:  # not one byte of the body is sent
            refused(parsed(connection), 413, "body-too-large", setting=setting)
        body = ASK.ljust(2000)
        answer = client.post("/v1/recommend", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 200


def test_a_body_that_dawdles(zoo: Path) -> None:
    with serving(zoo, body_seconds=0.05) as (server, _):
        head = b"POST /v1/recommend HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{"
        with raw(server.port, head) as connection:
            answer = parsed(connection)
            refused(answer, 408, "body-too-slow", setting="HARMONIUM_BODY_SECONDS")
            assert answer.headers["connection"] == "close"
            assert connection.recv(1) == b""


def test_a_deadline_that_passes(zoo: Path) -> None:
    with serving(zoo, deadline_seconds=1e-6) as (_, client):
        for path, body, kind in (("recommend", ASK, "application/json"), ("denoise", png(8, 8), "image/png")):
            answer = client.post(f"/v1/{path}", content=body, headers={"content-type": kind})
            refused(answer, 504, "deadline", setting="HARMONIUM_DEADLINE_SECONDS")


def test_no_exception_reaches_uvicorn_and_the_connection_lives(zoo: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(zoo) as (server, _):

        async def broken(request: Request) -> Response:
            raise RuntimeError("the secret inside")

        server.app.add_api_route("/broken", broken)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", "/broken")
        answer = connection.getresponse()
        body = answer.read()
        first = connection.sock
        refused(httpx.Response(answer.status, headers=answer.getheaders(), content=body), 500, "internal")
        assert b"secret" not in body
        assert "the secret inside" in caplog.text
        assert answer.headers["x-request-id"] in caplog.text
        assert "uvicorn" not in {record.name.split(".")[0] for record in caplog.records if record.levelname == "ERROR"}
        connection.request("GET", "/livez")
        assert connection.getresponse().read()
        assert connection.sock is first
        connection.close()


def test_work_ends_when_the_caller_hangs_up(zoo: Path) -> None:
    with serving(zoo) as (server, _):
        begun, ended = threading.Event(), threading.Event()

        async def endless(request: Request) -> Response:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return Response()

        server.app.add_api_route("/endless", endless)
        with raw(server.port, b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n"):
            assert begun.wait(10)
        assert ended.wait(10)
        idle = asyncio.run_coroutine_threadsafe(server.state.idle.wait(), server.loop)
        assert idle.result(10)


def test_draining_refuses_all_but_probes(zoo: Path) -> None:
    with serving(zoo) as (server, client):
        server.state.draining = True
        answer = client.post("/v1/generate", json={})
        refused(answer, 503, "draining")
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["connection"] == "close"
        assert client.get("/livez").status_code == 200
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        assert ready.json()["reasons"] == ["the service is stopping"]


async def test_before_the_models_are_loaded_nothing_is_ready(zoo: Path) -> None:
    app = create_app(State(Settings(models=str(zoo))))  # its lifespan never begins, so nothing is scanned
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
        answer = await client.post("/v1/generate", json={})
        refused(answer, 503, "not-ready")
        assert answer.headers["retry-after"] == "1"
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["reasons"] == ["the models are still being loaded"]


def test_a_refused_request_is_no_longer_in_flight(served: tuple[Served, httpx.Client]) -> None:
    server, client = served
    client.post("/v1/generate", json={"count": 0})
    assert asyncio.run_coroutine_threadsafe(server.state.idle.wait(), server.loop).result(10)
    assert server.state.in_flight == 0


def until_held(server: Served, size: int) -> None:
    """The server counts in its own thread; an answer comes a little before its request's body is let go."""
    end = time.monotonic() + 20
    while server.state.buffered_bytes != size:
        assert time.monotonic() < end, server.state.buffered_bytes


def test_bodies_are_held_up_to_a_limit_over_all_connections(zoo: Path) -> None:
    with serving(zoo, max_buffered_bytes=2000) as (server, client):
        kind = "content-type: application/json"
        head = f"POST /v1/recommend HTTP/1.1\r\nhost: a\r\n{kind}\r\ncontent-length: 1500\r\n\r\n".encode()
        headers = dict([kind.split(": ")])
        body = ASK.ljust(1500)
        with raw(server.port, head + body[:1400]) as connection:
            until_held(server, 1400)
            answer = client.post("/v1/recommend", content=ASK.ljust(601), headers=headers)
            refused(answer, 503, "overloaded", setting="HARMONIUM_MAX_BUFFERED_BYTES")
            assert answer.headers["retry-after"] == "1"
            until_held(server, 1400)
            assert client.post("/v1/recommend", content=ASK.ljust(600), headers=headers).status_code == 200
            until_held(server, 1400)
            connection.sendall(body[1400:])
            assert parsed(connection).status_code == 200
        until_held(server, 0)
        assert client.post("/v1/recommend", content=ASK.ljust(5000), headers=headers).status_code == 200  # alone
        until_held(server, 0)
        with raw(server.port, head + body[:1400]):
            until_held(server, 1400)
        until_held(server, 0)
