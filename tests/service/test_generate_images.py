"""Pictures made of pictures: edits, and interpolation between what was sent."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from httpx import Client
from PIL import Image

from models.store import Store
from service.runtime.latents import between
from tests import versions
from tests.service.conftest import encoded, pixels, png, refused, serving
from tests.service.generating import array, ask, good, images

PLAIN = versions.encode_and_generate(name="digits-vae")
CONDITIONAL = versions.encode_and_generate(name="of-classes", classes=3)
SMALLER = versions.generate(name="no-encoder", classes=0)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("zoo")
    store = Store([folder])
    for manifest, files in (PLAIN, CONDITIONAL, SMALLER):
        store.publish(manifest, files)
    with serving(folder, default_generate="digits-vae") as (_, client):
        yield client


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def mean(client: Client, data: bytes, kind: str = "image/png", **options: Any) -> Any:
    answer = client.post("/v1/encode", content=data, headers={"content-type": kind}, params=options)
    return np.array(answer.json()["encodings"][0]["mean"], np.float32)


DARK = np.zeros((28, 28), np.uint8)
DARK[4:24, 10:17] = pixels(20, 7)
DIGIT = encoded(Image.fromarray(DARK))
EDIT = {"image": text(DIGIT), "direction": "first", "amount": 1.5}
FILES = [
    (DIGIT, "image/png"),
    (encoded(Image.fromarray(255 - DARK)), "image/png"),  # light ground: inverted
    (png(40, 90), "image/png"),  # another size and shape: with margins
    (png(300, 400, 3), "image/png"),  # large enough for a thread
    (encoded(Image.fromarray(DARK), "JPEG"), "image/jpeg"),
    (encoded(Image.fromarray(DARK).convert("RGB"), "WEBP"), "image/webp"),
    (encoded(Image.fromarray(DARK), "TIFF"), "image/tiff"),
    (npy(DARK), "application/x-npy"),
]


@pytest.mark.parametrize(("data", "kind"), FILES)
def test_an_edit_goes_from_the_pictures_mean_along_the_direction(client: Client, data: bytes, kind: str) -> None:
    edit = EDIT | {"image": text(data)}
    moved = mean(client, data, kind) + np.array([1.5, 0, 0, 0], np.float32)
    assert images(client, edit=edit) == images(client, latents=[moved.tolist()])
    back = mean(client, data, kind)
    assert images(client, edit=edit | {"amount": 0}) == images(client, latents=[back.tolist()])


def test_an_edit_has_the_class_that_is_given(client: Client) -> None:
    moved = mean(client, DIGIT) + np.array([1.5, 0, 0, 0], np.float32)
    fields = {"model": "of-classes", "class": 2}
    assert images(client, edit=EDIT, **fields) == images(client, latents=[moved.tolist()], **fields)
    drawn = ask(client, "application/json", edit=EDIT, model="of-classes")
    told = int(drawn.headers["x-seed"])
    assert ask(client, "application/json", edit=EDIT, model="of-classes", seed=told).content == drawn.content


@pytest.mark.parametrize("accept", ["image/png", "image/webp", "application/zip", "application/x-npy"])
def test_an_edit_is_one_picture_in_every_form(client: Client, accept: str) -> None:
    moved = mean(client, DIGIT) + np.array([1.5, 0, 0, 0], np.float32)
    assert good(client, accept, edit=EDIT, form="single") == good(client, accept, latents=[moved.tolist()])


def test_ends_may_be_pictures(client: Client) -> None:
    other = png(40, 90)
    drawn = np.random.Generator(np.random.PCG64(5)).standard_normal(4, np.float32)
    for start, end, ends in (
        ({"image": text(DIGIT)}, {"image": text(other)}, (mean(client, DIGIT), mean(client, other))),
        ({"seed": 5}, {"image": text(DIGIT)}, (drawn, mean(client, DIGIT))),
    ):
        path = array(client, interpolate={"from": start, "to": end, "steps": 4})
        assert np.array_equal(path, array(client, latents=between(*ends, 4, "slerp").tolist()))


def test_pictures_are_made_to_fit_as_told(client: Client) -> None:
    """As /v1/encode does with the same words."""
    tall = png(40, 90)
    for told in ({"fit": "stretch"}, {"invert": True}, {"fit": "letterbox", "invert": "auto"}):
        end = {"image": text(tall)} | told
        path = array(client, interpolate={"from": end, "to": {"seed": 5}, "steps": 2})
        edited = array(client, edit=end | {"direction": "first", "amount": 0})
        right = array(client, latents=[mean(client, tall, **told).tolist()])
        assert np.array_equal(path[:1], right)
        assert np.array_equal(edited, right)
    turned, plain = (mean(client, tall, invert=value) for value in (True, False))
    assert not np.array_equal(turned, plain)


def test_only_a_picture_is_made_to_fit(client: Client) -> None:
    answer = ask(client, interpolate={"from": {"seed": 1, "fit": "stretch"}, "to": {"seed": 2}, "steps": 2})
    assert "for an image" in refused(answer, 422, "invalid-fields", "/interpolate/from")


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"fit": "crop"}, "/edit/fit"),
        ({"invert": "maybe"}, "/edit/invert"),
        ({"image": ""}, "/edit/image"),
        ({"image": "not base64!"}, "/edit/image"),
        ({"image": 1}, "/edit/image"),
        ({"image": text(npy(np.zeros((2, 28, 28, 1), np.uint8)))}, "/edit/image"),
        ({"direction": "width"}, "/edit/direction"),
        ({"direction": 1}, "/edit/direction"),
        ({"amount": 10.5}, "/edit/amount"),
        ({"amount": "1"}, "/edit/amount"),
        ({"strength": 1}, "/edit/strength"),
    ],
)
def test_wrong_edits_are_pointed_at(client: Client, changed: dict[str, Any], pointer: str) -> None:
    refused(ask(client, edit=EDIT | changed), 422, "invalid-fields", pointer)


def test_an_edit_has_three_fields(client: Client) -> None:
    refused(ask(client, edit={}), 422, "invalid-fields", "/edit/image", "/edit/direction", "/edit/amount")


def test_an_unknown_direction_is_refused_with_those_there_are(client: Client) -> None:
    detail = refused(ask(client, edit=EDIT | {"direction": "width"}), 422, "invalid-fields", "/edit/direction")
    assert detail.endswith("is none of this version's directions: first")


def test_a_data_uri_is_told_what_is_too_much(client: Client) -> None:
    """What a browser's FileReader gives."""
    detail = refused(
        ask(client, edit=EDIT | {"image": f"data:image/png;base64,{text(DIGIT)}"}), 422, "invalid-fields", "/edit/image"
    )
    assert "leave out what stands before its base64" in detail


def test_without_an_encoder_no_picture_is_read(client: Client) -> None:
    detail = refused(ask(client, edit=EDIT, model="no-encoder"), 422, "invalid-fields", "/edit/image")
    assert "this version has no graph encode; name a model that has one" in detail
    ends = {"from": {"image": "?"}, "to": {"image": "?"}, "steps": 2}
    pointers = ("/interpolate/from/image", "/interpolate/to/image")
    refused(ask(client, interpolate=ends, model="no-encoder"), 422, "invalid-fields", *pointers)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"GIF89a", "unreadable-picture"),
        (DIGIT[:60], "unreadable-picture"),
        (DIGIT[:-20], "unreadable-picture"),
        (npy(np.zeros((28, 28), np.uint8))[:-1], "unreadable-array"),
        (npy(np.zeros((28, 28), complex)), "unreadable-array"),
    ],
)
def test_a_picture_that_cannot_be_read_is_pointed_at(client: Client, data: bytes, name: str) -> None:
    refused(ask(client, edit=EDIT | {"image": text(data)}), 422, name, "/edit/image")
    ends = {"from": {"seed": 1}, "to": {"image": text(data)}, "steps": 2}
    refused(ask(client, interpolate=ends), 422, name, "/interpolate/to/image")


def test_a_picture_that_is_too_large(tmp_path: Path) -> None:
    Store([tmp_path]).publish(*PLAIN)
    with serving(tmp_path, max_pixels=784) as (_, client):
        assert ask(client, edit=EDIT, model="digits-vae").status_code == 200
        answer = ask(client, edit=EDIT | {"image": text(png(28, 29))}, model="digits-vae")
        refused(answer, 413, "picture-too-large", "/edit/image", setting="HARMONIUM_MAX_PIXELS")


def test_a_direction_is_needed_that_the_manifest_has(tmp_path: Path) -> None:
    manifest, files = PLAIN
    tree = manifest.model_dump(by_alias=True)
    for task in tree["tasks"]:
        if task["task"] == "generate":
            task["directions"] = {}
    Store([tmp_path]).publish(type(manifest).model_validate(tree), files)
    with serving(tmp_path) as (_, client):
        detail = refused(ask(client, edit=EDIT, model="digits-vae"), 422, "invalid-fields", "/edit/direction")
        assert detail.endswith("directions: it has none")
