"""Bodies that are small to send and large to hold."""

import asyncio
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.items import Item
from models.manifest import Recommend
from models.store import Store
from service.api.call import MAX_NESTED
from service.api.generation import MOST_NUMBERS
from service.api.recommend import MOST_ENTRIES, MOST_LISTED, OTHER_VALUES
from service.api.sent import MOST_VALUES
from service.app import create_app
from service.metrics import Metrics
from service.runtime.clock import Clock
from service.runtime.library import Library
from service.runtime.model import GAINS_PER_RATING, RUN_SCORES
from service.runtime.ranking import Catalogue, History, ListRule
from service.settings import MOST_IMAGES, MOST_PICTURES, MOST_RATINGS, MOST_USERS, Settings
from service.state import State
from tests.service.conftest import refused, serving
from tests.versions import film_items, recommend

RATING = {"item": "1", "rating": 5}


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"users": [{}] * (MOST_USERS + 1)}, "/users"),
        ({"users": [{"ratings": [RATING] * (MOST_RATINGS + 1)}]}, "/users/0/ratings"),
        ({"users": [{"liked": ["1"] * (MOST_RATINGS + 1)}]}, "/users/0/liked"),
        ({"users": [{}], "allow": ["1"] * (MOST_LISTED + 1)}, "/allow"),
        ({"users": [{}], "deny": ["1"] * (MOST_LISTED + 1)}, "/deny"),
        *(
            ({"users": [{}], "filter": {"genres": {kind: ["Comedy"] * (MOST_ENTRIES + 1)}}}, f"/filter/genres/{kind}")
            for kind in ("any", "all", "none")
        ),
    ],
)
def test_every_list_has_a_ceiling(client: httpx.Client, fields: Any, pointer: str) -> None:
    assert "at most" in refused(client.post("/v1/recommend", json=fields), 422, "invalid-fields", pointer)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"users": [1, 1]}, "/users/0"),
        ({"users": [{"ratings": [1, 1]}]}, "/users/0/ratings/0"),
        ({"users": [{"liked": [1.5, 1.5]}]}, "/users/0/liked/0"),
        ({"users": [{}], "allow": [1.5, 1.5]}, "/allow/0"),
        ({"users": [{}], "deny": [1.5, 1.5]}, "/deny/0"),
        *(({"users": [{}], "filter": {"g": {kind: [1, 1]}}}, f"/filter/g/{kind}/0") for kind in ("any", "all", "none")),
    ],
)
def test_the_first_fault_of_a_list_ends_it(client: httpx.Client, fields: Any, pointer: str) -> None:
    refused(client.post("/v1/recommend", json=fields), 422, "invalid-fields", pointer)


@pytest.fixture(scope="module")
def narrow(zoo: Path) -> Iterator[httpx.Client]:
    with serving(zoo, max_call_ratings=10) as (_, client):
        yield client


def test_ratings_of_all_users_of_a_call_are_limited(narrow: httpx.Client) -> None:
    users = [{"ratings": [RATING] * 3, "liked": ["1"] * 2}, {"liked": ["1"] * 5}]
    assert narrow.post("/v1/recommend", json={"users": users}).status_code == 200
    answer = narrow.post("/v1/recommend", json={"users": [*users, {"liked": ["1"]}]})
    detail = refused(answer, 422, "invalid-fields", "/users", setting="HARMONIUM_MAX_CALL_RATINGS")
    assert detail == "/users: 11 ratings and likes; 10 are allowed in one call"


def test_a_body_of_too_many_values_is_not_looked_at(narrow: httpx.Client) -> None:
    over = b'{"users": [{"ratings": [%b' % (b"," * (2 * 10 + OTHER_VALUES))
    answer = narrow.post("/v1/recommend", content=over, headers={"content-type": "application/json"})
    refused(answer, 400, "malformed-body")
    answer = narrow.post("/v1/recommend", content=over + b",", headers={"content-type": "application/json"})
    detail = refused(answer, 422, "invalid-fields", "/users", setting="HARMONIUM_MAX_CALL_RATINGS")
    assert detail == "/users: the body has 65557 commas and 4 brackets, more than 10 ratings and likes can need"
    nested = b"{" * (10 + OTHER_VALUES)
    answer = narrow.post("/v1/recommend", content=nested, headers={"content-type": "application/json"})
    refused(answer, 400, "malformed-body")
    answer = narrow.post("/v1/recommend", content=nested + b"[", headers={"content-type": "application/json"})
    refused(answer, 422, "invalid-fields", "/users", setting="HARMONIUM_MAX_CALL_RATINGS")
    answer = narrow.post("/v1/recommend", content=over + b",", headers={"content-type": "text/csv"})
    refused(answer, 415, "unsupported-type")


def test_the_lists_of_the_largest_call_fit(client: httpx.Client) -> None:
    entries = {kind: ["Comedy"] * MOST_ENTRIES for kind in ("any", "all", "none")}
    body = {
        "users": [{"ratings": [RATING] * 60}] * 256,
        "allow": ["1"] * MOST_LISTED,
        "deny": ["1"] * MOST_LISTED,
        "filter": {"genres": entries, "year": {"from": 1, "to": 2}},
    }
    assert client.post("/v1/recommend", json=body).status_code == 200


def test_faults_beyond_counting_are_counted_only(client: httpx.Client) -> None:
    body = {"users": [{}]} | {f"x{number}": 1 for number in range(5000)}
    assert "5000 faults" in refused(client.post("/v1/recommend", json=body), 422, "invalid-fields", "")


@pytest.mark.parametrize(
    ("latents", "pointer"),
    [
        ([[0]] * (MOST_PICTURES + 1), "/latents"),
        ([[0] * (MOST_NUMBERS + 1)], "/latents/0"),
        ([[0] * (MOST_NUMBERS * 1001 + 2)], ""),
    ],
)
def test_latents_have_a_ceiling(client: httpx.Client, latents: Any, pointer: str) -> None:
    detail = refused(client.post("/v1/generate", json={"latents": latents}), 422, "invalid-fields", pointer)
    assert ("at most" if pointer else "has more than 1025024 values") in detail


@pytest.mark.parametrize("path", ["denoise", "encode", "generate"])
def test_a_body_of_too_many_lists_is_not_looked_at(client: httpx.Client, path: str) -> None:
    def post(nested: int) -> httpx.Response:
        body = b'{"unknown":[' + b"{}" * (nested - 2)
        return client.post(f"/v1/{path}", content=body, headers={"content-type": "application/json"})

    refused(post(MAX_NESTED), 400, "malformed-body")
    assert "131072 lists and objects" in refused(post(MAX_NESTED + 1), 422, "invalid-fields", "")


@pytest.mark.parametrize("path", ["denoise", "encode"])
def test_a_body_of_more_values_than_images_and_options_is_not_looked_at(client: httpx.Client, path: str) -> None:
    body = {"images": [0] * (MOST_VALUES + 2)}
    assert f"{MOST_VALUES} values" in refused(client.post(f"/v1/{path}", json=body), 422, "invalid-fields", "")


@pytest.mark.parametrize(
    ("setting", "most"),
    [
        ("max_users", MOST_USERS),
        ("max_ratings", MOST_RATINGS),
        ("max_pictures", MOST_PICTURES),
        ("max_images", MOST_IMAGES),
    ],
)
def test_a_setting_cannot_pass_the_ceiling(setting: str, most: int) -> None:
    assert getattr(Settings(**{setting: most}), setting) == most
    with pytest.raises(ValueError, match=setting):
        Settings(**{setting: most + 1})


def test_a_long_filter_takes_no_memory_per_entry() -> None:
    manifest, _ = recommend()
    task = manifest.task(Recommend)
    assert task is not None
    catalogue = Catalogue(film_items(), task)
    entries = ("Western",) * 50_000 + ("Comedy",) * 50_000
    expected = catalogue.listable((), (), {"genres": ListRule(any=("Comedy",))})
    tracemalloc.start()
    mask = catalogue.listable((), (), {"genres": ListRule(any=entries)})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000
    assert (mask == expected).all()
    assert mask.any()


async def test_many_users_leave_turns_of_the_loop_to_others(zoo: Path) -> None:
    state = State(Settings(models=str(zoo)))
    state.library.shelf = state.library.scan()
    transport = httpx.ASGITransport(create_app(state))

    async def turns_of_a_call(users: int) -> int:
        """While nothing else runs and nothing is waited for."""
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            call = asyncio.ensure_future(client.post("/v1/recommend", json={"users": [{}] * users}))
            turns = 0
            while not call.done():
                await asyncio.sleep(0)
                turns += 1
            assert call.result().status_code == 200
            return turns

    alone, many = await turns_of_a_call(1), await turns_of_a_call(101)
    assert many - alone >= 200  # two for each user; batches of the graph give fewer


async def test_a_large_body_is_read_beside_the_loop(zoo: Path) -> None:
    state = State(Settings(models=str(zoo)))
    state.library.shelf = state.library.scan()
    transport = httpx.ASGITransport(create_app(state))

    async def turns_of_a_call(listed: int) -> int:
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            body = {"users": [{}], "deny": ["an item of twenty"] * listed}
            call = asyncio.ensure_future(client.post("/v1/recommend", json=body))
            turns = 0
            while not call.done():
                await asyncio.sleep(0)
                turns += 1
            assert call.result().status_code == 200
            return turns

    small = await turns_of_a_call(10)
    assert await turns_of_a_call(20) == small
    assert await turns_of_a_call(MOST_LISTED) > small


def test_a_stage_may_be_added_while_the_header_is_made() -> None:
    clock = Clock(1)

    class Growing(float):
        """A thread that comes at the worst time."""

        def __rmul__(self, other: float) -> float:
            clock.add("late", 1)
            return other * float(self)

    clock.spent["early"] = Growing(1)
    assert clock.server_timing() == "early;dur=1000.00"


def test_cores_are_counted_where_the_system_does_not_tell_which_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    State(Settings()).pool.close()


def test_a_path_with_a_slash_too_many_is_unknown(client: httpx.Client) -> None:
    for path in ("/v1/recommend/", "/v1/models/", "/livez/"):
        refused(client.post(path, json={}), 404, "unknown-path")


async def test_a_run_of_a_large_recommender_leaves_turns_of_the_loop_to_others(tmp_path: Path) -> None:
    """A row costs what its scores cost, so few rows of many items run together."""
    items = [Item(str(number), "", 0.1, {"genres": (), "year": None}) for number in range(2048)]
    Store([tmp_path]).publish(*recommend(items=items, max_batch=64))
    library = Library(Settings(models=str(tmp_path)), Metrics())
    model = next(iter(library.scan().loaded("movies-rbm").values()))
    row = History((3,), (5.0,)).row(model.task(Recommend))

    async def turns(rows: int) -> int:
        run = asyncio.ensure_future(model.infer("score", [row] * rows, Clock(60)))
        count = 0
        while not run.done():
            await asyncio.sleep(0)
            count += 1
        return count

    together = RUN_SCORES // len(items)
    assert await turns(3 * together) - await turns(together) == 2


async def test_what_explains_waits_for_what_it_costs(tmp_path: Path) -> None:
    Store([tmp_path]).publish(*recommend(explains=True))
    model = next(iter(Library(Settings(models=str(tmp_path)), Metrics()).scan().loaded("movies-rbm").values()))
    history, task = History((3,), (5.0,)), model.task(Recommend)
    for targets, cost in ((0, 8), (2 * GAINS_PER_RATING, 8 + 2 * 8)):
        run = asyncio.ensure_future(model.infer("score", [history.row(task, range(targets))], Clock(60)))
        await asyncio.sleep(0)
        assert model.waiting["score"][1].cost == cost
        (row,) = await run
        assert row["gain"].shape == (targets, 8)
