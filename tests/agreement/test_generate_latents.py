"""POST /v1/generate: latents, and ways between them."""

from typing import Any, cast

import httpx
import numpy as np
import pytest

from tests.agreement import client as api
from tests.agreement.asking import GIF, PNG, VAE, WEBP, Json, ask, digit, drawn, opened, refused, saved, values_of


def test_latents_are_one_picture_each(client: httpx.Client, latent: list[float]) -> None:
    values = np.array([latent, np.zeros(len(latent))])
    pictures = drawn(client, api.latents(values, **VAE))
    assert len(set(pictures)) == 2
    assert drawn(client, api.latents(values[1:], **VAE)) == pictures[1:]


def test_latents_of_a_class_are_answered(client: httpx.Client) -> None:
    size = values_of(api.model(client, "digits-gan").value, "latent_size")[0]
    assert len(drawn(client, api.latents(np.zeros((2, size)), **{"class": 3}))) == 2


def test_latents_without_a_class_get_one_drawn(client: httpx.Client) -> None:
    """Reading: "absent on a conditional model: class drawn from the seed" makes no exception for latents."""
    size = values_of(api.model(client, "digits-gan").value, "latent_size")[0]
    assert api.generate(client, api.latents(np.zeros((1, size)))).headers["x-seed"]


@pytest.mark.parametrize("latents", [[], [[]], [[0.1]], [["x"]], [0.1], "x"])
def test_latents_at_fault_are_refused(client: httpx.Client, latents: object) -> None:
    refused(ask(client, "generate", {"model": "digits-vae", "latents": latents}), 422, "invalid-fields")


@pytest.mark.parametrize("model", ["digits-gan", "digits-vae"])
@pytest.mark.parametrize("path", ["slerp", "linear", None])
def test_way_begins_and_ends_at_its_seeds(client: httpx.Client, model: str, path: Any) -> None:
    """Reading: the first and the last step are the ends."""
    fixed: Json = {"class": 3} if model == "digits-gan" else {}
    options = cast(api.GenerateOptions, {"model": model, **fixed})
    way = api.generate_array(client, api.interpolate({"seed": 1}, {"seed": 7}, 5, path, **options)).value.astype(int)
    assert len(way) == 5
    ends = [api.generate_array(client, api.seeds(**{"seed": seed, **options})).value[0] for seed in (1, 7)]
    assert np.abs(way[0] - ends[0]).max() <= 1
    assert np.abs(way[-1] - ends[1]).max() <= 1


def test_way_begins_and_ends_at_latents(client: httpx.Client, latent: list[float]) -> None:
    zero = [0.0] * len(latent)
    way = api.generate_array(client, api.interpolate({"latent": latent}, {"latent": zero}, 4, "linear", **VAE)).value
    ends = api.generate_array(client, api.latents(np.array([latent, zero]), **VAE)).value.astype(int)
    assert np.abs(way[[0, -1]] - ends).max() <= 1


def test_way_begins_at_an_image_that_is_encoded(client: httpx.Client, latent: list[float]) -> None:
    request = api.interpolate({"image": api.base64_of(saved(digit()))}, {"seed": 7}, 3, **VAE)
    way = api.generate_array(client, request).value
    encoded = api.generate_array(client, api.latents(np.array([latent]), **VAE)).value.astype(int)
    assert np.abs(way[0] - encoded[0]).max() <= 1


def test_way_goes_from_a_seed_to_a_latent(client: httpx.Client, latent: list[float]) -> None:
    assert len(drawn(client, api.interpolate({"seed": 1}, {"latent": latent}, 8, "slerp", **VAE))) == 8


def test_slerp_is_the_default_path(client: httpx.Client) -> None:
    default, slerp, linear = (
        drawn(client, api.interpolate({"seed": 1}, {"seed": 7}, 5, path, **VAE)) for path in (None, "slerp", "linear")
    )
    assert default == slerp != linear


def test_way_is_the_same_again(client: httpx.Client) -> None:
    answer = api.generate_told(client, api.interpolate({"seed": 1}, {"seed": 7}, 4))
    again = api.interpolate({"seed": 1}, {"seed": 7}, 4, seed=int(answer.headers["x-seed"]))
    assert api.generate_told(client, again).value == answer.value


@pytest.mark.parametrize("accept", [GIF, WEBP])
def test_animation_has_one_frame_a_step(client: httpx.Client, accept: str) -> None:
    request = api.interpolate({"seed": 1}, {"seed": 7}, 6, **VAE)
    image = opened(api.generate(client, request, accept).value)
    assert getattr(image, "n_frames", 1) == 6
    assert image.size == opened(drawn(client, request)[0]).size


def test_way_as_png_is_a_sheet(client: httpx.Client) -> None:
    sheet = opened(api.generate(client, api.interpolate({"seed": 1}, {"seed": 7}, 6, **VAE), PNG).value)
    assert getattr(sheet, "n_frames", 1) == 1
    assert sheet.width * sheet.height >= 6 * 28 * 28


@pytest.mark.parametrize("accept", [PNG, WEBP])
def test_single_refuses_a_way(client: httpx.Client, accept: str) -> None:
    """Reading: an animation is one file, so only PNG is sure to be refused."""
    request = api.interpolate({"seed": 1}, {"seed": 7}, 6, form="single")
    response = ask(client, "generate", request, accept)
    if accept == PNG or response.status_code != 200:
        refused(response, 406, "not-acceptable")


@pytest.mark.parametrize(
    "way",
    [
        {"from": {"seed": 1}, "to": {"seed": 2}},
        {"from": {"seed": 1}, "steps": 3},
        {"from": {}, "to": {"seed": 2}, "steps": 3},
        {"from": {"latent": [0.0]}, "to": {"seed": 2}, "steps": 3},
        {"from": {"seed": 1}, "to": {"seed": 2}, "steps": 3, "path": "scenic"},
        {"from": {"seed": 1}, "to": {"seed": 2}, "steps": 1001},
        {"from": {"seed": 1}, "to": {"seed": 2}, "steps": -1},
    ],
)
def test_way_at_fault_is_refused(client: httpx.Client, way: Json) -> None:
    refused(ask(client, "generate", {"model": "digits-vae", "interpolate": way}), 422, "invalid-fields")


def test_end_of_two_kinds_is_refused(client: httpx.Client, latent: list[float]) -> None:
    way = {"from": {"seed": 1, "latent": latent}, "to": {"seed": 2}, "steps": 3}
    refused(ask(client, "generate", {"model": "digits-vae", "interpolate": way}), 422, "invalid-fields")


def test_end_that_is_no_picture_is_refused(client: httpx.Client) -> None:
    way = {"from": {"image": api.base64_of(b"this is no picture")}, "to": {"seed": 2}, "steps": 3}
    refused(ask(client, "generate", {"model": "digits-vae", "interpolate": way}), 422, "unreadable-picture")


@pytest.mark.parametrize("form", ["interpolate", "edit"])
def test_image_is_refused_where_there_is_no_encoder(client: httpx.Client, form: str) -> None:
    """Reading: either the field is at fault, or the model does not do this."""
    image = api.base64_of(saved(digit()))
    forms: dict[str, Json] = {
        "interpolate": {"from": {"image": image}, "to": {"seed": 2}, "steps": 3},
        "edit": {"image": image, "direction": "1", "amount": 1.0},
    }
    response = ask(client, "generate", {"model": "digits-gan", "class": 1, form: forms[form]})
    assert (response.status_code, api.problem(response).kind) in {(409, "wrong-task"), (422, "invalid-fields")}


def test_more_latents_are_refused(client: httpx.Client, latent: list[float]) -> None:
    response = ask(client, "generate", {"model": "digits-vae", "latents": [latent] * 1001})
    assert refused(response, 422, "invalid-fields").members["setting"]
