"""Every form that POST /v1/denoise answers in, and arrays through it to the bit."""

import base64
import io
import re
from typing import Any

import numpy as np
import pytest
from httpx import Client, Response
from PIL import Image

from tests import versions
from tests.service.conftest import Served, encoded, opened, pixels, png, refused
from tests.service.test_pictures import ICC

PNG, JPEG, WEBP, TIFF, NPY, JSON = (
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/tiff",
    "application/x-npy",
    "application/json",
)
FORMS = {PNG: "PNG", JPEG: "JPEG", WEBP: "WEBP", TIFF: "TIFF"}
Array = np.ndarray[Any, Any]


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def loaded(answer: Response) -> Array:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == NPY
    return np.load(io.BytesIO(answer.content), allow_pickle=False)


def send(client: Client, data: bytes, kind: str = PNG, accept: str = "*/*", **query: Any) -> Response:
    return client.post("/v1/denoise", content=data, headers={"content-type": kind, "accept": accept}, params=query)


def several(client: Client, *files: bytes, accept: str = "*/*", **fields: Any) -> Response:
    images = [base64.b64encode(data).decode() for data in files]
    return client.post("/v1/denoise", json={"images": images, **fields}, headers={"accept": accept})


def by_hand(image: Array, sigma: float) -> Array:
    """What the graph makes of `image` [H,W,3], sides multiples of 4, as it is."""
    _, files = versions.denoise()
    inputs = {"image": image.transpose(2, 0, 1)[None].astype(np.float32), "sigma": np.float32([sigma / 255])}
    return versions.run(files["clean.onnx"], inputs)["clean"][0].transpose(1, 2, 0)


def floats(*shape: int, dtype: type[np.floating[Any]] = np.float32) -> Array:
    """From -4 to 5, most of it from 0 to 1."""
    draw = np.random.default_rng(0)
    values = draw.normal(0.5, 0.4, shape)
    values.flat[: values.size // 8] = draw.uniform(-4, 5, values.size // 8)
    return np.clip(values, -4, 5).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_reach_the_graph_as_they_are_and_come_back_as_it_says(
    client: Client, dtype: type[np.floating[Any]]
) -> None:
    image = floats(24, 32, 3, dtype=dtype)
    answer = send(client, npy(image), NPY, strength=30)
    clean = loaded(answer)
    assert clean.dtype == dtype
    assert answer.headers["x-noise-level"] == "30.00"
    assert np.array_equal(clean, by_hand(image, 30).astype(dtype))
    assert clean.min() < -1
    assert clean.max() > 2


def test_grey_floats_go_through_three_equal_channels(client: Client) -> None:
    grey = floats(24, 32)
    clean = loaded(send(client, npy(grey), NPY, strength=30))
    assert np.array_equal(clean, by_hand(np.repeat(grey[..., None], 3, axis=2), 30).mean(axis=2))


def test_amount_blends_floats(client: Client) -> None:
    image = floats(24, 32, 3)
    half = loaded(send(client, npy(image), NPY, strength=30, amount=0.5))
    assert np.array_equal(half, image + np.float32(0.5) * (by_hand(image, 30) - image))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (9, 7, 3), (1, 9, 7, 1), (3, 9, 7, 1), (2, 9, 7, 3)])
def test_arrays_come_back_in_their_layout_and_type(client: Client, shape: tuple[int, ...], dtype: Any) -> None:
    draw = np.random.default_rng(0)
    array = draw.random(shape).astype(dtype) if dtype(0.5) else draw.integers(0, 256, shape).astype(dtype)
    untouched = send(client, npy(array), NPY, strength=0)
    assert untouched.content == npy(array)
    assert untouched.headers["content-type"] == NPY
    clean = loaded(send(client, npy(array), NPY, strength=40))
    assert (clean.shape, clean.dtype) == (shape, dtype)
    assert not np.array_equal(clean, array)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_integers_are_the_floats_rounded(client: Client, dtype: Any) -> None:
    image = pixels(24, 32, 3).astype(dtype)
    scale = 1 if dtype is np.float32 else np.iinfo(dtype).max
    image = image / 255 if dtype is np.float32 else image * (scale // 255)
    clean = loaded(send(client, npy(image.astype(dtype)), NPY, strength=25))
    expected = by_hand(pixels(24, 32, 3) / np.float32(255), 25)
    if dtype is np.float32:
        assert np.abs(clean - expected).max() < 1e-6
    else:
        assert np.abs(clean - np.clip(expected, 0, 1) * scale).max() < 0.51


def test_an_array_of_pixels_is_the_picture_of_them(client: Client) -> None:
    for shape in ((20, 30), (20, 30, 3)):
        as_picture = send(client, png(*shape))
        as_array = send(client, npy(pixels(*shape)), NPY)
        assert np.array_equal(loaded(as_array), np.asarray(opened(as_picture.content)))
        assert as_array.headers["x-noise-level"] == as_picture.headers["x-noise-level"]
        assert send(client, npy(pixels(*shape)), NPY, PNG).content == as_picture.content
        assert np.array_equal(loaded(send(client, png(*shape), accept=NPY)), loaded(as_array))


def test_floats_are_shown_in_8_bit_where_a_picture_is_asked_for(client: Client) -> None:
    image = floats(24, 32, 3)
    shown = np.asarray(opened(send(client, npy(image), NPY, PNG, strength=30).content))
    assert np.array_equal(
        shown, (np.clip(by_hand(image, 30), 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    )
    for kind in (JPEG, WEBP):
        answer = send(client, npy(image), NPY, kind)
        assert opened(answer.content).format == FORMS[kind]


@pytest.mark.parametrize("kind", [PNG, JPEG, WEBP])
@pytest.mark.parametrize("accept", [PNG, JPEG, WEBP, "*/*", "image/*"])
def test_every_picture_in_every_form(client: Client, kind: str, accept: str) -> None:
    data = encoded(Image.fromarray(pixels(20, 30, 3)), FORMS[kind], icc_profile=ICC)
    answer = send(client, data, kind, accept)
    form = kind if "*" in accept else accept
    assert answer.headers["content-type"] == form
    image = opened(answer.content)
    assert (image.format, image.size, image.info["icc_profile"]) == (FORMS[form], (30, 20), ICC)


def test_the_form_of_what_cannot_be_written(client: Client) -> None:
    tiff = encoded(Image.fromarray(pixels(20, 30)), "TIFF")
    assert send(client, tiff, TIFF).headers["content-type"] == PNG
    assert send(client, tiff, TIFF, "image/tiff, image/webp;q=0.5").headers["content-type"] == WEBP
    refused(send(client, tiff, TIFF, TIFF), 406, "not-acceptable")
    deep = encoded(Image.fromarray(pixels(20, 30).astype(np.uint16) * 257), "TIFF")
    answer = send(client, deep, TIFF)
    assert opened(answer.content).mode == "I;16"
    assert answer.content == send(client, encoded(Image.fromarray(pixels(20, 30).astype(np.uint16) * 257))).content


def test_what_a_form_cannot_hold_is_refused_or_another_is_taken(client: Client) -> None:
    clear, deep = encoded(Image.new("RGBA", (16, 16))), encoded(Image.new("I;16", (9, 9)))
    for data, kind, words in (
        (
            clear,
            JPEG,
            "image/jpeg cannot hold transparency; this answer can be image/png, image/webp, app",
        ),
        (clear, NPY, "application/x-npy cannot hold transparency"),
        (
            deep,
            JPEG,
            "image/jpeg cannot hold 16 bit; this answer can be image/png, application/x-npy, app",
        ),
        (deep, WEBP, "image/webp cannot hold 16 bit"),
    ):
        assert words in refused(send(client, data, accept=kind), 406, "not-acceptable")
        assert send(client, data, accept=f"{kind}, */*;q=0.1").headers["content-type"] == PNG
    colour = npy(np.zeros((4, 4, 3), np.uint16))
    assert send(client, colour, NPY, PNG).status_code == 200
    refused(send(client, colour, NPY, JPEG), 406, "not-acceptable")


def test_alpha_and_exif_live_in_webp(client: Client) -> None:
    image = Image.fromarray(np.dstack([pixels(20, 30, 3), pixels(20, 30, seed=1)]))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    answer = opened(send(client, encoded(image, exif=exif), accept=WEBP).content)
    assert (answer.mode, answer.size) == ("RGBA", (20, 30))
    assert np.array_equal(np.asarray(answer.getchannel("A")), np.rot90(pixels(20, 30, seed=1), -1))
    assert answer.getexif()[0x010F] == "Maker"


@pytest.mark.parametrize("kind", [JPEG, WEBP])
def test_quality_is_that_of_lossy_answers(client: Client, kind: str) -> None:
    low, high = (send(client, png(64, 64, 3), accept=kind, quality=quality).content for quality in (5, 95))
    assert len(low) < len(high)


def test_json_tells_of_every_picture(client: Client) -> None:
    files = [png(20, 30, 3), png(9, 7), npy(floats(8, 12, 3))]
    answer = several(client, *files)
    assert (answer.headers["content-type"], answer.headers["x-model"]) == (JSON, "photo-dae")
    assert "x-noise-level" not in answer.headers
    tree = answer.json()
    assert (list(tree), tree["model"], tree["version"]) == (["model", "version", "images"], "photo-dae", 1)
    kinds = (PNG, PNG, NPY)
    for data, kind, found in zip(files, kinds, tree["images"], strict=True):
        alone = send(client, data, kind, PNG)
        assert list(found) == ["image", "width", "height", "noise_level"]
        assert base64.b64decode(found["image"]) == alone.content
        assert (found["width"], found["height"]) == opened(alone.content).size
        assert f"{found['noise_level']:.2f}" == alone.headers["x-noise-level"]


def test_json_may_be_asked_for_and_may_hold_the_options(client: Client) -> None:
    answer = send(client, png(20, 30, 3), accept=JSON, strength=25, amount=0.5)
    assert answer.headers["x-noise-level"] == "25.00"
    assert answer.json() == several(client, png(20, 30, 3), strength=25, amount=0.5).json()
    named = several(client, png(20, 30, 3), strength="auto", model="photo-dae", version=1, view="result", quality=5)
    assert named.json() == several(client, png(20, 30, 3)).json()


@pytest.mark.parametrize(
    "fields",
    [
        {"strength": "25"},
        {"strength": True},
        {"strength": 101},
        {"strength": -1},
        {"strength": 10**400},
        {"strength": None},
        {"strength": [25]},
        {"amount": "1"},
        {"amount": 1.1},
        {"quality": 0},
        {"quality": 50.0},
        {"view": "both"},
        {"colour": 1},
    ],
    ids=str,
)
def test_wrong_fields_are_pointed_at(client: Client, fields: dict[str, Any]) -> None:
    refused(several(client, png(4, 4), **fields), 422, "invalid-fields", *(f"/{name}" for name in fields))


def test_one_picture_in_json_may_be_answered_as_a_picture(client: Client) -> None:
    answer = several(client, png(20, 30, 3), accept=PNG)
    assert answer.content == send(client, png(20, 30, 3)).content
    assert answer.headers["content-type"] == PNG
    assert several(client, png(20, 30, 3), accept="image/*").headers["content-type"] == PNG


def test_several_pictures_are_no_picture(client: Client) -> None:
    stack = npy(np.zeros((2, 8, 8, 3), np.uint8))
    for answer in (several(client, png(8, 8), png(8, 8), accept=PNG), send(client, stack, NPY, "image/*")):
        detail = refused(answer, 406, "not-acceptable")
        assert re.fullmatch(r"image/\w+ cannot hold 2 pictures; this answer can be .*application/json\.", detail)
    assert send(client, stack, NPY, "image/png, application/json;q=0.1").headers["content-type"] == JSON
    one = npy(np.zeros((1, 8, 8, 3), np.uint8))
    assert send(client, one, NPY, PNG).headers["content-type"] == PNG
    assert loaded(send(client, one, NPY)).shape == (1, 8, 8, 3)


def test_pictures_of_one_kind_are_stacked_as_an_array(client: Client) -> None:
    files = [png(20, 30, 3, seed=seed) for seed in range(3)]
    stack = loaded(several(client, *files, accept=NPY))
    assert (stack.shape, stack.dtype) == ((3, 20, 30, 3), np.uint8)
    for data, clean in zip(files, stack, strict=True):
        assert np.array_equal(clean, np.asarray(opened(send(client, data).content)))
    assert loaded(several(client, png(9, 7), npy(pixels(9, 7, 1)), accept=NPY)).shape == (2, 9, 7, 1)
    assert loaded(several(client, npy(pixels(9, 7, 1)), accept=NPY)).shape == (9, 7, 1)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(Image.fromarray(pixels(30, 20, 3)), exif=exif)
    assert loaded(several(client, files[0], turned, accept=NPY)).shape == (2, 20, 30, 3)


@pytest.mark.parametrize(
    "other", [png(20, 31, 3), png(20, 30), npy(np.zeros((20, 30, 3), np.float32)), png(30, 20, 3)], ids=range(4)
)
def test_others_are_not(client: Client, other: bytes) -> None:
    detail = refused(several(client, png(20, 30, 3), other, accept=NPY), 406, "not-acceptable")
    assert "different sizes or types; this answer can be application/json." in detail
    both = several(client, png(20, 30, 3), other, accept=f"{NPY}, {JSON};q=0.1")
    assert both.headers["content-type"] == JSON


def test_a_stack_is_its_pictures_one_by_one(client: Client) -> None:
    """The level of noise is that of each."""
    draw = np.random.default_rng(0)
    stack = np.stack([pixels(20, 32, 3) + draw.normal(0, sigma, (20, 32, 3)) for sigma in (0, 20, 60)]) / 255
    stack = np.clip(stack, -4, 5).astype(np.float32)
    together = loaded(send(client, npy(stack), NPY))
    alone = [send(client, npy(picture), NPY) for picture in stack]
    assert np.array_equal(together, [loaded(answer) for answer in alone])
    levels = [image["noise_level"] for image in send(client, npy(stack), NPY, JSON).json()["images"]]
    assert levels == [float(answer.headers["x-noise-level"]) for answer in alone]
    assert len(set(levels)) == 3


@pytest.mark.parametrize("kind", [PNG, TIFF, NPY])
def test_compare_shows_before_and_after(client: Client, kind: str) -> None:
    data = npy(pixels(20, 30, 3)) if kind == NPY else encoded(Image.fromarray(pixels(20, 30, 3)), FORMS[kind])

    def shown(**query: Any) -> Array:
        answer = send(client, data, kind, **query)
        return loaded(answer) if kind == NPY else np.asarray(opened(answer.content))

    both = shown(view="compare")
    assert both.shape == (20, 60, 3)
    assert np.array_equal(both[:, :30], pixels(20, 30, 3))
    assert np.array_equal(both[:, 30:], shown())
    assert not np.array_equal(both[:, :30], both[:, 30:])


def test_compare_of_floats_stacks_alpha_and_json(client: Client) -> None:
    stack = floats(2, 8, 12, 3)
    both = loaded(send(client, npy(stack), NPY, view="compare"))
    assert both.shape == (2, 8, 24, 3)
    assert np.array_equal(both[:, :, :12], stack)
    assert np.array_equal(both[:, :, 12:], loaded(send(client, npy(stack), NPY)))
    clear = Image.fromarray(np.dstack([pixels(20, 30, 3), pixels(20, 30, seed=1)]))
    for accept in (PNG, WEBP):
        alpha = np.asarray(opened(send(client, encoded(clear), accept=accept, view="compare").content).getchannel("A"))
        assert np.array_equal(alpha, np.hstack([pixels(20, 30, seed=1)] * 2))
    (found,) = several(client, png(20, 30, 3), view="compare").json()["images"]
    assert (found["width"], found["height"]) == (60, 20)
    assert base64.b64decode(found["image"]) == send(client, png(20, 30, 3), view="compare").content
    for accept in (JPEG, WEBP):
        assert opened(send(client, png(20, 30, 3), accept=accept, view="compare").content).size == (60, 20)


def test_a_broken_picture_is_refused_before_others_are_worked_on(client: Client) -> None:
    broken = bytearray(png(20, 30))
    broken[-14] ^= 1  # in the checksum of the pixels: the header is whole
    answer = several(client, png(20, 30), bytes(broken))
    refused(answer, 422, "unreadable-picture", "/images/1")
    assert "decode;dur" in answer.headers["server-timing"]
    assert "run;dur" not in answer.headers["server-timing"]


def test_the_queue_counts_the_pixels_of_all_pictures(served: tuple[Served, Client]) -> None:
    server, client = served
    pool = server.state.pool
    pool.small.pixels += 128_000_000 - 100  # as if pictures of that size were being worked on
    one, two = several(client, png(8, 8)), several(client, png(8, 8), png(8, 8))
    pool.small.pixels -= 128_000_000 - 100
    assert one.status_code == 200
    refused(two, 503, "overloaded", setting="HARMONIUM_MAX_QUEUE_PIXELS")


def test_compare_may_be_too_wide_for_a_form(client: Client) -> None:
    line = encoded(Image.fromarray(pixels(4, 9000)), "WEBP")
    assert send(client, line, WEBP).headers["content-type"] == WEBP
    assert send(client, line, WEBP, view="compare").headers["content-type"] == PNG
    detail = refused(send(client, line, WEBP, WEBP, view="compare"), 406, "not-acceptable")
    assert "a side of more than 16383 pixels; this answer can be image/png, image/jpeg, application/x-npy" in detail
    column = encoded(Image.fromarray(pixels(9000, 4)), "WEBP")
    assert send(client, column, WEBP, view="compare").headers["content-type"] == WEBP
