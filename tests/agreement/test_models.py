"""GET /v1/models and what is below it."""

import httpx
import pytest

from tests.agreement import client as api
from tests.agreement.asking import DEFAULTS, refused, values_of


def test_models_have_the_fields_of_the_agreement(client: httpx.Client) -> None:
    answer = api.models(client).value
    assert set(answer) == {"models"}
    for model in answer["models"]:
        assert set(model) == {"name", "family", "tasks", "versions", "default_for"}
        for version in model["versions"]:
            assert set(version) - {"reason"} == {"version", "state", "device", "created"}
            assert version["state"] in ("live", "loaded", "refused")
            assert isinstance(version["version"], int)


def test_models_tell_their_tasks_and_defaults(client: httpx.Client) -> None:
    models = {model["name"]: model for model in api.models(client).value["models"]}
    for task, name in DEFAULTS.items():
        assert task in models[name]["tasks"]
        assert task in models[name]["default_for"]


@pytest.mark.parametrize("name", DEFAULTS.values())
def test_model_tells_the_public_part_of_its_manifest(client: httpx.Client, name: str) -> None:
    manifest = api.model(client, name).value
    for part in ("summary", "credit", "licence", "tasks", "metrics"):
        assert values_of(manifest, part), part


def test_generator_tells_classes_and_directions(client: httpx.Client, classes: list[str]) -> None:
    assert classes
    assert any(values_of(api.model(client, "digits-vae").value, "directions"))


@pytest.mark.parametrize("name", DEFAULTS.values())
def test_version_tells_the_public_part_of_its_manifest(
    client: httpx.Client, versions: dict[str, int], name: str
) -> None:
    assert api.model_version(client, name, versions[name]).value == api.model(client, name).value


def test_items_have_the_fields_of_the_agreement(client: httpx.Client) -> None:
    answer = api.items(client, "movies-rbm", query="matrix", limit=20, offset=0).value
    assert set(answer) == {"items", "total"}
    assert "2571" in [item["item"] for item in answer["items"]]
    assert all(set(item) == {"item", "title", "attributes"} for item in answer["items"])


def test_items_fit_the_query(client: httpx.Client) -> None:
    answer = api.items(client, "movies-rbm", query="star wars").value
    assert answer["total"] >= len(answer["items"]) > 0
    assert any("Star Wars" in item["title"] for item in answer["items"])


def test_query_that_fits_nothing_is_an_empty_list(client: httpx.Client) -> None:
    assert api.items(client, "movies-rbm", query="qxzqxzqxzqxz").value == {"items": [], "total": 0}


def test_limit_is_the_length_of_a_page(client: httpx.Client) -> None:
    assert [len(api.items(client, "movies-rbm", limit=limit).value["items"]) for limit in (1, 7, 20)] == [1, 7, 20]


def test_pages_of_items_are_pieces_of_one_list(client: httpx.Client) -> None:
    pages = [api.items(client, "movies-rbm", query="the", limit=10, offset=at).value for at in (0, 10, 20)]
    whole = api.items(client, "movies-rbm", query="the", limit=30).value
    assert [item for page in pages for item in page["items"]] == whole["items"]
    assert {page["total"] for page in pages} == {whole["total"]}


def test_similar_items_are_listed(client: httpx.Client) -> None:
    """Reading: as `items`, for the agreement does not show this answer."""
    listed = api.similar(client, "movies-rbm", "260", count=10).value["items"]
    assert len(listed) == 10
    assert {type(item["item"]) for item in listed} == {str}
    assert "260" not in [item["item"] for item in listed]


@pytest.mark.parametrize("count", [1, 25])
def test_count_is_the_number_of_similar_items(client: httpx.Client, count: int) -> None:
    assert len(api.similar(client, "movies-rbm", "260", count=count).value["items"]) == count


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/nowhere", "unknown-path"),
        ("/v1/nowhere", "unknown-path"),
        ("/problems/nowhere", "unknown-path"),
        ("/v1/models/nobody", "unknown-model"),
        ("/v1/models/nobody/versions/1", "unknown-model"),
        ("/v1/models/movies-rbm/versions/99999", "unknown-version"),
        ("/v1/models/nobody/items", "unknown-model"),
        ("/v1/models/nobody/items/260/similar", "unknown-model"),
        ("/v1/models/movies-rbm/items/nothing/similar", "unknown-item"),
    ],
)
def test_what_is_not_there_is_refused(client: httpx.Client, path: str, kind: str) -> None:
    refused(client.get(path), 404, kind)


@pytest.mark.parametrize("path", ["/v1/models/photo-dae/items", "/v1/models/photo-dae/items/1/similar"])
def test_items_of_a_model_without_items_are_refused(client: httpx.Client, path: str) -> None:
    refused(client.get(path), 409, "wrong-task")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/movies-rbm/items?limit=-1",
        "/v1/models/movies-rbm/items?limit=x",
        "/v1/models/movies-rbm/items?offset=-1",
        "/v1/models/movies-rbm/items/260/similar?count=-1",
        "/v1/models/movies-rbm/items/260/similar?count=x",
    ],
)
def test_parameter_of_a_page_at_fault_is_refused(client: httpx.Client, path: str) -> None:
    refused(client.get(path), 422, "invalid-fields")
