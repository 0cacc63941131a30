"""POST /v1/denoise: types of body, forms of answer, arrays."""

import json

import httpx
import numpy as np
import pytest

from tests.agreement import client as api
from tests.agreement.asking import (
    BODIES,
    DENOISED,
    FORMATS,
    GIF,
    JPEG,
    JSON,
    NPY,
    PNG,
    TIFF,
    WEBP,
    ZIP,
    ask,
    body,
    noisy,
    opened,
    refused,
    saved,
    scaled,
    send,
)


@pytest.mark.parametrize("accept", DENOISED)
@pytest.mark.parametrize("content_type", BODIES)
def test_picture_of_every_type_is_answered_in_every_form(client: httpx.Client, content_type: str, accept: str) -> None:
    answer = api.denoise(client, body(noisy(), content_type), content_type, accept)
    assert answer.type == accept
    if accept == JSON:
        image = json.loads(answer.value)["images"][0]
        assert (image["width"], image["height"]) == (64, 48)
    elif accept == NPY:
        assert (api.array_of(answer.value).shape, api.array_of(answer.value).dtype) == ((48, 64, 3), np.uint8)
    else:
        image = opened(answer.value)
        assert (image.size, image.format) == ((64, 48), FORMATS[accept])


@pytest.mark.parametrize("content_type", BODIES)
def test_answer_is_of_the_type_of_the_request(client: httpx.Client, content_type: str) -> None:
    answer = api.denoise(client, body(noisy(), content_type), content_type)
    assert answer.type == (PNG if content_type == TIFF else content_type)


def test_answer_to_no_accept_is_of_the_type_of_the_request(client: httpx.Client) -> None:
    request = client.build_request("POST", "/v1/denoise", content=saved(noisy(), WEBP), headers={"Content-Type": WEBP})
    del request.headers["accept"]
    assert client.send(request).headers["content-type"] == WEBP


def test_json_is_answered_as_json(client: httpx.Client) -> None:
    assert ask(client, "denoise", {"images": [api.base64_of(saved(noisy()))] * 2}).headers["content-type"] == JSON


@pytest.mark.parametrize(
    ("accept", "given"),
    [("image/png;q=0.3, image/webp", WEBP), ("text/html, image/jpeg;q=0.1", JPEG), ("text/html, */*;q=0.1", PNG)],
)
def test_accept_is_weighed(client: httpx.Client, accept: str, given: str) -> None:
    assert api.denoise(client, saved(noisy()), PNG, accept).type == given


@pytest.mark.parametrize("accept", ["text/html", TIFF, GIF, ZIP])
def test_form_that_is_not_served_is_refused(client: httpx.Client, accept: str) -> None:
    response = send(client, "denoise", saved(noisy()), PNG, accept)
    refused(response, 406, "not-acceptable")
    assert all(served in response.text for served in DENOISED)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(24, 32), (24, 32, 1), (24, 32, 3), (2, 24, 32, 1), (2, 24, 32, 3)])
def test_array_keeps_layout_and_type(client: httpx.Client, shape: tuple[int, ...], dtype: str) -> None:
    array = scaled(np.resize(noisy(24, 32), shape), dtype)
    answer = api.denoise_array(client, array, strength=20)
    assert answer.type == NPY
    assert (answer.value.shape, answer.value.dtype) == (array.shape, array.dtype)


@pytest.mark.parametrize("accept", [PNG, JPEG, WEBP])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_array_may_be_answered_as_a_picture(client: httpx.Client, dtype: str, accept: str) -> None:
    """Reading: not of uint16, whose colour a picture may not keep."""
    answer = api.denoise(client, api.npy(scaled(noisy(), dtype)), NPY, accept)
    assert answer.type == accept
    assert opened(answer.value).size == (64, 48)


@pytest.mark.parametrize("dtype", ["uint16", "float32", "float64"])
def test_array_of_any_type_is_the_same_picture(client: httpx.Client, dtype: str) -> None:
    told = api.denoise_array(client, noisy(), strength=20).value
    range_ = 65535 if dtype == "uint16" else 1
    other = api.denoise_array(client, scaled(noisy(), dtype), strength=20).value / range_ * 255
    assert np.abs(told - other).max() <= 0.51


def test_array_in_the_order_of_fortran_is_the_same(client: httpx.Client) -> None:
    plain = api.denoise_array(client, noisy(), strength=20).value
    assert np.array_equal(api.denoise_array(client, np.asfortranarray(noisy()), strength=20).value, plain)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_float_beyond_the_nominal_reaches_the_graph(client: httpx.Client, dtype: str) -> None:
    """Reading: they are answered as they come out, not cut to 0..1."""
    array = (noisy() / 255 * 6 - 2).astype(dtype)
    answer = api.denoise_array(client, array, strength=20).value
    assert answer.min() < -0.5
    assert answer.max() > 1.5


@pytest.mark.parametrize("value", [-4.0, 5.0])
def test_float_at_the_end_of_the_range_is_answered(client: httpx.Client, value: float) -> None:
    array = np.full((16, 16), value, np.float32)
    assert np.isfinite(api.denoise_array(client, array, strength=20).value).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_array_that_is_not_finite_is_refused(client: httpx.Client, value: float) -> None:
    """Reading: the type of the refusal is not said, its status is."""
    array = np.full((16, 16), 0.5, np.float32)
    array[3, 4] = value
    response = send(client, "denoise", api.npy(array), NPY)
    assert response.status_code == 422
    assert api.problem(response).kind in ("invalid-fields", "unreadable-array")
