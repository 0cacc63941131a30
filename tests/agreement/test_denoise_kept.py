"""POST /v1/denoise: what an answer keeps of the picture."""

import httpx
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from tests.agreement import client as api
from tests.agreement.asking import (
    FORMATS,
    JPEG,
    NPY,
    PNG,
    TIFF,
    WEBP,
    decoded,
    noisy,
    opened,
    pixels,
    png_file,
    refused,
    saved,
    send,
)


@pytest.mark.parametrize("accept", [PNG, WEBP])
@pytest.mark.parametrize("content_type", [PNG, WEBP, TIFF])
def test_alpha_is_kept(client: httpx.Client, content_type: str, accept: str) -> None:
    picture = np.dstack([noisy(), np.arange(48 * 64, dtype=np.uint32).reshape(48, 64).astype(np.uint8)])
    answer = opened(api.denoise(client, saved(picture, content_type), content_type, accept).value)
    assert answer.mode == "RGBA"
    assert np.array_equal(np.asarray(answer.getchannel("A")), picture[..., 3])


@pytest.mark.parametrize("content_type", [PNG, TIFF])
def test_alpha_of_a_grey_picture_is_kept(client: httpx.Client, content_type: str) -> None:
    alpha = Image.fromarray(noisy(channels=1, seed=5))
    image = Image.merge("LA", [Image.fromarray(noisy(channels=1)), alpha])
    answer = opened(api.denoise(client, saved(image, content_type), content_type, PNG).value)
    assert answer.mode == "LA"
    assert np.array_equal(np.asarray(answer.getchannel("A")), np.asarray(alpha))


@pytest.mark.parametrize("accept", [PNG, JPEG, WEBP])
@pytest.mark.parametrize("content_type", list(FORMATS))
def test_icc_profile_is_kept(client: httpx.Client, content_type: str, accept: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = saved(noisy(), content_type, icc_profile=profile)
    assert opened(api.denoise(client, data, content_type, accept).value).info["icc_profile"] == profile


def test_icc_profile_is_kept_in_json(client: httpx.Client) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    told = api.denoise_batch(client, [saved(noisy(), icc_profile=profile)]).value["images"][0]
    assert opened(decoded(told["image"])).info["icc_profile"] == profile


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("content_type", list(FORMATS))
def test_orientation_is_corrected(client: httpx.Client, content_type: str, orientation: int) -> None:
    """Reading: the answer is upright, and nothing in it turns it again."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(noisy(), content_type, exif=exif.tobytes())
    upright = ImageOps.exif_transpose(opened(data))
    answer = opened(api.denoise(client, data, content_type, PNG, amount=0).value)
    assert np.array_equal(np.asarray(answer), np.asarray(upright))
    assert np.array_equal(np.asarray(ImageOps.exif_transpose(answer)), np.asarray(upright))


@pytest.mark.parametrize("accept", [PNG, JPEG, WEBP])
def test_orientation_is_corrected_in_every_form(client: httpx.Client, accept: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    answer = opened(api.denoise(client, saved(noisy(), JPEG, exif=exif.tobytes()), JPEG, accept).value)
    assert answer.size == (48, 64)
    assert ImageOps.exif_transpose(answer).size == (48, 64)


def test_size_in_json_is_that_of_the_upright_picture(client: httpx.Client) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    told = api.denoise_batch(client, [saved(noisy(), JPEG, exif=exif.tobytes())]).value["images"][0]
    assert (told["width"], told["height"]) == (48, 64)


@pytest.mark.parametrize("accept", [PNG, JPEG])
@pytest.mark.parametrize("content_type", [PNG, JPEG, TIFF])
def test_grey_is_kept(client: httpx.Client, content_type: str, accept: str) -> None:
    data = saved(noisy(channels=1), content_type)
    assert opened(api.denoise(client, data, content_type, accept).value).mode == "L"


@pytest.mark.parametrize("content_type", [PNG, TIFF])
def test_grey_of_16_bit_is_kept(client: httpx.Client, content_type: str) -> None:
    picture = noisy(channels=1).astype(np.uint16) * 257 + np.arange(64, dtype=np.uint16)
    original = api.denoise(client, saved(picture, content_type), content_type, PNG, amount=0).value
    clean = pixels(api.denoise(client, saved(picture, content_type), content_type, PNG).value)
    assert original[24:26] == b"\x10\x00", "16 bit, grey"
    assert np.array_equal(pixels(original), picture)
    assert len(np.unique(clean % 257)) > 200


def test_grey_of_16_bit_is_kept_in_json(client: httpx.Client) -> None:
    picture = noisy(channels=1).astype(np.uint16) * 257 + 99
    told = api.denoise_batch(client, [saved(picture)], amount=0).value["images"][0]
    assert np.array_equal(pixels(decoded(told["image"])), picture)


def test_grey_of_16_bit_is_kept_in_an_array(client: httpx.Client) -> None:
    picture = noisy(channels=1).astype(np.uint16) * 257 + 99
    array = api.array_of(api.denoise(client, saved(picture), PNG, NPY, amount=0).value)
    assert array.dtype == np.uint16
    assert np.array_equal(array.reshape(48, 64), picture)


def test_colour_of_16_bit_is_kept_or_refused(client: httpx.Client) -> None:
    rows = b"".join(b"\0" + row.tobytes() for row in (noisy().astype(">u2") * 257).astype(">u2"))
    response = send(client, "denoise", png_file(64, 48, 16, 2, rows), PNG)
    if response.status_code == 422:
        refused(response, 422, "unreadable-picture")
    else:
        assert response.status_code == 200
        assert response.content[24:26] == b"\x10\x02", "16 bit, colour"


def test_colour_of_16_bit_in_an_array_is_kept(client: httpx.Client) -> None:
    picture = noisy().astype(np.uint16) * 257 + 99
    assert np.array_equal(api.denoise_array(client, picture, amount=0).value, picture)
