"""One real service with the shipped models, and what it tells of them."""

from collections.abc import Iterator
from typing import cast

import httpx
import pytest

from tests.agreement import client as api
from tests.agreement.asking import Json, digit, encoding, saved, values_of
from tests.processes import ROOT, running


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a process with default settings, but for the wait for a body that does not come."""
    home = tmp_path_factory.mktemp("agreement")
    with (
        running(ROOT / "models/zoo", home, body_seconds="1") as service,
        httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=60) as opened,
    ):
        yield opened


@pytest.fixture(scope="session")
def versions(client: httpx.Client) -> dict[str, int]:
    """The version of every model that answers where none is named."""
    return {
        model["name"]: max(each["version"] for each in model["versions"] if each["state"] in ("live", "loaded"))
        for model in api.models(client).value["models"]
    }


@pytest.fixture(scope="session")
def catalogue(client: httpx.Client) -> dict[str, api.Item]:
    """Every item of the default recommender, from pages of its list."""
    found: dict[str, api.Item] = {}
    total = 1
    while len(found) < total:
        page = api.items(client, "movies-rbm", limit=500, offset=len(found)).value
        total = page["total"]
        found |= {item["item"]: item for item in page["items"]}
        assert page["items"], "an empty page before the end"
    return found


@pytest.fixture(scope="session")
def classes(client: httpx.Client) -> list[str]:
    """The names of the classes of the default generator."""
    return cast(list[str], values_of(api.model(client, "digits-gan").value, "classes")[0])


@pytest.fixture(scope="session")
def directions(client: httpx.Client) -> list[str]:
    """The names of the directions of the model that has an encoder."""
    named = [each for each in values_of(api.model(client, "digits-vae").value, "directions") if each]
    assert named
    return list(named[0])


@pytest.fixture(scope="session")
def latent(client: httpx.Client) -> list[float]:
    """The mean of a picture, for the model that has an encoder."""
    return encoding(client, digit())["mean"]


@pytest.fixture(scope="session")
def forms(latent: list[float], directions: list[str]) -> dict[str, Json]:
    """One part of a request of each form, for the model that has an encoder."""
    return {
        "latents": {"latents": [latent]},
        "interpolate": {"interpolate": {"from": {"seed": 1}, "to": {"seed": 2}, "steps": 3}},
        "lattice": {"lattice": {"size": 2, "x": 0, "y": 1}},
        "edit": {"edit": {"image": api.base64_of(saved(digit())), "direction": directions[0], "amount": 1.0}},
    }
