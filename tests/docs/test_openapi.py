"""The document at /openapi.json and the page that shows it."""

import difflib
import re
from typing import Any

import httpx
import pytest

from service.api.schema import (
    DenoiseAnswer,
    EncodeAnswer,
    GenerateAnswer,
    ItemsAnswer,
    RecommendAnswer,
    SimilarAnswer,
)
from service.problems import KINDS
from tests.docs.openapi import COMMITTED
from tests.docs.openapi import document as written
from tests.service.conftest import Served, png, served, zoo

__all__ = ["served", "zoo"]


@pytest.fixture
def client(served: tuple[Served, httpx.Client]) -> httpx.Client:
    return served[1]


@pytest.fixture
def document(client: httpx.Client) -> dict[str, Any]:
    return client.get("/openapi.json").json()


def test_the_committed_document_is_current() -> None:
    committed, current = COMMITTED.read_text(), written()
    changes = difflib.unified_diff(committed.splitlines(), current.splitlines(), "committed", "served", lineterm="")
    assert committed == current, "run `make openapi` and review:\n" + "\n".join(changes)


CALLS = ("recommend", "denoise", "encode", "generate")


@pytest.mark.parametrize("call", CALLS)
def test_every_call_is_described_whole(document: dict[str, Any], call: str) -> None:
    operation = document["paths"][f"/v1/{call}"]["post"]
    assert operation["operationId"] == call
    assert operation["requestBody"]["required"] is True
    answer = operation["responses"]["200"]
    assert {"X-Model", "X-Model-Version"} <= set(answer["headers"])
    assert answer["content"]
    refusals = {status: text for status, text in operation["responses"].items() if status != "200"}
    assert {"404", "406", "408", "409", "413", "415", "422", "500", "503", "504"} <= set(refusals)
    for status, refusal in refusals.items():
        assert list(refusal["content"]) == ["application/problem+json"]
        for name in re.findall(r"`([a-z-]+)`", refusal["description"]):
            assert KINDS[name].status == int(status)
    picture = {"type": "string", "format": "binary"}
    for content in (operation["requestBody"]["content"], answer["content"]):
        for kind, body in content.items():
            assert (body["schema"] == picture) == (kind != "application/json")


def test_not_ready_and_numbers_in_headers_are_described(document: dict[str, Any]) -> None:
    ready = document["paths"]["/readyz"]["get"]["responses"]
    assert ready["503"]["content"] == ready["200"]["content"]
    assert list(document["paths"]["/livez"]["get"]["responses"]) == ["200"]
    headers = document["paths"]["/v1/generate"]["post"]["responses"]["200"]["headers"]
    assert [headers[name]["schema"]["type"] for name in ("X-Seed", "X-Model")] == ["integer", "string"]


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                assert node["$ref"].removeprefix("#/components/schemas/") in document["components"]["schemas"]
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(document)


def test_the_title_is_the_products(document: dict[str, Any]) -> None:
    assert document["info"]["title"] == "Harmonium"
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("call", CALLS)
def test_the_examples_work(client: httpx.Client, document: dict[str, Any], call: str) -> None:
    body = document["paths"][f"/v1/{call}"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert client.post(f"/v1/{call}", json=body).status_code == 200


def test_answers_are_as_they_are_described(client: httpx.Client) -> None:
    users = [{"liked": ["260", "nobody"]}, {}]
    answer = client.post("/v1/recommend", json={"users": users, "reasons": True})
    RecommendAnswer.model_validate_json(answer.content, strict=True)
    ItemsAnswer.model_validate_json(client.get("/v1/models/movies-rbm/items").content, strict=True)
    answer = client.get("/v1/models/movies-rbm/items/260/similar")
    SimilarAnswer.model_validate_json(answer.content, strict=True)
    answer = client.post("/v1/encode?sample=1", content=png(8, 8), headers={"content-type": "image/png"})
    EncodeAnswer.model_validate_json(answer.content, strict=True)
    accept = {"content-type": "image/png", "accept": "application/json"}
    answer = client.post("/v1/denoise", content=png(8, 8), headers=accept)
    DenoiseAnswer.model_validate_json(answer.content, strict=True)
    answer = client.post("/v1/generate", json={"count": 2}, headers={"accept": "application/json"})
    GenerateAnswer.model_validate_json(answer.content, strict=True)


def test_query_parameters_are_described(document: dict[str, Any]) -> None:
    for call, names in {
        "denoise": ["model", "version", "strength", "amount", "view", "quality"],
        "encode": ["model", "version", "fit", "invert", "sample", "reconstruct"],
    }.items():
        parameters = document["paths"][f"/v1/{call}"]["post"]["parameters"]
        assert [parameter["name"] for parameter in parameters] == names
        assert all(parameter["description"] and parameter["in"] == "query" for parameter in parameters)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("items", ["name", "version", "query", "limit", "offset"]),
        ("items/{id}/similar", ["name", "id", "version", "count"]),
    ],
)
def test_items_are_described(document: dict[str, Any], path: str, names: list[str]) -> None:
    operation = document["paths"][f"/v1/models/{{name}}/{path}"]["get"]
    assert [parameter["name"] for parameter in operation["parameters"]] == names
    for parameter in operation["parameters"]:
        assert parameter["in"] == ("path" if parameter["name"] in ("name", "id") else "query")
        assert parameter["in"] == "path" or parameter["description"]
    assert {"404", "406", "409", "422"} <= set(operation["responses"])


def test_the_knobs_of_a_list_are_explained(document: dict[str, Any]) -> None:
    fields = document["components"]["schemas"]["RecommendRequest"]["properties"]
    for name, words in (("diversity", "maximal marginal relevance"), ("novelty", "self-information")):
        assert words in fields[name]["description"]
        assert "NDCG@10" in fields[name]["description"]


@pytest.mark.parametrize("page", ["", "docs"])
def test_pages_load_nothing_from_elsewhere_and_are_not_framed(client: httpx.Client, page: str) -> None:
    answer = client.get(f"/{page}")
    assert answer.status_code == 200
    assert "//" not in re.sub(r"<!doctype.*?>", "", answer.text)
    files = set(re.findall(r'(?:src|href)="([^"#]+)"', answer.text)) - {"data:,"}
    assert len(files) > 1
    for name in [*files, "openapi.json"]:
        file = client.get(f"/{name}")
        assert file.status_code == 200, name
        assert "text/html" not in file.headers["content-type"] or name == "docs"
        if name.startswith(("page/", "docs/")):
            assert file.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "frame-ancestors 'none'", "connect-src 'self'"} <= set(policy)
    assert "http" not in answer.headers["content-security-policy"]
