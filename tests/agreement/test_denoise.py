"""POST /v1/denoise: strength, amount, view, quality, batches."""

import httpx
import numpy as np
import pytest

from tests.agreement import client as api
from tests.agreement.asking import (
    BODIES,
    JPEG,
    NPY,
    PNG,
    TIFF,
    WEBP,
    ask,
    body,
    call,
    decoded,
    noisy,
    opened,
    pixels,
    refused,
    saved,
    send,
)


def test_picture_loses_noise(client: httpx.Client) -> None:
    clean = noisy(sigma=0).astype(float)
    answer = pixels(api.denoise(client, saved(noisy()), PNG).value)
    assert np.square(answer - clean).mean() < np.square(noisy() - clean).mean() / 2


@pytest.mark.parametrize("strength", [0, 12.5, 25])
def test_told_strength_is_the_noise_level(client: httpx.Client, strength: float) -> None:
    """Reading: a sigma that the model can use; of a greater one only the one that was used is told."""
    assert float(api.denoise(client, saved(noisy()), PNG, strength=strength).headers["x-noise-level"]) == strength


@pytest.mark.parametrize("strength", [0, 0.5, 55, 100])
def test_strength_of_the_range_is_answered(client: httpx.Client, strength: float) -> None:
    assert api.denoise(client, saved(noisy()), PNG, strength=strength).type == PNG


@pytest.mark.parametrize("accept", [PNG, JPEG, WEBP, NPY])
def test_noise_level_is_one_number(client: httpx.Client, accept: str) -> None:
    assert float(api.denoise(client, saved(noisy()), PNG, accept).headers["x-noise-level"]) > 0


def test_auto_is_the_default(client: httpx.Client) -> None:
    default, auto = api.denoise(client, saved(noisy()), PNG), api.denoise(client, saved(noisy()), PNG, strength="auto")
    assert default.value == auto.value
    assert default.headers["x-noise-level"] == auto.headers["x-noise-level"]


def test_auto_uses_the_level_that_it_tells(client: httpx.Client) -> None:
    """One level for the whole picture, though only its right half has noise."""
    picture = np.concatenate([noisy(96, 700, sigma=1), noisy(96, 700, sigma=30)], axis=1)
    auto = api.denoise(client, saved(picture), PNG)
    told = api.denoise(client, saved(picture), PNG, strength=float(auto.headers["x-noise-level"]))
    assert np.abs(pixels(auto.value).astype(int) - pixels(told.value)).max() <= 1


def test_auto_tells_more_noise_from_less(client: httpx.Client) -> None:
    images = [saved(noisy(sigma=sigma)) for sigma in (5, 15, 35)]
    levels = [image["noise_level"] for image in api.denoise_batch(client, images).value["images"]]
    assert levels == sorted(levels)
    assert levels[0] < levels[-1]


@pytest.mark.parametrize("content_type", [PNG, WEBP, TIFF, NPY])
def test_amount_of_nothing_is_the_original(client: httpx.Client, content_type: str) -> None:
    """Reading: `amount` goes from the original (0) to the result (1)."""
    told = api.denoise_told(client, body(noisy(), content_type), content_type, amount=0).value["images"][0]
    assert np.array_equal(pixels(decoded(told["image"])), noisy())


def test_amount_of_one_is_the_default(client: httpx.Client) -> None:
    assert api.denoise(client, saved(noisy()), PNG, amount=1).value == api.denoise(client, saved(noisy()), PNG).value


def test_half_an_amount_lies_between(client: httpx.Client) -> None:
    half = pixels(api.denoise(client, saved(noisy()), PNG, amount=0.5).value)
    full = pixels(api.denoise(client, saved(noisy()), PNG).value)
    assert np.abs(half - (full.astype(float) + noisy()) / 2).max() <= 1


def test_result_is_the_default_view(client: httpx.Client) -> None:
    result = api.denoise(client, saved(noisy()), PNG, view="result")
    assert result.value == api.denoise(client, saved(noisy()), PNG).value


@pytest.mark.parametrize("accept", [PNG, WEBP, JPEG])
def test_compare_is_before_and_after_side_by_side(client: httpx.Client, accept: str) -> None:
    """Reading: without a gap, before on the left."""
    image = opened(api.denoise(client, saved(noisy()), PNG, accept, view="compare").value)
    assert image.size == (128, 48)


def test_compare_holds_the_original_and_the_result(client: httpx.Client) -> None:
    both = pixels(api.denoise(client, saved(noisy()), PNG, view="compare").value)
    assert np.array_equal(both[:, :64], noisy())
    assert np.array_equal(both[:, 64:], pixels(api.denoise(client, saved(noisy()), PNG).value))


def test_compare_in_json_tells_its_own_size(client: httpx.Client) -> None:
    """Reading: width and height are those of the picture that is answered."""
    image = api.denoise_batch(client, [saved(noisy())], view="compare").value["images"][0]
    assert (image["width"], image["height"]) == opened(decoded(image["image"])).size


@pytest.mark.parametrize("accept", [JPEG, WEBP])
def test_quality_decides_the_size_of_a_lossy_answer(client: httpx.Client, accept: str) -> None:
    sizes = [len(api.denoise(client, saved(noisy()), PNG, accept, quality=quality).value) for quality in (1, 50, 95)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strength", "-1"),
        ("strength", "100.5"),
        ("strength", "much"),
        ("amount", "-0.1"),
        ("amount", "1.1"),
        ("amount", "all"),
        ("view", "both"),
        ("quality", "0"),
        ("quality", "101"),
        ("quality", "good"),
        ("version", "one"),
    ],
)
def test_parameter_at_fault_is_refused(client: httpx.Client, name: str, value: str) -> None:
    problem = refused(send(client, "denoise", saved(noisy()), PNG, params={name: value}), 422, "invalid-fields")
    assert [name in pointer for pointer in problem.pointers] == [True]


@pytest.mark.parametrize(
    ("name", "value"),
    [("strength", -1), ("strength", 101), ("amount", 2), ("view", "both"), ("quality", 0), ("quality", 101)],
)
def test_field_of_denoise_at_fault_is_pointed_at(client: httpx.Client, name: str, value: object) -> None:
    assert refused(call(client, "denoise", **{name: value}), 422, "invalid-fields").pointers == [f"/{name}"]


def test_parameters_may_be_fields(client: httpx.Client) -> None:
    options: api.DenoiseOptions = {"strength": 30, "amount": 0.7, "view": "compare"}
    told = api.denoise_batch(client, [saved(noisy())], **options).value["images"][0]
    assert told["noise_level"] == 30
    assert np.array_equal(
        pixels(decoded(told["image"])), pixels(api.denoise(client, saved(noisy()), PNG, **options).value)
    )


def test_batch_of_every_type_is_answered_in_its_order(client: httpx.Client) -> None:
    images = [body(noisy(24 + 8 * place, 32), content_type) for place, content_type in enumerate(BODIES)]
    answer = api.denoise_batch(client, images).value
    assert set(answer) == {"model", "version", "images"}
    assert [(image["width"], image["height"]) for image in answer["images"]] == [(32, 24 + 8 * n) for n in range(5)]
    for image in answer["images"]:
        assert set(image) == {"image", "width", "height", "noise_level"}
        picture = opened(decoded(image["image"]))
        assert (picture.format, picture.size) == ("PNG", (image["width"], image["height"]))


def test_picture_of_a_batch_is_that_of_a_call_of_its_own(client: httpx.Client) -> None:
    images = [saved(noisy(seed=seed, sigma=10 + 10 * seed)) for seed in range(3)]
    for image, told in zip(images, api.denoise_batch(client, images).value["images"], strict=True):
        alone = api.denoise(client, image, PNG)
        assert told["noise_level"] == pytest.approx(float(alone.headers["x-noise-level"]), abs=0.01)
        difference = pixels(decoded(told["image"])).astype(int) - pixels(alone.value)
        assert np.abs(difference).max() <= 1


def test_stack_is_answered_as_a_stack(client: httpx.Client) -> None:
    stack = np.stack([noisy(), noisy(seed=1)])
    answer = api.denoise(client, api.npy(stack), NPY)
    assert answer.type == NPY
    assert api.array_of(answer.value).shape == stack.shape


def test_stack_in_json_has_one_picture_each(client: httpx.Client) -> None:
    stack = np.stack([noisy(sigma=5), noisy(sigma=35)])
    first, second = api.denoise_told(client, api.npy(stack), NPY).value["images"]
    assert 0 < first["noise_level"] < second["noise_level"]
    assert opened(decoded(second["image"])).size == (64, 48)


@pytest.mark.parametrize("accept", [PNG, JPEG, WEBP])
def test_batch_cannot_be_answered_as_one_picture(client: httpx.Client, accept: str) -> None:
    stack = np.stack([noisy(), noisy(seed=1)])
    refused(send(client, "denoise", api.npy(stack), NPY, accept), 406, "not-acceptable")
    refused(ask(client, "denoise", {"images": [api.base64_of(saved(noisy()))] * 2}, accept), 406, "not-acceptable")
