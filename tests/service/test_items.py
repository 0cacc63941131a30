from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from models.items import Item
from models.store import Store
from tests.service.conftest import refused, serving
from tests.versions import film_items, recommend, run

PATH = "/v1/models/movies-rbm/items"
IDS = [item.id for item in film_items()]


def found(client: httpx.Client, **query: Any) -> dict[str, Any]:
    answer = client.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(tree: dict[str, Any]) -> list[str]:
    return [item["item"] for item in tree["items"]]


def test_an_answer_has_the_agreed_form(client: httpx.Client) -> None:
    answer = client.get(f"{PATH}?query=episode&limit=1")
    assert (answer.headers["x-model"], answer.headers["x-model-version"]) == ("movies-rbm", "1")
    attributes = {"genres": ["Action"], "year": 1977}
    item = {"item": "260", "title": "Star Wars: Episode IV (1977)", "attributes": attributes}
    assert answer.json() == {"items": [item], "total": 2}
    stages = [part.split(";")[0] for part in answer.headers["server-timing"].split(", ")]
    assert sorted(stages) == ["encode", "run"]


def test_without_a_query_all_are_listed_in_the_order_of_the_model(client: httpx.Client) -> None:
    assert ids(found(client)) == IDS[:20]
    assert (ids(found(client, limit=100)), found(client)["total"]) == (IDS, 40)


def test_titles_are_found_in_spite_of_case_accents_and_typing_errors(client: httpx.Client) -> None:
    assert ids(found(client, query="NAIVE")) == ["1"]
    assert ids(found(client, query="\u6620")) == ["1"]
    assert ids(found(client, query="satr wars v")) == ["1196"]
    assert found(client, query="nothing of the kind") == {"items": [], "total": 0}


def test_exact_comes_before_what_begins_so_and_before_errors(client: httpx.Client) -> None:
    tree = found(client, query="film 3", limit=40)
    assert ids(tree) == ["3", *map(str, range(30, 39))]
    assert ids(found(client, query="flim 3", limit=40)) == ids(tree)


@pytest.mark.parametrize("query", ["", "film", "fil 3"])
def test_pages_never_overlap_and_leave_nothing_out(client: httpx.Client, query: str) -> None:
    whole = found(client, query=query, limit=100)
    paged = [item for offset in range(0, 42, 7) for item in ids(found(client, query=query, limit=7, offset=offset))]
    assert paged == ids(whole)
    assert len(set(paged)) == whole["total"] > 9


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/limit"),
        ("limit=x", "/limit"),
        ("offset=-1", "/offset"),
        ("version=0", "/version"),
        ("count=3", "/count"),
        ("limit=1&limit=2", "/limit"),
        ("query=" + "x" * 201, "/query"),
    ],
)
def test_wrong_parameters_are_pointed_at(client: httpx.Client, query: str, pointer: str) -> None:
    refused(client.get(f"{PATH}?{query}"), 422, "invalid-fields", pointer)


def test_limits_name_their_setting(client: httpx.Client) -> None:
    for path, name in ((PATH, "limit"), (f"{PATH}/260/similar", "count")):
        refused(client.get(f"{path}?{name}=1001"), 422, "invalid-fields", f"/{name}", setting="HARMONIUM_MAX_COUNT")
        assert client.get(f"{path}?{name}=1000").status_code == 200


@pytest.mark.parametrize("rest", ["items", "items/260/similar"])
def test_a_model_must_be_there_and_must_recommend(client: httpx.Client, rest: str) -> None:
    refused(client.get(f"/v1/models/nobody/{rest}"), 404, "unknown-model")
    refused(client.get(f"/v1/models/movies-rbm/{rest}?version=2"), 404, "unknown-version")
    detail = refused(client.get(f"/v1/models/digits-gan/{rest}"), 409, "wrong-task")
    assert detail == "digits-gan version 1 does not recommend; it does: generate."
    refused(client.get(f"/v1/models/movies-rbm/{rest}", headers={"accept": "text/html"}), 406, "not-acceptable")
    assert client.head(f"/v1/models/movies-rbm/{rest}?version=1").status_code == 200


def test_those_alike_are_those_whose_scores_gain_most(client: httpx.Client) -> None:
    _, files = recommend()
    place = IDS.index("260")
    index = np.array([[place], [-1]], np.int32)
    score = run(files["score.onnx"], {"item_index": index, "rating": np.full((2, 1), 4, np.float32)})["score"]
    gain = score[0] - score[1]
    best = [IDS[other] for other in np.argsort(-gain) if other != place]
    answer = client.get(f"{PATH}/260/similar?count=39")
    assert answer.headers["x-model"] == "movies-rbm"
    similar = answer.json()["items"]
    assert [item["item"] for item in similar] == best
    assert [item["similarity"] for item in similar] == pytest.approx([gain[IDS.index(item)] for item in best], abs=1e-4)
    assert list(similar[0]) == ["item", "title", "attributes", "similarity"]
    assert client.get(f"{PATH}/260/similar").json()["items"] == similar[:10]


def test_a_gain_is_the_reason_that_somebody_who_liked_only_this_is_given(client: httpx.Client) -> None:
    body = {"users": [{"liked": ["260"]}], "reasons": True, "count": 40}
    told = {
        item["item"]: item["reasons"] for item in client.post("/v1/recommend", json=body).json()["users"][0]["items"]
    }
    for item in client.get(f"{PATH}/260/similar?count=40").json()["items"]:
        assert told[item["item"]] == [{"item": "260", "gain": pytest.approx(item["similarity"], abs=2e-4)}]


def test_an_unknown_item_is_told(client: httpx.Client) -> None:
    detail = refused(client.get(f"{PATH}/99999/similar"), 404, "unknown-item")
    assert detail == "movies-rbm version 1 has no item '99999'."
    refused(client.get(f"{PATH}/260/other"), 404, "unknown-path")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Items whose ids are hard to write into a path."""
    folder = tmp_path_factory.mktemp("odd")
    names = ["a/b", "similar", "x/similar", "\u00e9 ?#%", "plain"]
    rows = tuple(Item(name, f"Title {name}", 0.5, {"genres": (), "year": None}) for name in names)
    Store([folder]).publish(*recommend(items=rows))
    with serving(folder) as (_, client):
        yield client


@pytest.mark.parametrize("item", ["a%2Fb", "similar", "x%2Fsimilar", "%C3%A9%20%3F%23%25"])
def test_an_id_may_hold_any_sign(odd: httpx.Client, item: str) -> None:
    answer = odd.get(f"{PATH}/{item}/similar")
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["items"]) == 4
