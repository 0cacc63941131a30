import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from httpx import Client, Response
from PIL import Image

from models.store import Store
from tests import versions
from tests.service.conftest import Served, encoded, opened, pixels, png, refused, serving
from tests.service.test_pictures import ICC


def send(client: Client, data: bytes, kind: str = "image/png", accept: str = "*/*", **query: object) -> Response:
    headers = {"content-type": kind, "accept": accept}
    return client.post("/v1/denoise", content=data, headers=headers, params={k: str(v) for k, v in query.items()})


def test_a_picture_comes_back_clean(client: Client) -> None:
    answer = send(client, png(70, 90, 3))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert (answer.headers["x-model"], answer.headers["x-model-version"]) == ("photo-dae", "1")
    assert 5 < float(answer.headers["x-noise-level"]) < 20  # 12 were added
    image = opened(answer.content)
    assert (image.mode, image.size) == ("RGB", (90, 70))
    for stage in ("queue", "decode", "run", "encode"):
        assert f"{stage};dur=" in answer.headers["server-timing"]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "L", "I;16", "P", "1"])
def test_what_a_picture_is_is_kept(client: Client, mode: str) -> None:
    image = {
        "RGBA": Image.fromarray(np.dstack([pixels(20, 30, 3), pixels(20, 30, seed=1)])),
        "LA": Image.fromarray(pixels(20, 30)),
        "L": Image.fromarray(pixels(20, 30)),
        "I;16": Image.fromarray(pixels(20, 30).astype(np.uint16) * 257),
        "P": Image.fromarray(pixels(20, 30, 3)).quantize(16),
        "1": Image.fromarray(pixels(20, 30) > 128),
    }[mode]
    if mode == "LA":
        image.putalpha(Image.fromarray(pixels(20, 30, seed=1)))
    answer = opened(send(client, encoded(image, icc_profile=ICC)).content)
    assert answer.mode == {"P": "RGB", "1": "L"}.get(mode, mode)
    assert answer.size == (30, 20)
    assert answer.info["icc_profile"] == ICC
    if "A" in mode:
        assert np.array_equal(np.asarray(answer.getchannel("A")), pixels(20, 30, seed=1))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_nobody_sees_tells_nothing_of_the_noise(client: Client, mode: str) -> None:
    planes = [pixels(64, 64, seed=seed) for seed in range(len(mode) - 1)]
    alpha = np.full((64, 64), 255, np.uint8)
    alpha[:, 40:] = 0
    other = [plane.copy() for plane in planes]
    for plane in other:
        plane[:, 40:] = 7
    levels = {
        send(client, encoded(Image.fromarray(np.dstack([*found, alpha])))).headers["x-noise-level"]
        for found in (planes, other)
    }
    assert len(levels) == 1


def test_strength_0_and_amount_0_change_nothing(client: Client) -> None:
    for query in ({"strength": 0}, {"amount": 0}):
        answer = send(client, png(20, 30, 3), **query)
        assert np.array_equal(np.asarray(opened(answer.content)), pixels(20, 30, 3))


def test_a_strength_above_the_models_is_the_models(client: Client) -> None:
    answer = send(client, png(20, 30, 3), strength=100)
    assert answer.headers["x-noise-level"] == "75.00"
    assert answer.content == send(client, png(20, 30, 3), strength=75).content


def test_the_form_of_the_answer(client: Client) -> None:
    jpeg, clear = encoded(Image.fromarray(pixels(16, 16, 3)), "JPEG"), encoded(Image.new("RGBA", (16, 16)))
    assert send(client, jpeg, "image/jpeg").headers["content-type"] == "image/jpeg"
    assert send(client, jpeg, "image/jpeg", "image/png").headers["content-type"] == "image/png"
    assert send(client, png(16, 16), accept="image/jpeg, */*;q=0.1").headers["content-type"] == "image/jpeg"
    assert send(client, clear, accept="image/jpeg, */*;q=0.1").headers["content-type"] == "image/png"
    refused(send(client, clear, accept="image/jpeg"), 406, "not-acceptable")
    refused(send(client, encoded(Image.new("I;16", (9, 9))), accept="image/jpeg"), 406, "not-acceptable")
    low, high = (send(client, jpeg, "image/jpeg", quality=quality).content for quality in (5, 95))
    assert len(low) < len(high)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("strength=101", "/strength"),
        ("strength=-1", "/strength"),
        ("strength=nan", "/strength"),
        ("strength=strong", "/strength"),
        ("amount=1.1", "/amount"),
        ("amount=nan", "/amount"),
        ("quality=0", "/quality"),
        ("quality=101", "/quality"),
        ("view=both", "/view"),
        ("version=0", "/version"),
        ("colour=1", "/colour"),
        ("amount=1&amount=1", "/amount"),
    ],
)
def test_wrong_parameters_are_pointed_at(client: Client, query: str, pointer: str) -> None:
    answer = client.post(f"/v1/denoise?{query}", content=png(8, 8), headers={"content-type": "image/png"})
    refused(answer, 422, "invalid-fields", pointer)


def test_too_many_parameters(client: Client) -> None:
    query = "&".join(f"p{number}=1" for number in range(4000))
    answer = client.post(f"/v1/denoise?{query}", content=png(8, 8), headers={"content-type": "image/png"})
    assert "one of 4000 query parameters; 50 are allowed" in refused(answer, 422, "invalid-fields", "/p50")


def test_hostile_and_broken_pictures(client: Client) -> None:
    refused(send(client, png(8, 8)[:-30]), 422, "unreadable-picture")
    refused(send(client, b""), 422, "unreadable-picture")
    refused(send(client, png(8, 8), "image/jpeg"), 422, "unreadable-picture")
    refused(send(client, encoded(Image.new("CMYK", (4, 4)), "JPEG"), "image/jpeg"), 422, "unreadable-picture")
    large = encoded(Image.new("1", (10_001, 5200)))
    refused(send(client, large), 413, "picture-too-large", setting="HARMONIUM_MAX_PIXELS")


def test_too_many_pixels_are_refused_at_the_door(served: tuple[Served, Client]) -> None:
    server, client = served
    pool = server.state.pool
    pool.small.pixels += 128_000_000  # as if pictures of that size were being worked on
    answer = send(client, png(8, 8))
    pool.small.pixels -= 128_000_000
    refused(answer, 503, "overloaded", setting="HARMONIUM_MAX_QUEUE_PIXELS")
    assert answer.headers["retry-after"] == "1"
    assert send(client, png(8, 8)).status_code == 200


def test_a_model_that_takes_no_sigma_finds_out_for_itself(tmp_path: Path) -> None:
    Store([tmp_path]).publish(*versions.denoise(grey=True, blind=True))
    with serving(tmp_path) as (_, client):
        answer = send(client, png(20, 31, 3))
        assert answer.status_code == 200
        assert "x-noise-level" not in answer.headers
        assert not np.array_equal(np.asarray(opened(answer.content)), pixels(20, 31, 3))
        assert opened(send(client, png(20, 31)).content).mode == "L"
        assert np.array_equal(np.asarray(opened(send(client, png(20, 31, 3), amount=0).content)), pixels(20, 31, 3))
        body = {"images": [base64.b64encode(png(20, 31, 3)).decode()]}
        (image,) = client.post("/v1/denoise", json=body).json()["images"]
        assert image["noise_level"] is None
        detail = refused(send(client, png(20, 31, 3), strength=25), 422, "invalid-fields", "/strength")
        assert "must be auto: photo-dae finds out for itself what is wrong" in detail
        refused(client.post("/v1/denoise", json=body | {"strength": 25}), 422, "invalid-fields", "/strength")


@pytest.mark.parametrize("amount", [1, 0.5, 0])
@pytest.mark.parametrize(
    "model", [{"grey": True}, {"grey": True, "blind": True}, {"grey": True, "estimate": True}, {}, {"channels": 1}]
)
def test_a_grey_picture_in_three_channels_is_cleaned_as_a_grey_one(
    tmp_path: Path, amount: float, model: dict[str, Any]
) -> None:
    Store([tmp_path]).publish(*versions.denoise(**model))
    one = pixels(150, 31)
    three = np.repeat(one[..., None], 3, axis=2)
    with serving(tmp_path) as (_, client):

        def cleaned(data: bytes, kind: str, **query: object) -> tuple[np.ndarray, str | None]:
            answer = send(client, data, kind, "application/x-npy", amount=amount, **query)
            assert answer.status_code == 200
            return np.load(io.BytesIO(answer.content)), answer.headers.get("x-noise-level")

        grey, level = cleaned(encoded(Image.fromarray(one)), "image/png")
        for form, settings in (("PNG", {}), ("WEBP", {"lossless": True})):
            found, its = cleaned(encoded(Image.fromarray(three), form, **settings), f"image/{form.lower()}")
            assert np.array_equal(found, np.repeat(grey[..., None], 3, axis=2))
            assert its == level
        compared, _ = cleaned(encoded(Image.fromarray(three)), "image/png", view="compare")
        assert np.array_equal(compared[:, -31:], np.repeat(grey[..., None], 3, axis=2))
        small, large = (io.BytesIO() for _ in range(2))
        np.save(small, (one / 255).astype(np.float32))
        np.save(large, (three / 255).astype(np.float32))
        floats, _ = cleaned(small.getvalue(), "application/x-npy")
        assert np.array_equal(
            cleaned(large.getvalue(), "application/x-npy")[0], np.repeat(floats[..., None], 3, axis=2)
        )


def test_a_picture_that_is_grey_but_for_one_pixel_is_a_colour_picture(tmp_path: Path) -> None:
    Store([tmp_path]).publish(*versions.denoise(grey=True))
    three = np.repeat(pixels(150, 31)[..., None], 3, axis=2)
    three[140, 20, 2] ^= 1
    with serving(tmp_path) as (_, client):
        answer = np.asarray(opened(send(client, encoded(Image.fromarray(three)), strength=25).content))
    assert (answer[:100] != answer[:100, :, :1]).any()  # by the network for colour, far from that pixel too
