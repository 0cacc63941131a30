"""POST /v1/generate: lattices, edits, and what may not stand together."""

import httpx
import numpy as np
import pytest

from tests.agreement import client as api
from tests.agreement.asking import BODIES, PNG, VAE, WEBP, Json, ask, body, digit, drawn, opened, refused, saved


@pytest.mark.parametrize("size", [2, 5])
def test_lattice_is_a_square(client: httpx.Client, size: int) -> None:
    assert len(set(drawn(client, api.lattice(size, 0, 1, **VAE)))) == size * size


def test_lattice_of_the_agreement_is_answered(client: httpx.Client) -> None:
    assert len(api.generate_array(client, api.lattice(15, 0, 1, **VAE)).value) == 225


def test_axes_of_a_lattice_may_change_places(client: httpx.Client) -> None:
    plain = np.array(drawn(client, api.lattice(3, 2, 5, **VAE)), object).reshape(3, 3)
    swapped = np.array(drawn(client, api.lattice(3, 5, 2, **VAE)), object).reshape(3, 3)
    assert (plain == swapped.T).all()


def test_lattice_of_a_class_is_answered(client: httpx.Client) -> None:
    assert len(drawn(client, api.lattice(3, 0, 1, **{"class": 3}))) == 9


def test_lattice_draws_a_class_from_its_seed(client: httpx.Client) -> None:
    answer = api.generate_told(client, api.lattice(2, 0, 1))
    again = api.generate_told(client, api.lattice(2, 0, 1, seed=int(answer.headers["x-seed"])))
    assert again.value["images"] == answer.value["images"]


@pytest.mark.parametrize("accept", [PNG, WEBP])
def test_lattice_as_a_picture_is_a_sheet(client: httpx.Client, accept: str) -> None:
    sheet = opened(api.generate(client, api.lattice(4, 0, 1, **VAE), accept).value)
    assert sheet.width == sheet.height >= 4 * 28


@pytest.mark.parametrize(
    "square",
    [
        {"size": 3, "x": 0, "y": 999},
        {"size": 3, "x": -1, "y": 1},
        {"size": 32, "x": 0, "y": 1},
        {"x": 0, "y": 1},
    ],
)
def test_lattice_at_fault_is_refused(client: httpx.Client, square: Json) -> None:
    refused(ask(client, "generate", {"model": "digits-vae", "lattice": square}), 422, "invalid-fields")


def test_every_direction_of_the_manifest_is_an_edit(client: httpx.Client, directions: list[str]) -> None:
    for direction in directions:
        assert len(drawn(client, api.edit(saved(digit()), direction, 1.5, **VAE))) == 1


def test_amount_of_an_edit_changes_the_picture(client: httpx.Client, directions: list[str]) -> None:
    pictures = [drawn(client, api.edit(saved(digit()), directions[0], at, **VAE))[0] for at in (-1.5, 0, 1.5)]
    assert len(set(pictures)) == 3


@pytest.mark.parametrize("content_type", BODIES)
def test_image_of_an_edit_may_be_of_every_type(client: httpx.Client, directions: list[str], content_type: str) -> None:
    """Reading: base64 of any type of body, as elsewhere."""
    request = api.edit(body(digit(), content_type), directions[0], 1.0, **VAE)
    assert len(drawn(client, request)) == 1


def test_edit_along_no_direction_is_refused(client: httpx.Client) -> None:
    request = api.edit(saved(digit()), "to the moon", 1.0, **VAE)
    refused(ask(client, "generate", request), 422, "invalid-fields")


@pytest.mark.parametrize("left_out", ["image", "direction", "amount"])
def test_part_of_an_edit_is_refused(client: httpx.Client, directions: list[str], left_out: str) -> None:
    """Reading: all three are needed."""
    request = api.edit(saved(digit()), directions[0], 1.0, **VAE)
    del request["edit"][left_out]
    assert refused(ask(client, "generate", request), 422, "invalid-fields").pointers == [f"/edit/{left_out}"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("latents", "interpolate"),
        ("latents", "lattice"),
        ("latents", "edit"),
        ("interpolate", "lattice"),
        ("interpolate", "edit"),
        ("lattice", "edit"),
    ],
)
def test_two_forms_are_refused(client: httpx.Client, forms: dict[str, Json], one: str, other: str) -> None:
    refused(ask(client, "generate", {"model": "digits-vae", **forms[one], **forms[other]}), 422, "invalid-fields")


@pytest.mark.parametrize("form", ["latents", "interpolate", "lattice", "edit"])
@pytest.mark.parametrize("count", [1, 2])
def test_count_beside_a_form_is_refused(client: httpx.Client, forms: dict[str, Json], form: str, count: int) -> None:
    request = {"model": "digits-vae", "count": count, **forms[form]}
    refused(ask(client, "generate", request), 422, "invalid-fields")


def test_seed_beside_latents_is_refused(client: httpx.Client, forms: dict[str, Json]) -> None:
    request = {"model": "digits-vae", "seed": 1, **forms["latents"]}
    assert refused(ask(client, "generate", request), 422, "invalid-fields").pointers == ["/seed"]


@pytest.mark.parametrize("form", ["interpolate", "lattice", "edit"])
def test_seed_beside_another_form_is_allowed(client: httpx.Client, forms: dict[str, Json], form: str) -> None:
    """Reading: only latents exclude it."""
    request = {"model": "digits-vae", "seed": 1, **forms[form]}
    assert ask(client, "generate", request).status_code == 200
