"""POST /v1/encode."""

import httpx
import numpy as np
import pytest

from tests.agreement import client as api
from tests.agreement.asking import (
    BODIES,
    JSON,
    NPY,
    PNG,
    TIFF,
    WEBP,
    ask,
    asked,
    body,
    call,
    decoded,
    digit,
    encoding,
    opened,
    pixels,
    refused,
    saved,
    scaled,
    send,
    upright_one,
)


@pytest.mark.parametrize("content_type", BODIES)
def test_body_of_every_type_is_encoded(client: httpx.Client, content_type: str) -> None:
    answer = api.encode(client, body(digit(), content_type), content_type).value
    assert set(answer) == {"model", "version", "encodings"}
    (told,) = answer["encodings"]
    assert set(told) == {"mean", "log_variance", "inverted"}
    assert len(told["mean"]) == len(told["log_variance"]) > 0


@pytest.mark.parametrize(
    "options",
    [{"fit": "stretch"}, {"invert": True}, {"invert": False}, {"invert": "auto"}, {"sample": 7}, {"reconstruct": True}],
)
def test_parameters_of_encode_may_be_fields(client: httpx.Client, options: api.EncodeOptions) -> None:
    tall = np.repeat(digit(), 2, axis=0)
    (told,) = api.encode_batch(client, [saved(tall)], **options).value["encodings"]
    assert told == encoding(client, tall, **options)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (1, 28, 28, 1)])
def test_array_of_every_layout_is_encoded_alike(client: httpx.Client, shape: tuple[int, ...], dtype: str) -> None:
    array = scaled(digit(), dtype).reshape(shape)
    (told,) = api.encode(client, api.npy(array), NPY).value["encodings"]
    assert told["mean"] == pytest.approx(encoding(client, digit())["mean"], abs=1e-3)


def test_batch_of_every_type_is_encoded_in_its_order(client: httpx.Client) -> None:
    images = [body(digit(), PNG), body(upright_one(), WEBP), body(digit(), TIFF), body(upright_one(), NPY)]
    told = api.encode_batch(client, images).value["encodings"]
    alone = [encoding(client, picture) for picture in (digit(), upright_one())] * 2
    for one, other in zip(told, alone, strict=True):
        assert one["mean"] == pytest.approx(other["mean"], abs=1e-3)


def test_stack_has_one_encoding_each(client: httpx.Client) -> None:
    stack = np.stack([digit(), upright_one()])[..., None]
    told = api.encode(client, api.npy(stack), NPY).value["encodings"]
    assert told[1]["mean"] == pytest.approx(encoding(client, upright_one())["mean"], abs=1e-3)


def test_letterbox_is_the_default_fit(client: httpx.Client) -> None:
    tall = np.repeat(digit(), 2, axis=0)
    assert encoding(client, tall) == encoding(client, tall, fit="letterbox")
    assert encoding(client, tall)["mean"] != encoding(client, tall, fit="stretch")["mean"]


def test_stretch_fills_the_picture(client: httpx.Client) -> None:
    """Reading: a picture of doubled rows, stretched, is nearer to the plain one than with margins."""
    tall, plain = np.repeat(digit(), 2, axis=0), np.array(encoding(client, digit())["mean"])
    stretched, boxed = (np.array(encoding(client, tall, fit=fit)["mean"]) for fit in ("stretch", "letterbox"))
    assert np.linalg.norm(stretched - plain) < np.linalg.norm(boxed - plain)


@pytest.mark.parametrize("invert", [True, False])
def test_told_invert_is_followed(client: httpx.Client, invert: bool) -> None:
    assert encoding(client, digit(), invert=invert)["inverted"] is invert


def test_auto_inverts_dark_on_light_alone(client: httpx.Client) -> None:
    assert encoding(client, digit())["inverted"] is False
    assert encoding(client, 255 - digit())["inverted"] is True


def test_inverted_picture_is_encoded_as_its_negative(client: httpx.Client) -> None:
    inverted = encoding(client, 255 - digit(), invert=True)["mean"]
    assert inverted == pytest.approx(encoding(client, digit(), invert=False)["mean"], abs=1e-3)


def test_auto_is_the_default_of_invert(client: httpx.Client) -> None:
    assert encoding(client, 255 - digit(), invert="auto") == encoding(client, 255 - digit())


def test_sample_is_drawn_by_its_seed(client: httpx.Client) -> None:
    first, again, other = (asked(encoding(client, digit(), sample=seed), "sample") for seed in (5, 5, 6))
    assert first == again != other
    assert len(first) == len(encoding(client, digit())["mean"])


def test_sample_of_seed_zero_is_drawn(client: httpx.Client) -> None:
    assert asked(encoding(client, digit(), sample=0), "sample")


def test_reconstruct_adds_error_anomaly_and_picture(client: httpx.Client) -> None:
    told = encoding(client, digit(), reconstruct=True)
    fields = {"mean", "log_variance", "inverted", "reconstruction_error", "anomaly", "reconstruction"}
    assert set(told) == fields
    assert 0 <= asked(told, "anomaly") <= 1
    assert opened(decoded(asked(told, "reconstruction"))).format == "PNG"


def test_reconstruct_false_adds_nothing(client: httpx.Client) -> None:
    assert set(encoding(client, digit(), reconstruct=False)) == {"mean", "log_variance", "inverted"}


def test_error_is_the_mean_square(client: httpx.Client) -> None:
    told = encoding(client, digit(), reconstruct=True, invert=False)
    difference = (pixels(decoded(asked(told, "reconstruction"))).astype(float) - digit()) / 255
    assert asked(told, "reconstruction_error") == pytest.approx(np.square(difference).mean(), abs=1e-3)


def test_odder_picture_has_more_anomaly(client: httpx.Client) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    plain, odd = (encoding(client, each, reconstruct=True, invert=False) for each in (digit(), noise))
    assert asked(plain, "reconstruction_error") < asked(odd, "reconstruction_error")
    assert asked(plain, "anomaly") <= asked(odd, "anomaly")


def test_encodings_as_an_array_are_means_and_log_variances(client: httpx.Client) -> None:
    stack = np.stack([digit(), upright_one()])[..., None]
    array = api.encode_array(client, api.npy(stack), NPY).value
    told = api.encode(client, api.npy(stack), NPY).value["encodings"]
    assert array.shape == (2, 2, len(told[0]["mean"]))
    for row, each in zip(array, told, strict=True):
        assert row[0] == pytest.approx(each["mean"], abs=1e-3)
        assert row[1] == pytest.approx(each["log_variance"], abs=1e-3)


def test_batch_may_be_answered_as_an_array_of_encodings(client: httpx.Client) -> None:
    images = [api.base64_of(saved(digit()))] * 3
    response = ask(client, "encode", {"images": images}, NPY)
    assert api.array_of(response.content).shape[:2] == (3, 2)


@pytest.mark.parametrize("accept", [PNG, "text/html"])
def test_form_of_encodings_that_is_not_served_is_refused(client: httpx.Client, accept: str) -> None:
    response = send(client, "encode", saved(digit()), PNG, accept)
    refused(response, 406, "not-acceptable")
    assert JSON in response.text
    assert NPY in response.text


@pytest.mark.parametrize(
    ("name", "value"), [("fit", "crop"), ("invert", "maybe"), ("sample", "x"), ("reconstruct", "perhaps")]
)
def test_parameter_of_encode_at_fault_is_refused(client: httpx.Client, name: str, value: str) -> None:
    refused(send(client, "encode", saved(digit()), PNG, params={name: value}), 422, "invalid-fields")
    assert refused(call(client, "encode", **{name: value}), 422, "invalid-fields").pointers == [f"/{name}"]
