"""How bodies become pictures, the same for denoise and encode."""

import asyncio
import base64
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import Request
from PIL import Image

from service.api import sent
from service.api.call import SMALL_BYTES
from service.app import create_app
from service.media.negotiation import NPY, PNG
from service.media.pictures import inspect
from service.problems import Deadline, InvalidFields, UnreadablePicture
from service.runtime.clock import Clock
from service.settings import MOST_IMAGES, Settings
from service.state import State
from tests.service.conftest import encoded, pixels, png, refused, serving

CALLS = ("denoise", "encode")


@pytest.fixture(scope="module")
def narrow(zoo: Path) -> Iterator[httpx.Client]:
    with serving(zoo, max_images=3, max_pixels=4000) as (_, client):
        yield client


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def post(client: httpx.Client, call: str, data: bytes, kind: str = "image/png") -> httpx.Response:
    return client.post(f"/v1/{call}", content=data, headers={"content-type": kind})


def several(client: httpx.Client, call: str, *files: bytes, **fields: Any) -> httpx.Response:
    return client.post(f"/v1/{call}", json={"images": [text(data) for data in files], **fields})


KINDS = {
    "image/png": png(9, 7, 3),
    "image/jpeg": encoded(Image.fromarray(pixels(9, 7, 3)), "JPEG"),
    "image/webp": encoded(Image.fromarray(pixels(9, 7, 3)), "WEBP"),
    "image/tiff": encoded(Image.fromarray(pixels(9, 7, 3)), "TIFF"),
    "application/x-npy": npy(pixels(9, 7, 3)),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_raw_and_in_json(client: httpx.Client, call: str, kind: str) -> None:
    alone = client.post(
        f"/v1/{call}", content=KINDS[kind], headers={"content-type": kind, "accept": "application/json"}
    )
    assert alone.status_code == 200
    assert alone.json() == several(client, call, KINDS[kind]).json()


@pytest.mark.parametrize("call", CALLS)
def test_kinds_may_be_mixed_and_keep_their_order(client: httpx.Client, call: str) -> None:
    name = {"denoise": "images", "encode": "encodings"}[call]
    together = several(client, call, *KINDS.values()).json()[name]
    alone = [several(client, call, data).json()[name] for data in KINDS.values()]
    assert together == [one for (one,) in alone]


@pytest.mark.parametrize("call", CALLS)
def test_a_stack_counts_as_the_pictures_it_holds(client: httpx.Client, call: str) -> None:
    name = {"denoise": "images", "encode": "encodings"}[call]
    stack = np.stack([pixels(9, 7, 3, seed=seed) for seed in range(3)])
    together = several(client, call, npy(stack), png(9, 7)).json()[name]
    alone = several(client, call, *[npy(picture) for picture in stack], png(9, 7)).json()[name]
    assert together == alone
    assert len(together) == 4


@pytest.mark.parametrize("call", CALLS)
def test_a_fault_of_one_of_several_says_of_which(client: httpx.Client, call: str) -> None:
    whole = png(9, 7)
    for broken, problem in (
        (whole[:-20], "unreadable-picture"),
        (whole[:50] + b"\0" + whole[51:], "unreadable-picture"),
        (b"GIF89a", "unreadable-picture"),
        (b"", "unreadable-picture"),
        (encoded(Image.new("CMYK", (4, 4)), "TIFF"), "unreadable-picture"),
        (npy(np.zeros((2, 2), np.int64)), "unreadable-array"),
        (npy(np.full((2, 2), 9.0)), "unreadable-array"),
    ):
        answer = several(client, call, whole, whole, broken, whole)
        detail = refused(answer, 422, problem, "/images/2")
        assert answer.json()["errors"][0]["detail"] == detail
    large = encoded(Image.new("1", (10_001, 5200)))
    refused(several(client, call, whole, large), 413, "picture-too-large", "/images/1", setting="HARMONIUM_MAX_PIXELS")
    answer = client.post(f"/v1/{call}", json={"images": [text(whole), text(whole)[:-1]]})
    assert "is not base64" in refused(answer, 422, "invalid-fields", "/images/1")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/images"]),
        ({"images": []}, ["/images"]),
        ({"images": "iVBO"}, ["/images"]),
        ({"images": [1, 2]}, ["/images/0"]),
        ({"images": [None]}, ["/images/0"]),
        ({"images": [text(png(4, 4))], "picture": 1}, ["/picture"]),
        ({"images": [text(png(4, 4))], "version": "1"}, ["/version"]),
        ({"images": [text(png(4, 4))], "model": 1}, ["/model"]),
        ({"images": [""] * (MOST_IMAGES + 1)}, ["/images"]),
    ],
    ids=range(9),
)
def test_json_is_closed_and_strict(client: httpx.Client, call: str, body: Any, pointers: list[str]) -> None:
    refused(client.post(f"/v1/{call}", json=body), 422, "invalid-fields", *pointers)


@pytest.mark.parametrize("call", CALLS)
def test_what_is_not_json(client: httpx.Client, call: str) -> None:
    for body in (b"", b'{"images": [', b"\xff", b"[" * 10_000):
        refused(post(client, call, body, "application/json"), 400, "malformed-body")
    answer = client.post(f"/v1/{call}", content=b"{}", headers={"content-type": "application/json; charset=latin-1"})
    refused(answer, 415, "unsupported-type")


@pytest.mark.parametrize("call", CALLS)
def test_options_stand_where_the_body_leaves_room_for_them(client: httpx.Client, call: str) -> None:
    answer = client.post(f"/v1/{call}?version=1", json={"images": [text(png(4, 4))]})
    assert "JSON body" in refused(answer, 422, "invalid-fields", "/version")
    answer = client.post(f"/v1/{call}?images=x", content=png(4, 4), headers={"content-type": "image/png"})
    refused(answer, 422, "invalid-fields", "/images")


@pytest.mark.parametrize("call", CALLS)
def test_models_and_tasks_are_found_before_pictures_are_read(client: httpx.Client, call: str) -> None:
    other = {"denoise": "digits-vae", "encode": "photo-dae"}[call]
    for fields, status, problem in (
        ({"model": "nobody"}, 404, "unknown-model"),
        ({"version": 99}, 404, "unknown-version"),
        ({"model": other}, 409, "wrong-task"),
    ):
        refused(client.post(f"/v1/{call}", json={"images": ["!"], **fields}), status, problem)
        raw = client.post(f"/v1/{call}", content=b"!", params=fields, headers={"content-type": "image/png"})
        refused(raw, status, problem)


@pytest.mark.parametrize("call", CALLS)
def test_pictures_and_pixels_of_a_call_are_counted(narrow: httpx.Client, call: str) -> None:
    setting = "HARMONIUM_MAX_IMAGES"
    three = [png(20, 30, seed=seed) for seed in range(3)]
    assert several(narrow, call, *three).status_code == 200
    refused(several(narrow, call, *three, png(1, 1)), 422, "invalid-fields", "/images", setting=setting)
    stack = npy(np.zeros((4, 5, 5, 1), np.uint8))
    refused(several(narrow, call, stack), 422, "invalid-fields", "/images", setting=setting)
    refused(post(narrow, call, stack, NPY), 422, "invalid-fields", "", setting=setting)
    pixels = "HARMONIUM_MAX_PIXELS"
    too_many = several(narrow, call, png(50, 40), png(50, 40), png(1, 1))
    assert "4001 pixels together; 4000 are allowed" in refused(too_many, 413, "picture-too-large", setting=pixels)
    refused(post(narrow, call, png(80, 51)), 413, "picture-too-large", setting=pixels)
    refused(post(narrow, call, npy(np.zeros((2, 50, 41, 1), np.uint8)), NPY), 413, "picture-too-large", setting=pixels)


def test_large_bodies_are_looked_at_while_no_thread_of_the_pool_is_free(zoo: Path) -> None:
    """What is wrong with them, and whether there is room for them, is told at the door."""
    go_on, busy = threading.Event(), threading.Event()

    def block() -> None:
        busy.set()
        assert go_on.wait(30)

    noise = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
    large = encoded(Image.fromarray(noise))
    assert len(large) > SMALL_BYTES
    with serving(zoo, denoise_threads=1) as (server, client):
        asyncio.run_coroutine_threadsafe(server.state.pool.run(block, 0, Clock(60)), server.loop)
        assert busy.wait(30)
        try:
            refused(several(client, "encode", large[:-1]), 422, "unreadable-picture", "/images/0")
        finally:
            go_on.set()


def test_work_between_pictures_can_end_early() -> None:
    data = png(4, 4)
    part = sent.Part(data, inspect(data, PNG, 100), "")
    calls = []

    def between() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise Deadline

    read = sent.Sent(PNG, [part] * 5).read(between)
    assert [next(read).pixels.shape, next(read).pixels.shape] == [(4, 4)] * 2
    with pytest.raises(Deadline):
        next(read)


def test_one_picture_where_one_makes_sense() -> None:
    (picture,) = sent.one(text(png(4, 5)), "/edit/image", 100).read()
    assert picture.pixels.shape == (4, 5)
    (alone,) = sent.one(text(npy(np.zeros((1, 2, 3, 1), np.uint8))), "/edit/image", 100).read()
    assert alone.pixels.shape == (2, 3, 1)
    with pytest.raises(InvalidFields) as caught:
        sent.one(text(npy(np.zeros((2, 2, 3, 1), np.uint8))), "/edit/image", 100)
    assert caught.value.errors[0].pointer == "/edit/image"
    with pytest.raises(UnreadablePicture) as broken:
        sent.one(text(b"x"), "/edit/image", 100)
    assert broken.value.errors[0].pointer == "/edit/image"


async def test_few_pixels_of_a_large_body_are_no_work_for_the_event_loop() -> None:
    state = State(Settings())
    app = create_app(state)
    for size, thread in ((SMALL_BYTES, "MainThread"), (SMALL_BYTES + 1, "picture")):

        async def receive(size: int = size) -> dict[str, Any]:
            return {"type": "http.request", "body": bytes(size), "more_body": False}

        request = Request({"type": "http", "app": app, "state": {"clock": Clock(30)}, "headers": []}, receive)
        assert (await sent.work(request, lambda: threading.current_thread().name, 1)).startswith(thread)
    state.pool.close()


def test_both_pictures_of_a_comparison_are_counted(narrow: httpx.Client) -> None:
    """Or a picture at the limit would take twice the memory that the limit stands for."""
    data, headers = png(50, 41, 3), {"content-type": "image/png"}
    assert narrow.post("/v1/denoise", content=data, headers=headers).status_code == 200
    answer = narrow.post("/v1/denoise?view=compare", content=data, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/picture-too-large")
    assert answer.json()["detail"] == "Side by side the pictures have 4100 pixels; 4000 are allowed."
    assert narrow.post("/v1/denoise?view=compare", content=png(50, 40, 3), headers=headers).status_code == 200
