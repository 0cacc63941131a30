"""Refusals, their explanations, and what HTTP itself refuses."""

import json
import re
import socket

import httpx
import pytest

from tests.agreement.asking import (
    BODIES,
    GIF,
    JSON,
    PNG,
    REFUSALS,
    TASKS,
    ask,
    call,
    digit,
    example,
    refused,
    saved,
    send,
)


@pytest.mark.parametrize("kind", REFUSALS)
def test_type_of_a_refusal_answers_with_an_explanation(client: httpx.Client, kind: str) -> None:
    response = client.get(f"/problems/{kind}")
    assert response.status_code == 200
    assert len(response.text) > 20


def test_refusal_leads_to_its_explanation(client: httpx.Client) -> None:
    assert client.get(client.get("/nowhere").json()["type"]).status_code == 200


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("data", [b"{", b'{"users": [', b"users", b"", b'{"model": "\xff"}', b"\xfe\xff\x00{"])
def test_malformed_body_is_refused(client: httpx.Client, task: str, data: bytes) -> None:
    refused(send(client, task, data, JSON), 400, "malformed-body")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("data", [b"[]", b"7", b"null", b'"text"'])
def test_body_that_is_no_object_is_refused(client: httpx.Client, task: str, data: bytes) -> None:
    refused(send(client, task, data, JSON), 422, "invalid-fields")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/recommend", "POST"),
        ("PUT", "/v1/denoise", "POST"),
        ("DELETE", "/v1/encode", "POST"),
        ("GET", "/v1/generate", "POST"),
        ("POST", "/v1/models", "GET"),
        ("POST", "/v1/models/movies-rbm", "GET"),
        ("DELETE", "/v1/models/movies-rbm/versions/1", "GET"),
        ("POST", "/v1/models/movies-rbm/items", "GET"),
        ("PATCH", "/v1/models/movies-rbm/items/260/similar", "GET"),
        ("POST", "/livez", "GET"),
        ("POST", "/readyz", "GET"),
        ("POST", "/docs", "GET"),
        ("POST", "/openapi.json", "GET"),
        ("POST", "/", "GET"),
    ],
)
def test_other_method_is_refused(client: httpx.Client, method: str, path: str, allowed: str) -> None:
    response = client.request(method, path)
    refused(response, 405, "method")
    assert allowed in re.split(r",\s*", response.headers["allow"])


@pytest.mark.parametrize("task", ["denoise", "encode"])
@pytest.mark.parametrize("content_type", ["text/plain", GIF, "application/octet-stream"])
def test_other_type_of_picture_is_refused(client: httpx.Client, task: str, content_type: str) -> None:
    response = send(client, task, saved(digit()), content_type)
    refused(response, 415, "unsupported-type")
    assert all(served in response.text for served in [*BODIES, JSON])


@pytest.mark.parametrize("task", ["recommend", "generate"])
@pytest.mark.parametrize("content_type", ["text/plain", PNG, "application/x-www-form-urlencoded"])
def test_other_type_of_request_is_refused(client: httpx.Client, task: str, content_type: str) -> None:
    response = send(client, task, json.dumps(example(task)).encode(), content_type)
    refused(response, 415, "unsupported-type")
    assert JSON in response.text


def test_form_of_recommendations_that_is_not_served_is_refused(client: httpx.Client) -> None:
    response = ask(client, "recommend", {"users": [{}]}, "text/html")
    refused(response, 406, "not-acceptable")
    assert JSON in response.text


@pytest.mark.parametrize("task", TASKS)
def test_body_without_an_end_is_refused(client: httpx.Client, task: str) -> None:
    """Reading: a quarter of a gigabyte is more than any setting allows."""
    content = (b" " * 2**20 for _ in range(256))
    response = client.post(f"/v1/{task}", content=content, headers={"Content-Type": JSON})
    assert refused(response, 413, "body-too-large").members["setting"]


@pytest.mark.parametrize("task", ["denoise", "encode"])
def test_picture_without_an_end_is_refused(client: httpx.Client, task: str) -> None:
    content = (b"\0" * 2**20 for _ in range(256))
    response = client.post(f"/v1/{task}", content=content, headers={"Content-Type": PNG})
    refused(response, 413, "body-too-large")


def test_refusal_has_the_request_id_of_the_caller(client: httpx.Client) -> None:
    response = client.get("/nowhere", headers={"X-Request-Id": "my-id-42"})
    assert refused(response, 404, "unknown-path").instance == "my-id-42"


def test_every_field_at_fault_is_pointed_at(client: httpx.Client) -> None:
    """Reading: `errors` is a list because all of them stand in it."""
    pointers = refused(call(client, "recommend", count="x", offset=-1, surprise=1), 422, "invalid-fields").pointers
    assert sorted(pointers) == ["/count", "/offset", "/surprise"]


def head_of_answer(client: httpx.Client, request: bytes) -> str:
    """The head of the answer to bytes that are no whole request."""
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), 30) as connection:
        connection.sendall(request)
        received = b""
        while b"\r\n\r\n" not in received and (piece := connection.recv(65536)):
            received += piece
    return received.decode("latin-1")


def test_body_that_does_not_come_is_refused(client: httpx.Client) -> None:
    """Reading: within half a minute, though the agreement gives no time. The one slow test: it waits."""
    head = head_of_answer(
        client,
        b"POST /v1/recommend HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
    )
    assert head.startswith("HTTP/1.1 408 ")
    assert re.search(r"(?i)^content-type: application/problem\+json", head, re.MULTILINE)


@pytest.mark.parametrize(
    "request_",
    [b"this is no request\r\n\r\n", b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 200_000 + b"\r\n\r\n"],
    ids=["broken request line", "oversized header"],
)
def test_what_http_gets_wrong_is_refused_in_plain_text(client: httpx.Client, request_: bytes) -> None:
    head = head_of_answer(client, request_)
    assert re.match(r"HTTP/1\.1 4\d\d ", head)
    assert re.search(r"(?i)^content-type: text/plain", head, re.MULTILINE)
