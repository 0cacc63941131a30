"""POST /v1/generate: forms of answer."""

import httpx
import numpy as np
import pytest

from tests.agreement import client as api
from tests.agreement.asking import (
    FORMATS,
    GENERATED,
    GIF,
    JPEG,
    PNG,
    WEBP,
    ZIP,
    Json,
    ask,
    decoded,
    drawn,
    opened,
    pixels,
    refused,
)


def test_empty_request_is_one_picture(client: httpx.Client) -> None:
    answer = api.generate(client, {})
    assert answer.type == PNG
    assert opened(answer.value).size == opened(api.generate(client, api.seeds(seed=0)).value).size


@pytest.mark.parametrize("accept", GENERATED)
def test_every_form_of_a_way_is_answered(client: httpx.Client, accept: str) -> None:
    assert api.generate(client, api.interpolate({"seed": 1}, {"seed": 2}, 3), accept).type == accept


@pytest.mark.parametrize("accept", [PNG, WEBP])
def test_one_picture_is_answered_alone(client: httpx.Client, accept: str) -> None:
    image = opened(api.generate(client, api.seeds(seed=3), accept).value)
    assert image.format == FORMATS[accept]
    assert (image.height, image.width) == api.generate_array(client, api.seeds(seed=3)).value.shape[1:3]


def test_default_form_is_png(client: httpx.Client) -> None:
    assert api.generate(client, api.seeds(4, seed=0)).type == PNG


@pytest.mark.parametrize("accept", [PNG, WEBP])
def test_several_pictures_are_a_sheet(client: httpx.Client, accept: str) -> None:
    one = opened(api.generate(client, api.seeds(seed=0)).value)
    sheet = opened(api.generate(client, api.seeds(6, seed=0), accept).value)
    assert sheet.format == FORMATS[accept]
    assert sheet.width * sheet.height >= 6 * one.width * one.height


@pytest.mark.parametrize("accept", [PNG, WEBP])
def test_single_refuses_a_sheet(client: httpx.Client, accept: str) -> None:
    refused(ask(client, "generate", api.seeds(2, form="single"), accept), 406, "not-acceptable")


@pytest.mark.parametrize("accept", [PNG, WEBP])
def test_single_answers_one_picture(client: httpx.Client, accept: str) -> None:
    single = api.generate(client, api.seeds(seed=8, form="single"), accept)
    assert single.value == api.generate(client, api.seeds(seed=8), accept).value


def test_archive_has_one_png_each(client: httpx.Client) -> None:
    files = api.generate_zip(client, api.seeds(12, seed=5)).value
    assert [opened(file).format for file in files] == ["PNG"] * 12


def test_archive_is_streamed(client: httpx.Client) -> None:
    """Reading: nobody knows its length before it ends."""
    assert "content-length" not in api.generate(client, api.seeds(12), ZIP).headers


def test_json_has_the_fields_of_the_agreement(client: httpx.Client) -> None:
    answer = api.generate_told(client, api.seeds(3, seed=5)).value
    assert set(answer) == {"model", "version", "seed", "images"}
    assert answer["seed"] == 5
    assert [opened(decoded(image)).format for image in answer["images"]] == ["PNG"] * 3


@pytest.mark.parametrize("count", [1, 3])
def test_array_is_a_stack_of_bytes(client: httpx.Client, count: int) -> None:
    array = api.generate_array(client, api.seeds(count, seed=5)).value
    assert array.dtype == np.uint8
    assert array.ndim in (3, 4)
    assert array.shape[0] == count


def test_forms_hold_the_same_pictures(client: httpx.Client) -> None:
    request = api.seeds(4, seed=21)
    array = api.generate_array(client, request).value
    files = api.generate_zip(client, request).value
    told = drawn(client, request)
    for stacked, file, png in zip(array, files, told, strict=True):
        assert np.array_equal(np.squeeze(stacked), pixels(file))
        assert file == png


def test_webp_is_the_same_size(client: httpx.Client) -> None:
    png, webp = (opened(api.generate(client, api.seeds(seed=2), accept).value) for accept in (PNG, WEBP))
    assert png.size == webp.size


@pytest.mark.parametrize("request_", [{"seed": 1}, {"seed": 1, "count": 2}])
def test_gif_is_for_a_way_alone(client: httpx.Client, request_: Json) -> None:
    refused(ask(client, "generate", request_, GIF), 406, "not-acceptable")


@pytest.mark.parametrize("accept", ["text/html", JPEG])
def test_form_of_pictures_that_is_not_served_is_refused(client: httpx.Client, accept: str) -> None:
    """Reading: what is served to this request, so not the animation."""
    response = ask(client, "generate", api.seeds(), accept)
    refused(response, 406, "not-acceptable")
    assert all(served in response.text for served in GENERATED if served != GIF)
