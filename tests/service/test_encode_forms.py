"""Encodings of many pictures, as arrays, and decoded again."""

import asyncio
import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from httpx import ASGITransport, AsyncClient, Client, Response
from PIL import Image

from models.store import Store
from service.api.schema import EncodeAnswer
from service.app import create_app
from service.runtime.model import RUN_PIXELS
from service.settings import Settings
from service.state import State
from tests import versions
from tests.service.conftest import encoded, opened, png, refused, serving

NPY, JSON = "application/x-npy", "application/json"
Array = np.ndarray[Any, Any]


def without_quantiles() -> versions.Built:
    manifest, files = versions.encode_and_generate(name="no-quantiles")
    encode, generate = manifest.tasks
    return manifest.model_copy(update={"tasks": (encode.model_copy(update={"error_quantiles": ()}), generate)}), files


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """`digits-vae` decodes as well; the others each lack something that a reconstruction needs."""
    folder: Path = tmp_path_factory.mktemp("decoders")
    store = Store([folder])
    for manifest, files in (
        versions.encode_and_generate(),
        versions.encode(name="encoder"),
        versions.encode_and_generate(name="conditional", classes=3),
        without_quantiles(),
    ):
        store.publish(manifest, files)
    with serving(folder) as (_, client):
        yield client


def digits(count: int) -> Array:
    """Pictures of 28 x 28 on a dark ground."""
    images = np.zeros((count, 28, 28), np.uint8)
    images[:, 4:24, 6:22] = np.random.default_rng(0).integers(0, 256, (count, 20, 16))
    return images


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def several(client: Client, images: Array, accept: str = "*/*", **fields: Any) -> Response:
    files = [base64.b64encode(encoded(Image.fromarray(image))).decode() for image in images]
    return client.post("/v1/encode", json={"images": files, **fields}, headers={"accept": accept})


def one(client: Client, image: Array, accept: str = "*/*", **query: Any) -> Response:
    headers = {"content-type": "image/png", "accept": accept}
    return client.post("/v1/encode", content=encoded(Image.fromarray(image)), headers=headers, params=query)


def by_hand(image: Array) -> tuple[Array, Array]:
    """Mean [Z] and reconstruction [28,28] of `image` [28,28] in 0..1."""
    _, files = versions.encode_and_generate()
    mean = versions.run(files["encode.onnx"], {"image": image[None, None].astype(np.float32)})["mean"]
    return mean[0], versions.run(files["decode.onnx"], {"latent": mean})["image"][0, 0]


@pytest.mark.parametrize("count", [1, 2, 33, 100])
def test_a_picture_is_encoded_alike_whoever_is_beside_it(client: Client, count: int) -> None:
    images = digits(count)
    together = several(client, images).json()["encodings"]
    assert len(together) == count
    for place in {0, count // 2, count - 1}:
        assert [together[place]] == one(client, images[place]).json()["encodings"]


def test_all_bodies_say_the_same(client: Client) -> None:
    images = digits(3)
    expected = several(client, images)
    grey = client.post("/v1/encode", content=npy(images[..., None]), headers={"content-type": NPY})
    assert grey.json() == expected.json()
    colour = several(
        client, images[..., None].repeat(3, axis=3), NPY
    )  # by their luma, which is theirs but for rounding
    codes = np.load(io.BytesIO(several(client, images, NPY).content))
    assert np.allclose(np.load(io.BytesIO(colour.content)), codes, atol=1e-5)


def test_floats_reach_the_graph_as_they_are(client: Client) -> None:
    image = np.zeros((28, 28), np.float64)
    image[4:24, 6:22] = np.random.default_rng(0).uniform(-4, 5, (20, 16))
    headers = {"content-type": NPY, "accept": NPY}
    answer = client.post("/v1/encode", content=npy(image), headers=headers)
    code = np.load(io.BytesIO(answer.content))
    _, files = versions.encode()
    twice = np.stack([image.astype(np.float32)[None]] * 2)  # a lone row runs beside a copy of itself
    outputs = versions.run(files["encode.onnx"], {"image": twice})
    assert np.array_equal(code, np.stack([outputs["mean"][:1], outputs["log_variance"][:1]], axis=1))


@pytest.mark.parametrize("count", [1, 3])
def test_codes_as_an_array(client: Client, count: int) -> None:
    answer = several(client, digits(count), NPY)
    assert (answer.headers["content-type"], answer.headers["x-model"]) == (NPY, "digits-vae")
    codes = np.load(io.BytesIO(answer.content), allow_pickle=False)
    assert (codes.shape, codes.dtype) == ((count, 2, 4), np.float32)
    encodings = several(client, digits(count)).json()["encodings"]
    expected = [[encoding["mean"], encoding["log_variance"]] for encoding in encodings]
    assert np.array_equal(codes, np.array(expected, np.float32))


def test_an_array_cannot_hold_more_than_codes(client: Client) -> None:
    image = digits(1)[0]
    for query in ({"sample": 1}, {"reconstruct": "true"}):
        assert "this answer can be application/json" in refused(one(client, image, NPY, **query), 406, "not-acceptable")
        answer = one(client, image, f"{NPY}, {JSON};q=0.1", **query)
        assert answer.headers["content-type"] == JSON
    refused(one(client, image, "image/png"), 406, "not-acceptable")
    assert one(client, image, f"{NPY}, {JSON};q=0.1").headers["content-type"] == NPY


def test_picture_i_is_sampled_with_seed_plus_i(client: Client) -> None:
    images = digits(3)
    together = several(client, images, sample=7).json()["encodings"]
    for place, image in enumerate(images):
        assert [together[place]] == one(client, image, sample=7 + place).json()["encodings"]
    last = several(client, images, sample=2**63 - 3)
    assert last.status_code == 200
    assert "last picture's seed" in refused(several(client, images, sample=2**63 - 2), 422, "invalid-fields", "/sample")


def test_a_reconstruction_is_the_decoded_mean(client: Client) -> None:
    images = digits(3)
    answer = several(client, images, reconstruct=True)
    EncodeAnswer.model_validate_json(answer.content, strict=True)
    together = answer.json()["encodings"]
    for image, encoding in zip(images, together, strict=True):
        assert [encoding] == one(client, image, reconstruct="true").json()["encodings"]
        scaled = image / np.float32(255)
        mean, drawn = by_hand(scaled)
        assert encoding["mean"] == pytest.approx(mean.tolist(), abs=1e-5)
        error = float(np.mean((drawn.astype(float) - scaled) ** 2))
        assert encoding["reconstruction_error"] == pytest.approx(error, rel=1e-4)
        shown = opened(base64.b64decode(encoding["reconstruction"]))
        assert (shown.format, shown.mode, shown.size) == ("PNG", "L", (28, 28))
        assert np.abs(np.asarray(shown) - drawn * 255).max() < 0.51


def test_a_reconstruction_has_the_polarity_of_the_model(client: Client) -> None:
    image = digits(1)[0]
    dark = one(client, image, reconstruct="true").json()["encodings"][0]
    light = one(client, 255 - image, reconstruct="true").json()["encodings"][0]
    assert (dark.pop("inverted"), light.pop("inverted")) == (False, True)
    assert light.pop("reconstruction") == dark.pop("reconstruction")
    assert light["reconstruction_error"] == pytest.approx(dark["reconstruction_error"], abs=1e-6)


@pytest.mark.parametrize("scale", [0.0, 0.2, 0.4, 0.6, 1.0, 3.0])
def test_anomaly_is_the_share_of_held_out_pictures_that_look_less_odd(client: Client, scale: float) -> None:
    """The quantiles 0, 1/4 ... 1 of the held-out errors are 0, 0.01, 0.02, 0.04 and 0.2."""
    _, drawn = by_hand(np.zeros((28, 28), np.float32))
    image = (drawn * scale).astype(np.float32)
    answer = client.post("/v1/encode?reconstruct=true&invert=false", content=npy(image), headers={"content-type": NPY})
    (encoding,) = answer.json()["encodings"]
    error, steps = encoding["reconstruction_error"], (0.0, 0.01, 0.02, 0.04, 0.2)
    below = sum(step <= error for step in steps) - 1
    expected = 1.0 if below == 4 else (below + (error - steps[below]) / (steps[below + 1] - steps[below])) / 4
    assert encoding["anomaly"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("encoder", "encoder version 1 has no decoder"),
        ("conditional", "needs a class"),
        ("no-quantiles", "no errors of held-out pictures"),
    ],
)
def test_a_version_that_cannot_reconstruct_says_why(client: Client, model: str, words: str) -> None:
    image = digits(1)[0]
    detail = refused(one(client, image, model=model, reconstruct="true"), 422, "invalid-fields", "/reconstruct")
    assert words in detail
    refused(several(client, digits(2), model=model, reconstruct=True), 422, "invalid-fields", "/reconstruct")
    assert one(client, image, model=model, reconstruct="false").status_code == 200


@pytest.mark.parametrize(("value", "inverted"), [(True, True), (False, False), ("true", True), ("auto", False)])
def test_invert_may_be_said_as_json_says_it(client: Client, value: Any, inverted: bool) -> None:
    (encoding,) = several(client, digits(1), invert=value).json()["encodings"]
    assert encoding["inverted"] is inverted


@pytest.mark.parametrize(
    "fields",
    [
        {"fit": "crop"},
        {"invert": 1},
        {"invert": "maybe"},
        {"sample": "7"},
        {"sample": True},
        {"sample": 1.5},
        {"sample": -1},
        {"sample": 2**63},
        {"reconstruct": "true"},
        {"reconstruct": 1},
        {"colour": 1},
    ],
    ids=str,
)
def test_wrong_fields_are_pointed_at(client: Client, fields: dict[str, Any]) -> None:
    refused(several(client, digits(1), **fields), 422, "invalid-fields", *(f"/{name}" for name in fields))


def test_small_pictures_are_counted_at_the_size_of_the_model(tmp_path: Path) -> None:
    """A picture of one pixel becomes one of 784."""
    Store([tmp_path]).publish(*versions.encode())
    with serving(tmp_path, max_pixels=1600) as (_, client):
        dots = np.zeros((3, 1, 1), np.uint8)
        assert several(client, dots[:2]).status_code == 200
        detail = refused(several(client, dots), 413, "picture-too-large", setting="HARMONIUM_MAX_PIXELS")
        assert "3 pictures have 2352 pixels together at the model's size; 1600 are allowed" in detail


def test_pictures_of_many_sizes_go_together(client: Client) -> None:
    files = [png(300, 400, 3), png(1, 1), png(28, 28), encoded(Image.new("RGBA", (9, 40)))]
    images = [base64.b64encode(data).decode() for data in files]
    for how in ("letterbox", "stretch"):
        together = client.post("/v1/encode", json={"images": images, "fit": how}).json()["encodings"]
        alone = [
            client.post("/v1/encode", content=data, params={"fit": how}, headers={"content-type": "image/png"}).json()
            for data in files
        ]
        assert together == [encoding for tree in alone for encoding in tree["encodings"]]


async def test_many_pictures_leave_turns_of_the_loop_to_others(tmp_path: Path) -> None:
    Store([tmp_path]).publish(*versions.encode(max_batch=256))
    state = State(Settings(models=str(tmp_path)))
    state.library.shelf = state.library.scan()
    transport = ASGITransport(create_app(state))

    async def turns_of_a_call(pictures: int) -> int:
        """While nothing else runs and nothing is waited for."""
        async with AsyncClient(transport=transport, base_url="http://here") as client:
            body, headers = npy(np.zeros((pictures, 1, 1, 1), np.uint8)), {"content-type": NPY}
            call = asyncio.ensure_future(client.post("/v1/encode", content=body, headers=headers))
            turns = 0
            while not call.done():
                await asyncio.sleep(0)
                turns += 1
            assert call.result().status_code == 200
            return turns

    rows = RUN_PIXELS // 784
    one_run, four_runs = await turns_of_a_call(rows), await turns_of_a_call(3 * rows + 1)
    assert four_runs - one_run == 3
    state.pool.close()
