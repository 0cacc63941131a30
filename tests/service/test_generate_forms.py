"""The same pictures in every form of the answer."""

import asyncio
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.store import Store
from service.app import create_app
from service.settings import Settings
from service.state import State
from tests import versions
from tests.service.conftest import Served, opened, refused, serving
from tests.service.generating import archive, array, ask, decoded, expected, frames, good, images

COLOUR = versions.generate(name="colours", classes=0, channels=3)
PATH = {"from": {"seed": 1}, "to": {"seed": 2}, "steps": 6}
BAD = [93.25, 0, 0, 0]
"""A latent whose picture is not a number."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, httpx.Client]]:
    folder = tmp_path_factory.mktemp("zoo")
    store = Store([folder])
    for manifest, files in (versions.generate(), COLOUR):
        store.publish(manifest, files)
    with serving(folder) as both:
        yield both


@given(st.integers(0, 2**63 - 10), st.integers(1, 9), st.sampled_from([{}, {"class": 3}, {"model": "colours"}]))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_form_has_the_pictures_of_the_seeds(
    client: httpx.Client, seed: int, count: int, fields: dict[str, Any]
) -> None:
    alone = [good(client, "image/png", seed=seed + number, **fields) for number in range(count)]
    several = fields | {"seed": seed, "count": count}
    assert images(client, **several) == alone
    found = archive(good(client, "application/zip", **several))
    assert [found.read(name) for name in found.namelist()] == alone
    drawn = array(client, **several)
    assert np.array_equal(drawn, decoded(alone))
    assert drawn.dtype == np.uint8
    assert drawn.shape == ((count, 28, 28, 3) if "model" in fields else (count, 28, 28))
    sheet = np.asarray(opened(good(client, "image/png", **several)))
    webp = opened(good(client, "image/webp", **several)).convert("RGB" if "model" in fields else "L")
    assert np.array_equal(np.asarray(webp), sheet)


@pytest.mark.parametrize("fields", [{}, {"model": "colours"}])
def test_an_animation_shows_every_picture_without_end(client: httpx.Client, fields: dict[str, Any]) -> None:
    fields = fields | ({} if fields else {"class": 4}) | {"interpolate": PATH}
    drawn = array(client, **fields)
    mode = "RGB" if drawn.ndim == 4 else "L"
    for accept in ("image/webp", "image/gif"):
        data = good(client, accept, **fields)
        shown = frames(data, mode)
        assert shown.shape == drawn.shape
        if accept == "image/webp" or mode == "L":
            assert np.array_equal(shown, drawn)
        info = opened(data).info
        assert (info["loop"], info["duration"]) == (0, 100)
        assert good(client, accept, **fields) == data


def test_gif_holds_colours_nearly(client: httpx.Client) -> None:
    few = {"from": {"latent": [0] * 4}, "to": {"latent": [0.1] * 4}, "steps": 2}
    fields = {"model": "colours", "interpolate": few}
    shown, drawn = frames(good(client, "image/gif", **fields), "RGB"), array(client, **fields)
    assert np.array_equal(shown[0], drawn[0])  # one colour, grey in the middle
    assert np.abs(shown.astype(int) - drawn).mean() < 3


def test_equal_ends_stand_still(client: httpx.Client) -> None:
    still = {"from": {"seed": 1}, "to": {"seed": 1}, "steps": 1000}
    one = opened(good(client, "image/png", seed=1, **{"class": 1}))
    for accept in ("image/gif", "image/webp"):
        (shown,) = frames(good(client, accept, interpolate=still, **{"class": 1}), "L")
        assert np.array_equal(shown, np.asarray(one))


def test_an_archive_is_the_same_bytes_every_time(client: httpx.Client) -> None:
    data = good(client, "application/zip", seed=1, count=12)
    assert good(client, "application/zip", seed=1, count=12) == data
    found = archive(data)
    assert found.namelist() == [f"{place:02}.png" for place in range(12)]
    assert {(entry.compress_type, entry.date_time) for entry in found.infolist()} == {(0, (1980, 1, 1, 0, 0, 0))}


@pytest.mark.parametrize("accept", ["image/png", "image/webp", "application/zip", "application/x-npy"])
def test_every_form_names_its_seed_and_model(client: httpx.Client, accept: str) -> None:
    headers = ask(client, accept, count=2).headers
    assert (headers["x-model"], headers["x-model-version"]) == ("digits-gan", "1")
    again = ask(client, accept, count=2, seed=int(headers["x-seed"]))
    assert again.content == ask(client, accept, count=2, seed=int(headers["x-seed"])).content


@pytest.mark.parametrize(
    ("accept", "fields", "kind"),
    [
        ("*/*", {}, "image/png"),
        ("image/*", {}, "image/png"),
        ("image/avif,image/webp,*/*;q=0.8", {}, "image/webp"),
        ("image/gif, image/webp;q=0.5", {}, "image/webp"),
        ("image/gif, image/webp;q=0.5", {"interpolate": PATH}, "image/gif"),
        ("*/*", {"interpolate": PATH}, "image/png"),
        ("application/*", {"count": 2}, "application/json"),
        ("application/zip, application/json;q=0.9", {"count": 2}, "application/zip"),
        # single: no sheet, and a range stands for none of the others
        ("image/webp", {"form": "single"}, "image/webp"),
        ("application/x-npy", {"form": "single", "count": 2}, "application/x-npy"),
        ("image/png, application/zip;q=0.1", {"form": "single", "count": 2}, "application/zip"),
        ("image/webp, application/json;q=0.1", {"form": "single", "count": 2}, "application/json"),
        ("image/png, image/gif;q=0.1", {"form": "single", "interpolate": PATH}, "image/gif"),
        ("image/webp", {"form": "single", "interpolate": PATH}, "image/webp"),
    ],
)
def test_accept_decides_the_form(client: httpx.Client, accept: str, fields: dict[str, Any], kind: str) -> None:
    answer = ask(client, accept, **fields)
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)


@pytest.mark.parametrize(
    ("accept", "fields", "others"),
    [
        ("image/jpeg", {}, "image/png, image/webp, image/gif, application/json, application/zip, application/x-npy"),
        ("image/gif", {}, "image/gif is for interpolate; this answer can be image/png, image/webp, application/json, "),
        ("image/gif", {"lattice": {"size": 2}}, "image/png, image/webp, application/json"),
        ("image/webp", {"form": "single", "count": 2}, "application/json, application/zip, application/x-npy"),
        ("*/*", {"form": "single", "lattice": {"size": 2}}, "application/json, application/zip, application/x-npy"),
        ("image/png", {"form": "single", "interpolate": PATH}, "image/webp, image/gif, application/json"),
    ],
)
def test_what_cannot_be_had_is_refused_with_what_can(
    client: httpx.Client, accept: str, fields: dict[str, Any], others: str
) -> None:
    assert others in refused(ask(client, accept, **fields), 406, "not-acceptable")


def test_what_is_not_a_number_is_never_sent(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    for accept in ("image/png", "image/webp", "application/json", "application/x-npy", "application/zip"):
        refused(ask(client, accept, latents=[[0] * 4, BAD], **{"class": 1}), 500, "internal")
    assert "NotFinite" in caplog.text


def test_an_archive_that_fails_on_its_way_ends_the_connection(
    served: tuple[Served, httpx.Client], caplog: pytest.LogCaptureFixture
) -> None:
    server, client = served
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        ask(client, "application/zip", latents=[[1, 2, 3, 4]] * 300 + [BAD], **{"class": 1})
    assert "NotFinite" in caplog.text
    assert asyncio.run_coroutine_threadsafe(server.state.idle.wait(), server.loop).result(10)
    assert client.get("/livez").status_code == 200


def test_an_archive_that_is_late_ends_the_connection(tmp_path: Path) -> None:
    Store([tmp_path]).publish(*versions.generate())
    with serving(tmp_path, deadline_seconds=2, max_pictures=65_535) as (server, _):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        headers = {"accept": "application/zip", "content-type": "application/json"}
        connection.request("POST", "/v1/generate", json.dumps({"count": 65_535}), headers)
        assert connection.sock is not None
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        answer = connection.getresponse()
        assert answer.status == 200
        assert asyncio.run_coroutine_threadsafe(server.state.idle.wait(), server.loop).result(20)
        with pytest.raises(http.client.IncompleteRead):  # it was held up by this slow reader, then cut off
            answer.read()
        connection.close()


def app_of(folder: Path, **fields: Any) -> FastAPI:
    state = State(Settings(models=str(folder), **fields))
    state.library.shelf = state.library.scan()
    return create_app(state)


async def test_an_archive_ends_when_the_caller_leaves(zoo: Path) -> None:
    body, left, chunks = json.dumps({"count": 65_535}).encode(), asyncio.Event(), list[bytes]()

    async def receive() -> dict[str, Any]:
        nonlocal body
        if body:
            body, sent = b"", body
            return {"type": "http.request", "body": sent}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        chunks.append(message.get("body", b""))
        if chunks[-1]:
            left.set()

    headers = [(b"accept", b"application/zip"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/generate", "query_string": b"", "headers": headers}
    app = app_of(zoo, max_pictures=65_535)
    await app(scope, receive, send)
    assert 65_000 < sum(map(len, chunks)) < 200_000  # of some 50 million bytes
    assert app.state.service.idle.is_set()


@pytest.mark.parametrize("accept", ["application/x-npy", "application/json", "image/png"])
async def test_pictures_that_are_collected_are_drawn_no_more_when_the_caller_leaves(zoo: Path, accept: str) -> None:
    body, sent = json.dumps({"count": 65_535}).encode(), list[Any]()
    app = app_of(zoo, max_pictures=65_535)
    metrics = app.state.service.metrics

    def drawn() -> float:
        return metrics.batch_rows.labels("digits-gan", "decode")._sum.get()

    async def receive() -> dict[str, Any]:
        nonlocal body
        if body:
            body, whole = b"", body
            return {"type": "http.request", "body": whole}
        while drawn() < 100:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"accept", accept.encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/generate", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    assert drawn() < 1000
    assert sent == []
    assert app.state.service.idle.is_set()
    assert app.state.service.pool.small.pixels == 0


async def test_many_pictures_leave_turns_of_the_loop_to_others(zoo: Path) -> None:
    transport = httpx.ASGITransport(app_of(zoo))

    async def turns_of_a_call(accept: str, count: int) -> int:
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            work = client.post("/v1/generate", json={"count": count}, headers={"accept": accept})
            call, turns = asyncio.ensure_future(work), 0
            while not call.done():
                await asyncio.sleep(0)
                turns += 1
            assert call.result().status_code == 200
            return turns

    for accept in ("image/png", "application/zip"):
        assert await turns_of_a_call(accept, 201) - await turns_of_a_call(accept, 1) >= 200


def test_pictures_that_are_collected_count_as_work(served: tuple[Served, httpx.Client]) -> None:
    server, client = served
    pool, most = server.state.pool, server.state.settings.max_queue_pixels
    with pool.held(most):
        assert ask(client, count=83).status_code == 200  # few: worth no thread
        refused(ask(client, count=84), 503, "overloaded", setting="HARMONIUM_MAX_QUEUE_PIXELS")
        assert ask(client, "application/zip", count=84).status_code == 200  # collects none
    assert pool.small.pixels == 0


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 1200) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ENDS = st.fixed_dictionaries(
    {}, optional={"seed": st.integers(-1, 9), "latent": st.lists(st.floats(-9, 9), max_size=5), "image": st.text()}
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["digits-gan", "colours", "nobody"]),
        "count": st.integers(-1, 3),
        "seed": st.integers(-1, 2**63),
        "class": st.integers(-1, 11) | st.text(max_size=2),
        "truncation": st.floats(-1, 2),
        "form": st.just("single"),
        "latents": st.lists(st.lists(st.floats(-101, 101), min_size=3, max_size=4), max_size=3),
        "interpolate": st.fixed_dictionaries({"from": ENDS, "to": ENDS, "steps": st.integers(0, 9)}),
        "lattice": st.dictionaries(st.sampled_from(["size", "x", "y"]), st.integers(-1, 5)),
        "edit": st.fixed_dictionaries({"image": st.text(), "direction": st.text(), "amount": st.floats(-9, 9)}),
    },
)
ACCEPTS = st.sampled_from(["*/*", "image/webp", "image/gif", "application/zip", "application/json", "text/html"])
MESSED = st.builds(
    lambda body, name, value: body | {name: value}, BODIES, st.sampled_from(["edit", "seed", "x"]), JSONS
)


@given(JSONS | BODIES | MESSED, ACCEPTS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_answered_or_refused_in_words(client: httpx.Client, body: Any, accept: str) -> None:
    headers = {"accept": accept, "content-type": "application/json"}
    answer = client.post("/v1/generate", content=json.dumps(body), headers=headers)
    if answer.status_code == 200:
        return
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["type"]) in {
        (404, "/problems/unknown-model"),
        (406, "/problems/not-acceptable"),
        (422, "/problems/invalid-fields"),
        (422, "/problems/unreadable-picture"),
    }


def test_expected_pictures_are_those_of_the_graph(client: httpx.Client) -> None:
    vectors = np.random.default_rng(1).normal(0, 1, (3, 4)).astype(np.float32).tolist()
    assert np.array_equal(array(client, model="colours", latents=vectors), expected(COLOUR, vectors))
