"""Pictures from latents, from paths between two of them, from a lattice."""

from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from httpx import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.store import Store
from service.runtime.latents import between
from tests import versions
from tests.service.conftest import opened, refused, serving
from tests.service.generating import array, ask, decoded, expected, good, images

CONDITIONAL = versions.generate()
PLAIN = versions.encode_and_generate(name="digits-vae")
VECTORS = st.lists(st.floats(-90, 90, width=32), min_size=4, max_size=4)
SEEDS = {"from": {"seed": 3}, "to": {"seed": 4}, "steps": 5}
LOOSE = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """digits-gan has classes, digits-vae has an encoder."""
    folder = tmp_path_factory.mktemp("zoo")
    store = Store([folder])
    for manifest, files in (CONDITIONAL, PLAIN):
        store.publish(manifest, files)
    with serving(folder) as (_, client):
        yield client


def latent(seed: int) -> list[float]:
    """What a seed draws, as the agreement says it."""
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(4, np.float32).tolist()


@given(st.lists(VECTORS, min_size=1, max_size=5), st.integers(0, 9))
@LOOSE
def test_latents_are_what_the_graph_is_given(client: Client, vectors: list[list[float]], label: int) -> None:
    drawn = array(client, latents=vectors, model="digits-vae")
    assert np.array_equal(drawn, expected(PLAIN, vectors))
    of_class = array(client, latents=vectors, **{"class": label})
    assert np.array_equal(of_class, expected(CONDITIONAL, vectors, label))


def test_a_seeds_latent_gives_the_seeds_picture(client: Client) -> None:
    vectors = [latent(5), latent(6)]
    assert images(client, latents=vectors, model="digits-vae") == images(client, seed=5, count=2, model="digits-vae")
    assert images(client, latents=vectors, **{"class": 3}) == images(client, seed=5, count=2, **{"class": 3})


@given(VECTORS, VECTORS, st.integers(2, 8), st.sampled_from(["slerp", "linear", None]))
@LOOSE
def test_interpolation_is_the_path_between_its_ends(
    client: Client, start: list[float], end: list[float], steps: int, path: Any
) -> None:
    interpolate = {"from": {"latent": start}, "to": {"latent": end}, "steps": steps} | ({"path": path} if path else {})
    drawn = array(client, interpolate=interpolate, model="digits-vae")
    ends = np.array(start, np.float32), np.array(end, np.float32)
    assert np.array_equal(drawn, expected(PLAIN, between(*ends, steps, path or "slerp")))


@pytest.mark.parametrize("fields", [{"model": "digits-vae"}, {"class": 2}, {"class": 2, "truncation": 0.5}])
def test_the_ends_are_the_pictures_of_their_seeds(client: Client, fields: dict[str, Any]) -> None:
    path = images(client, interpolate=SEEDS, **fields)
    assert len(path) == 5
    assert [path[0]] == images(client, seed=3, **fields)
    assert [path[-1]] == images(client, seed=4, **fields)


def test_ends_of_two_kinds(client: Client) -> None:
    mixed = {"from": {"seed": 3}, "to": {"latent": latent(4)}, "steps": 5}
    assert images(client, interpolate=mixed, model="digits-vae") == images(
        client, interpolate=SEEDS, model="digits-vae"
    )


def test_a_lattice_shows_the_quantiles_of_two_axes(client: Client) -> None:
    quantiles = [NormalDist().inv_cdf(share) for share in (1 / 6, 3 / 6, 5 / 6)]
    vectors = [[0, down, 0, across] for down in quantiles for across in quantiles]
    lattice = {"size": 3, "x": 3, "y": 1}
    drawn = array(client, lattice=lattice, model="digits-vae")
    assert np.array_equal(drawn, expected(PLAIN, vectors))
    sheet = np.asarray(opened(good(client, "image/png", lattice=lattice, model="digits-vae")))
    assert np.array_equal(sheet, drawn.reshape(3, 3, 28, 28).swapaxes(1, 2).reshape(84, 84))


def test_a_lattice_is_of_the_first_axes_if_not_told_otherwise(client: Client) -> None:
    fields = {"model": "digits-vae"}
    assert images(client, lattice={"size": 2}, **fields) == images(
        client, lattice={"size": 2, "x": 0, "y": 1}, **fields
    )


@pytest.mark.parametrize("fields", [{"interpolate": SEEDS}, {"lattice": {"size": 2}}])
def test_the_class_is_given_or_that_of_the_seed(client: Client, fields: dict[str, Any]) -> None:
    draw = np.random.Generator(np.random.PCG64(11))
    draw.standard_normal(4, np.float32)
    label = int(draw.integers(10))
    by_seed = ask(client, "application/json", seed=11, **fields)
    assert by_seed.json()["images"] == ask(client, "application/json", **fields, **{"class": label}).json()["images"]
    assert (by_seed.headers["x-seed"], by_seed.json()["seed"]) == ("11", 11)
    drawn = ask(client, "application/json", **fields)
    seed = int(drawn.headers["x-seed"])
    assert drawn.json() == ask(client, "application/json", seed=seed, **fields).json()


def test_latents_without_a_class_have_that_of_the_seed_that_is_told(client: Client) -> None:
    drawn = ask(client, "application/json", latents=[latent(1), latent(2)])
    draw = np.random.Generator(np.random.PCG64(int(drawn.headers["x-seed"])))
    draw.standard_normal(4, np.float32)
    fields = {"latents": [latent(1), latent(2)], "class": int(draw.integers(10))}
    assert drawn.json()["images"] == ask(client, "application/json", **fields).json()["images"]


def test_a_seed_that_has_nothing_to_decide_is_told_and_changes_nothing(client: Client) -> None:
    for fields in ({"interpolate": SEEDS, "class": 1}, {"lattice": {"size": 2}, "model": "digits-vae"}):
        plain, seeded = ask(client, "application/zip", **fields), ask(client, "application/zip", seed=4, **fields)
        assert seeded.headers["x-seed"] == "4"
        assert seeded.content == plain.content


@pytest.mark.parametrize("accept", ["image/png", "application/zip", "application/json"])
def test_no_seed_is_told_where_none_decides_anything(client: Client, accept: str) -> None:
    for fields in (
        {"latents": [latent(1)], "model": "digits-vae"},
        {"latents": [latent(1)], "class": 1},
        {"interpolate": SEEDS, "class": 1},
        {"lattice": {"size": 2}, "model": "digits-vae"},
    ):
        answer = ask(client, accept, **fields)
        assert answer.status_code == 200
        assert "x-seed" not in answer.headers
        assert "json" not in accept or answer.json()["seed"] is None


LATENT = [0.5, 0.0, -1.0, 2.0]
LATTICE = {"size": 2}
ENDS = {"from": {"latent": LATENT}, "to": {"latent": LATENT}, "steps": 2}
EDIT = {"image": "AAAA", "direction": "first", "amount": 1}


def path(**changed: Any) -> dict[str, Any]:
    return {"model": "digits-vae", "interpolate": SEEDS | changed}


def lattice(**changed: Any) -> dict[str, Any]:
    return {"model": "digits-vae", "lattice": LATTICE | changed}


@pytest.mark.parametrize(
    ("fields", "pointers"),
    [
        # at most one of the four, and nothing beside them that would be ignored
        ({"latents": [LATENT], "lattice": LATTICE}, ["/lattice"]),
        ({"latents": [LATENT], "interpolate": SEEDS, "lattice": LATTICE}, ["/interpolate", "/lattice"]),
        ({"lattice": LATTICE, "edit": EDIT}, ["/edit"]),
        ({"latents": [LATENT], "class": 1, "count": 1}, ["/count"]),
        ({"interpolate": SEEDS, "count": 5}, ["/count"]),
        ({"lattice": LATTICE, "count": 4}, ["/count"]),
        ({"edit": EDIT, "count": 1}, ["/count"]),
        ({"latents": [LATENT], "seed": 1}, ["/seed"]),
        ({"latents": [LATENT], "truncation": 0.5}, ["/truncation"]),
        ({"lattice": LATTICE, "truncation": 1.0}, ["/truncation"]),
        ({"edit": EDIT, "truncation": 0.5}, ["/truncation"]),
        ({"interpolate": ENDS, "truncation": 0.5}, ["/truncation"]),
        ({"latents": [LATENT], "count": 1, "seed": 1, "truncation": 1}, ["/count", "/seed", "/truncation"]),
        # classes
        ({"latents": [LATENT], "class": 10}, ["/class"]),
        ({"lattice": LATTICE, "class": "ten"}, ["/class"]),
        ({"latents": [LATENT], "model": "digits-vae", "class": 1}, ["/class"]),
        # latents
        ({"latents": []}, ["/latents"]),
        ({"latents": LATENT}, ["/latents/0"]),
        ({"latents": [[]]}, ["/latents/0"]),
        ({"latents": [[1, "2"]]}, ["/latents/0/1"]),
        ({"latents": [[100.5]]}, ["/latents/0/0"]),
        ({"latents": [LATENT, [1, 2, 3]], "class": 1}, ["/latents/1"]),
        ({"latents": [[1] * 5] * 21, "class": 1}, [f"/latents/{place}" for place in range(20)]),
        # interpolate
        ({"interpolate": {}}, ["/interpolate/from", "/interpolate/to", "/interpolate/steps"]),
        (path(steps=1), ["/interpolate/steps"]),
        (path(steps=1001), ["/interpolate/steps"]),
        (path(path="bezier"), ["/interpolate/path"]),
        (path(colour=1), ["/interpolate/colour"]),
        (path(**{"from": {}}), ["/interpolate/from"]),
        (path(to={"seed": 1, "latent": LATENT}), ["/interpolate/to"]),
        (path(to={"seed": -1}), ["/interpolate/to/seed"]),
        (path(to={"seed": 2**63}), ["/interpolate/to/seed"]),
        (path(to={"latent": [1]}), ["/interpolate/to/latent"]),
        (
            path(**{"from": {"latent": [1]}, "to": {"latent": [0] * 5}}),
            ["/interpolate/from/latent", "/interpolate/to/latent"],
        ),
        # lattice
        ({"lattice": {}}, ["/lattice/size"]),
        (lattice(size=1), ["/lattice/size"]),
        (lattice(x=-1), ["/lattice/x"]),
        (lattice(x=4, y=9), ["/lattice/x", "/lattice/y"]),
        (lattice(x=1), ["/lattice/y"]),
        (lattice(z=1), ["/lattice/z"]),
    ],
)
def test_what_does_not_go_is_pointed_at(client: Client, fields: dict[str, Any], pointers: list[str]) -> None:
    refused(ask(client, **fields), 422, "invalid-fields", *pointers)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_are_finite(client: Client, number: str) -> None:
    body = f'{{"latents": [[{number}, 0, 0, 0]], "model": "digits-vae"}}'
    answer = client.post("/v1/generate", content=body, headers={"content-type": "application/json"})
    refused(answer, 422, "invalid-fields", "/latents/0/0")


def test_a_list_ends_at_its_first_fault(client: Client) -> None:
    refused(ask(client, latents=[["a", "b"], ["c"]]), 422, "invalid-fields", "/latents/0/0")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"latents": [LATENT] * 10}, "/latents"),
        ({"interpolate": SEEDS | {"steps": 10}}, "/interpolate/steps"),
        ({"lattice": {"size": 4}}, "/lattice/size"),
        ({"count": 10}, "/count"),
    ],
)
def test_every_way_has_the_same_limits(tmp_path: Path, fields: dict[str, Any], pointer: str) -> None:
    versions_of_one = Store([tmp_path])
    versions_of_one.publish(*PLAIN)
    fields = fields | {"model": "digits-vae"}
    with serving(tmp_path, max_pictures=9) as (_, client):
        detail = refused(ask(client, **fields), 422, "invalid-fields", pointer, setting="HARMONIUM_MAX_PICTURES")
        assert detail.endswith("9 are allowed")
    with serving(tmp_path, max_pixels=9 * 784) as (_, client):
        for accept in ("image/png", "image/webp", "application/json", "application/x-npy"):
            answer = ask(client, accept, **fields)
            refused(answer, 422, "invalid-fields", pointer, setting="HARMONIUM_MAX_PIXELS")
        assert ask(client, "application/zip", **fields).status_code == 200


def test_what_stays_below_the_limits_is_drawn(tmp_path: Path) -> None:
    Store([tmp_path]).publish(*PLAIN)
    with serving(tmp_path, max_pictures=9, max_pixels=9 * 784) as (_, client):
        for fields in ({"count": 9, "seed": 0}, {"lattice": {"size": 3}}, {"latents": [LATENT] * 9}):
            assert decoded(images(client, model="digits-vae", **fields)).shape == (9, 28, 28)
    with serving(tmp_path, max_pixels=1) as (_, client):
        assert len(images(client, model="digits-vae")) == 1
