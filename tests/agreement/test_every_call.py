"""What holds for every call: closed bodies, finite numbers, request ids, times."""

import re

import httpx
import pytest

from tests.agreement import client as api
from tests.agreement.asking import JSON, PNG, TASKS, Json, ask, call, example, noisy, refused, saved, send


@pytest.mark.parametrize("task", TASKS)
def test_unknown_field_is_refused(client: httpx.Client, task: str) -> None:
    refused(call(client, task, surprise=1), 422, "invalid-fields")


@pytest.mark.parametrize(
    ("task", "request_"),
    [
        ("recommend", {"users": [{"surprise": 1}]}),
        ("recommend", {"users": [{"ratings": [{"item": "1", "rating": 3, "surprise": 1}]}]}),
        ("recommend", {"users": [{}], "filter": {"year": {"surprise": 1}}}),
        ("generate", {"interpolate": {"from": {"seed": 1}, "to": {"seed": 2}, "steps": 2, "surprise": 1}}),
        ("generate", {"interpolate": {"from": {"seed": 1, "surprise": 1}, "to": {"seed": 2}, "steps": 2}}),
        ("generate", {"model": "digits-vae", "lattice": {"size": 2, "x": 0, "y": 1, "surprise": 1}}),
        ("generate", {"model": "digits-vae", "edit": {"image": "", "direction": "", "amount": 1, "surprise": 1}}),
    ],
)
def test_unknown_inner_field_is_refused(client: httpx.Client, task: str, request_: Json) -> None:
    refused(ask(client, task, request_), 422, "invalid-fields")


@pytest.mark.parametrize("text", ["1e999", "-1e999"])
def test_infinite_number_is_refused(client: httpx.Client, text: str) -> None:
    request = b'{"users": [{}], "novelty": ' + text.encode() + b"}"
    refused(send(client, "recommend", request, JSON), 422, "invalid-fields")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_literal_that_is_no_number_is_refused(client: httpx.Client, text: str) -> None:
    """Reading: either "not JSON" (400) or "number not finite" (422)."""
    response = send(client, "recommend", b'{"users": [{}], "novelty": ' + text.encode() + b"}", JSON)
    assert (response.status_code, api.problem(response).kind) in {(400, "malformed-body"), (422, "invalid-fields")}


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_parameter_that_is_not_finite_is_refused(client: httpx.Client, text: str) -> None:
    refused(send(client, "denoise", saved(noisy()), PNG, params={"strength": text}), 422, "invalid-fields")


def test_server_timing_is_in_milliseconds(client: httpx.Client) -> None:
    response = send(client, "denoise", saved(noisy(128, 128)), PNG)
    times = [float(time) for time in re.findall(r"dur=([\d.]+)", response.headers["server-timing"])]
    assert 1 < sum(times) <= 1000 * response.elapsed.total_seconds() + 1


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/v1/models", "/openapi.json", "/docs", "/", "/nowhere"])
def test_every_answer_has_the_request_id_of_the_caller(client: httpx.Client, path: str) -> None:
    assert client.get(path, headers={"X-Request-Id": "my-id-42"}).headers["x-request-id"] == "my-id-42"


@pytest.mark.parametrize("task", TASKS)
def test_call_is_answered_under_the_request_id_of_the_caller(client: httpx.Client, task: str) -> None:
    response = client.post(f"/v1/{task}", json=example(task), headers={"X-Request-Id": "my-id-42"})
    assert response.headers["x-request-id"] == "my-id-42"


def test_request_id_is_made_where_none_was_sent(client: httpx.Client) -> None:
    made = {client.get("/livez").headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3
    assert "" not in made


@pytest.mark.parametrize("insane", [b"x" * 5000, b"a\tb", b"<script>alert(1)</script>", b"\xff\xfe"])
def test_insane_request_id_is_not_repeated(client: httpx.Client, insane: bytes) -> None:
    """Reading: nobody would call these sane."""
    response = client.get("/livez", headers=[(b"X-Request-Id", insane)])
    assert response.status_code == 200
    assert response.headers["x-request-id"].encode("latin-1") not in (insane, b"")
