import concurrent.futures
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.store import Store
from service.runtime import reasons
from service.runtime.ranking import POOL
from tests.models import reproducible
from tests.service.conftest import refused, serving
from tests.versions import film_items, recommend, run

RATED = {"ratings": [{"item": "1196", "rating": 5}, {"item": "260", "rating": 4}]}


def ask(client: httpx.Client, *users: Any, **fields: Any) -> httpx.Response:
    return client.post("/v1/recommend", json={"users": users or [RATED], **fields})


def lists(client: httpx.Client, *users: Any, **fields: Any) -> list[dict[str, Any]]:
    answer = ask(client, *users, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()["users"]


def ids(user: dict[str, Any]) -> list[str]:
    return [item["item"] for item in user["items"]]


def test_an_answer_has_the_agreed_form(client: httpx.Client) -> None:
    answer = ask(client, count=3)
    assert answer.headers["x-model"] == "movies-rbm"
    assert answer.headers["x-model-version"] == "1"
    tree = answer.json()
    assert list(tree) == ["model", "version", "users"]
    (user,) = tree["users"]
    assert (user["source"], user["unknown_items"], user["repeated_items"], user["total"]) == ("model", [], [], 38)
    assert len(user["items"]) == 3
    for item in user["items"]:
        assert list(item) == ["item", "title", "score", "rating", "attributes"]
        assert 0.5 <= item["rating"] <= 5
    assert not {"1196", "260"} & set(ids(user))
    stages = [part.split(";")[0] for part in answer.headers["server-timing"].split(", ")]
    assert sorted(stages) == ["decode", "encode", "queue", "run"]


def test_a_year_is_an_integer(client: httpx.Client) -> None:
    (user,) = lists(client, {}, allow=["260"])
    assert user["items"][0]["attributes"] == {"genres": ["Action"], "year": 1977}
    assert '"year":1977}' in ask(client, {}, allow=["260"]).text


def test_ids_may_be_integers(client: httpx.Client) -> None:
    whole = {"ratings": [{"item": 1196, "rating": 5}, {"item": 260, "rating": 4}]}
    assert lists(client, whole, deny=[2]) == lists(client, RATED, deny=["2"])


def test_liked_counts_as_the_liked_rating(client: httpx.Client) -> None:
    rated = {"ratings": [{"item": "260", "rating": 4.0}]}
    assert lists(client, {"liked": ["260"]}) == lists(client, rated)


def test_of_an_item_rated_twice_the_last_counts(client: httpx.Client) -> None:
    twice = {"ratings": [{"item": "260", "rating": 1}, {"item": "260", "rating": 4}, {"item": "nobody", "rating": 1}]}
    (user,) = lists(client, twice)
    assert user["repeated_items"] == ["260"]
    assert user["unknown_items"] == ["nobody"]
    assert user["items"] == lists(client, {"ratings": [{"item": "260", "rating": 4}]})[0]["items"]


def test_without_a_known_item_the_popular_come_first(client: httpx.Client) -> None:
    for history in ({}, {"liked": ["nobody"]}):
        (user,) = lists(client, history, count=40)
        assert user["source"] == "popularity"
        popular = sorted(film_items(), key=lambda item: -item.popularity)
        assert ids(user) == [item.id for item in popular]
        assert [item["score"] for item in user["items"]] == [round(item.popularity, 4) for item in popular]


def test_pages_never_overlap_and_leave_nothing_out(client: httpx.Client) -> None:
    (whole,) = lists(client, count=100)
    paged = [item for offset in range(0, 42, 7) for item in lists(client, count=7, offset=offset)[0]["items"]]
    assert paged == whole["items"]
    assert len({item["item"] for item in paged}) == whole["total"] == 38


def test_a_user_gets_the_same_list_alone_and_in_any_batch(client: httpx.Client) -> None:
    items = [item.id for item in film_items()]
    users = [
        {
            "ratings": [
                {"item": items[(3 * who + i) % 40], "rating": 0.5 + (who + i) % 10 / 2} for i in range(1 + who % 7)
            ]
        }
        for who in range(60)
    ]
    alone = [lists(client, user, count=40)[0] for user in users]
    assert lists(client, *users, count=40) == alone
    with concurrent.futures.ThreadPoolExecutor(8) as callers:
        assert [user for (user,) in callers.map(lambda user: lists(client, user, count=40), users)] == alone


def test_include_rated(client: httpx.Client) -> None:
    (user,) = lists(client, count=40, include_rated=True)
    assert {"1196", "260"} <= set(ids(user))
    assert user["total"] == 40


def test_allow_and_deny(client: httpx.Client) -> None:
    (user,) = lists(client, allow=["1", "2", "3", "1196", "nobody"], deny=["3"])
    assert sorted(ids(user)) == ["1", "2"]
    assert user["total"] == 2
    assert lists(client, allow=["nobody"])[0]["total"] == 0
    assert lists(client, allow=[])[0]["total"] == 38


@pytest.mark.parametrize(
    ("rules", "fits"),
    [
        ({"genres": {"any": ["Comedy", "Drama"]}}, lambda a: {"Comedy", "Drama"} & set(a["genres"])),
        ({"genres": {"all": ["Action", "Comedy"]}}, lambda a: {"Action", "Comedy"} <= set(a["genres"])),
        ({"genres": {"none": ["Action"]}}, lambda a: "Action" not in a["genres"]),
        ({"genres": {"any": ["Western"]}}, lambda a: False),
        ({"genres": {}, "year": {}}, lambda a: True),
        ({"year": {"from": 1970, "to": 1980}}, lambda a: a["year"] is not None and 1970 <= a["year"] <= 1980),
        ({"year": {"to": 1970}, "genres": {"any": ["Drama"]}}, lambda a: "Drama" in a["genres"] and a["year"] <= 1970),
    ],
)
def test_filters(client: httpx.Client, rules: Any, fits: Any) -> None:
    (everything,) = lists(client, count=40, include_rated=True)
    (user,) = lists(client, count=40, include_rated=True, filter=rules)
    assert user["items"] == [item for item in everything["items"] if fits(item["attributes"])]
    assert user["total"] == len(user["items"])


def test_a_value_that_no_item_has_is_told(client: httpx.Client) -> None:
    genres = {"any": ["comedy", "Comedy"], "all": ["Drama"], "none": ["Westen", "comedy"]}
    rules = {"genres": genres, "year": {"to": 1970}}
    assert ask(client, filter=rules).json()["unknown_values"] == {"genres": ["comedy", "Westen"]}
    assert "unknown_values" not in ask(client, filter={"genres": {"any": ["Comedy"]}}).json()


def test_reasons_are_the_scores_without_each_rating(client: httpx.Client) -> None:
    items = ["1196", "260", "1", "5", "6", "7", "8"]
    ratings = [{"item": item, "rating": 0.5 + place / 2} for place, item in enumerate(items)]
    (user,) = lists(client, {"ratings": ratings}, reasons=True, count=3)
    for item in user["items"]:
        told = item["reasons"]
        assert len(told) == 5
        gains = {}
        for rating in ratings:
            rest = {"ratings": [other for other in ratings if other != rating]}
            (without,) = lists(client, rest, allow=[item["item"]])
            gains[rating["item"]] = item["score"] - without["items"][0]["score"]
        best = sorted(gains.values(), reverse=True)[:5]
        assert [reason["gain"] for reason in told] == pytest.approx(best, abs=2e-4)
        assert [gains[reason["item"]] for reason in told] == pytest.approx(best, abs=2e-4)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The same weights twice: `told` has a graph that explains itself, `tried` has not."""
    folder = tmp_path_factory.mktemp("both")
    for name, explains in (("told", True), ("tried", False)):
        Store([folder]).publish(*recommend(name=name, explains=explains))
    with serving(folder) as (_, client):
        yield client


@pytest.mark.parametrize("slices", ["one", "many"])
@pytest.mark.parametrize("rated", [1, 7, 8, 40])
def test_reasons_that_the_graph_tells_are_those_of_leaving_out(
    both: httpx.Client, rated: int, slices: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if slices == "many":
        monkeypatch.setattr(reasons, "SLICE", 3 * 8)  # three items of a history of eight, one of a longer one
    ratings = [{"item": item.id, "rating": 0.5 + place % 10 / 2} for place, item in enumerate(film_items()[:rated])]
    fields = {"count": 11, "offset": 2, "include_rated": True, "reasons": True, "diversity": 0.2}
    (told,) = lists(both, {"ratings": ratings}, model="told", **fields)
    (tried,) = lists(both, {"ratings": ratings}, model="tried", **fields)
    assert ids(told) == ids(tried)
    for one, other in zip(told["items"], tried["items"], strict=True):
        assert len(one["reasons"]) == min(rated, 5)
        assert [reason["gain"] for reason in one["reasons"]] == pytest.approx(
            [reason["gain"] for reason in other["reasons"]], abs=2e-4
        )
        assert [reason["item"] for reason in one["reasons"]] == [reason["item"] for reason in other["reasons"]]


def test_reasons_are_the_same_whoever_asks_at_the_same_time(both: httpx.Client) -> None:
    users = [{"liked": [item.id for item in film_items()[who : who + 6]]} for who in range(30)]
    alone = [lists(both, user, model="told", reasons=True)[0] for user in users]
    assert lists(both, *users, model="told", reasons=True) == alone
    with concurrent.futures.ThreadPoolExecutor(8) as callers:
        found = callers.map(lambda user: lists(both, user, model="told", reasons=True)[0], users)
        assert list(found) == alone


@pytest.mark.parametrize("name", ["told", "tried"])
def test_an_empty_page_has_no_reasons(both: httpx.Client, name: str) -> None:
    assert lists(both, model=name, reasons=True, offset=100)[0]["items"] == []


def test_reasons_of_one_rating_and_of_none(client: httpx.Client) -> None:
    one, none = lists(client, {"liked": ["260"]}, {}, reasons=True, count=1)
    assert [reason["item"] for reason in one["items"][0]["reasons"]] == ["260"]
    assert none["items"][0]["reasons"] == []


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"users": []}, "/users"),
        ({"users": [{"rating": []}]}, "/users/0/rating"),
        ({"users": [{}], "colour": 1}, "/colour"),
        ({"users": [{}], "count": 0}, "/count"),
        ({"users": [{}], "count": "10"}, "/count"),
        ({"users": [{}], "count": True}, "/count"),
        ({"users": [{}], "offset": -1}, "/offset"),
        ({"users": [{}], "version": 0}, "/version"),
        ({"users": [{"liked": [True]}]}, "/users/0/liked/0"),
        ({"users": [{"liked": [""]}]}, "/users/0/liked/0"),
        ({"users": [{"ratings": [{"item": "1", "rating": 5.5}]}]}, "/users/0/ratings/0/rating"),
        ({"users": [{"ratings": [{"item": "1", "rating": 0}]}]}, "/users/0/ratings/0/rating"),
        ({"users": [{"ratings": [{"item": "1"}]}]}, "/users/0/ratings/0/rating"),
        ({"users": [{}], "diversity": 1.01}, "/diversity"),
        ({"users": [{}], "diversity": True}, "/diversity"),
        ({"users": [{}], "novelty": -0.01}, "/novelty"),
        ({"users": [{"ratings": [{"item": "1", "rating": 1, "when": 1}]}]}, "/users/0/ratings/0/when"),
        ({"users": [{}], "filter": {"a/b~c": {}}}, "/filter/a~1b~0c"),
        ({"users": [{}], "filter": {"year": {"any": ["1999"]}}}, "/filter/year"),
        ({"users": [{}], "filter": {"genres": {"from": 1}}}, "/filter/genres"),
        ({"users": [{}], "filter": {"year": {"from": "x"}}}, "/filter/year/from"),
        ({"users": [{}], "filter": {"year": {"from": 1999, "to": 1990}}}, "/filter/year"),
    ],
)
def test_wrong_fields_are_pointed_at(client: httpx.Client, fields: Any, pointer: str) -> None:
    refused(client.post("/v1/recommend", json=fields), 422, "invalid-fields", pointer)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_are_finite(client: httpx.Client, number: str) -> None:
    body = '{"users": [{"ratings": [{"item": "1", "rating": RATING}]}]}'.replace("RATING", number)
    answer = client.post("/v1/recommend", content=body, headers={"content-type": "application/json"})
    refused(answer, 422, "invalid-fields", "/users/0/ratings/0/rating")


def test_every_rating_off_the_scale_is_pointed_at(client: httpx.Client) -> None:
    bad, good = {"item": "1", "rating": 6}, {"item": "1", "rating": 5}
    answer = ask(client, {"ratings": [good, bad]}, {}, {"ratings": [bad]})
    refused(answer, 422, "invalid-fields", "/users/0/ratings/1/rating", "/users/2/ratings/0/rating")


def test_faults_are_counted_though_only_twenty_are_listed(client: httpx.Client) -> None:
    problem = ask(client, {"ratings": [{"item": "1", "rating": 6}] * 30}).json()
    assert len(problem["errors"]) == 20
    assert problem["detail"].endswith("(and 29 more)")


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"users": [{"liked": ["x" * 65]}]}, "string should have at most 64 characters"),
        ({"users": [{}], "deny": ["1"] * 10_001}, "may have at most 10000 entries"),
    ],
)
def test_lengths_are_told_in_plain_words(client: httpx.Client, fields: Any, detail: str) -> None:
    assert client.post("/v1/recommend", json=fields).json()["errors"][0]["detail"] == detail


def test_without_diversity_and_novelty_the_list_is_that_of_the_scores(client: httpx.Client) -> None:
    (user,) = lists(client, count=40)
    assert lists(client, count=40, diversity=0, novelty=0) == [user]
    scores = [item["score"] for item in user["items"]]
    assert scores == sorted(scores, reverse=True)


def by_hand(user: dict[str, Any], diversity: float, novelty: float) -> list[str]:
    """The list by maximal marginal relevance, from the answer without knobs and the graph itself."""
    _, files = recommend()
    items = [item.id for item in film_items()]

    def score(*liked: int) -> np.ndarray[Any, Any]:
        index = np.array([[*liked, -1]] * 2, np.int32)
        return run(files["score.onnx"], {"item_index": index, "rating": np.full(index.shape, 4, np.float32)})["score"][
            0
        ]

    profiles = {item: score(place) - score() for place, item in enumerate(items)}

    def likeness(one: str, other: str) -> float:
        a, b = profiles[one].astype(float), profiles[other].astype(float)
        return a @ b / np.sqrt((a @ a) * (b @ b))

    def scaled(values: dict[str, float]) -> dict[str, float]:
        low, high = min(values.values()), max(values.values())
        return {item: (value - low) / (high - low) for item, value in values.items()}

    left = [item["item"] for item in user["items"]]
    rarity = {item.id: -np.log2(item.popularity) for item in film_items()}
    scores = scaled({item["item"]: item["score"] for item in user["items"]})
    bits = scaled({item: rarity[item] for item in left})
    worth = {item: (1 - novelty) * scores[item] + novelty * bits[item] for item in left}
    listed: list[str] = []
    while left:
        marginal = [
            (1 - diversity) * worth[item] - diversity * max((likeness(item, other) for other in listed), default=0)
            for item in left
        ]
        listed.append(left.pop(int(np.argmax(np.round(marginal, 4)))))
    return listed


@pytest.mark.parametrize(("diversity", "novelty"), [(0.3, 0), (1, 0), (0, 0.3), (0, 1), (0.5, 0.5)])
def test_diversity_and_novelty_are_as_they_are_defined(client: httpx.Client, diversity: float, novelty: float) -> None:
    (user,) = lists(client, count=40)
    (other,) = lists(client, count=40, diversity=diversity, novelty=novelty)
    assert ids(other) == by_hand(user, diversity, novelty)
    assert ids(other) != ids(user)
    scores = [item.pop("score") for item in other["items"]]
    assert scores == sorted(scores, reverse=True)
    plain = [item.pop("score") for item in user["items"]]
    assert min(plain) <= scores[-1] <= scores[0] <= max(plain)
    assert sorted(other["items"], key=lambda item: item["item"]) == sorted(user["items"], key=lambda item: item["item"])


def test_whoever_is_unknown_has_diversity_and_novelty_too(client: httpx.Client) -> None:
    (user,) = lists(client, {}, count=40)
    (novel,) = lists(client, {}, count=40, novelty=1)
    assert ids(novel) == [item.id for item in sorted(film_items(), key=lambda item: item.popularity)]
    (diverse,) = lists(client, {}, count=40, diversity=0.5)
    assert diverse["source"] == "popularity"
    assert ids(diverse)[0] == ids(user)[0]
    assert ids(diverse) != ids(user)


def test_what_may_not_be_listed_is_not_listed_for_diversity(client: httpx.Client) -> None:
    rules = {"allow": ["2", "3", "8", "1196"], "deny": ["3"], "diversity": 0.5, "novelty": 0.5}
    (user,) = lists(client, **rules)
    assert (sorted(ids(user)), user["total"]) == (["2", "8"], 2)
    assert lists(client, allow=["nobody"], diversity=1)[0]["items"] == []
    assert lists(client, diversity=1, offset=38)[0]["items"] == []


def test_reasons_belong_to_the_items_that_are_listed(client: httpx.Client) -> None:
    (plain,) = lists(client, count=40, reasons=True)
    (user,) = lists(client, count=5, offset=2, reasons=True, diversity=0.7)
    gains = {item["item"]: item["reasons"] for item in plain["items"]}
    assert [item["reasons"] for item in user["items"]] == [gains[item] for item in ids(user)]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A recommender with more items than are put in another order."""
    folder = tmp_path_factory.mktemp("wide")
    Store([folder]).publish(*recommend(items=film_items(POOL + 60)))
    with serving(folder) as (_, client):
        yield client


knob = st.sampled_from([0, 0.001, 0.3, 0.5, 1])


@given(diversity=knob, novelty=knob, size=st.integers(20, 130), rated=st.integers(0, 5), only=st.integers(1, 260))
@settings(reproducible, max_examples=30)
def test_pages_never_overlap_under_any_knob(
    wide: httpx.Client, diversity: float, novelty: float, size: int, rated: int, only: int
) -> None:
    user = {"ratings": [{"item": str(7 + item), "rating": 1 + item % 5} for item in range(rated)]}
    fields = {"diversity": diversity, "novelty": novelty, "allow": [item.id for item in film_items(only)]}
    (whole,) = lists(wide, user, count=260, **fields)
    pages = [
        item
        for offset in range(0, whole["total"] + size, size)
        for item in lists(wide, user, count=size, offset=offset, **fields)[0]["items"]
    ]
    assert pages == whole["items"]
    scores = [item["score"] for item in pages]
    assert scores == sorted(scores, reverse=True)
    (plain,) = lists(wide, user, count=260, allow=fields["allow"])
    assert sorted(ids(whole)) == sorted(ids(plain))
    assert ids(whole)[POOL:] == ids(plain)[POOL:]


def test_limits_name_their_setting(client: httpx.Client) -> None:
    refused(ask(client, *[{}] * 257), 422, "invalid-fields", "/users", setting="HARMONIUM_MAX_USERS")
    refused(ask(client, count=1001), 422, "invalid-fields", "/count", setting="HARMONIUM_MAX_COUNT")
    refused(ask(client, {"liked": ["1"] * 65}), 422, "invalid-fields", "/users/0")  # the model's own limit
    many = [{"liked": ["1"] * 50}] * 21
    refused(ask(client, *many, reasons=True), 422, "invalid-fields", "/reasons", setting="HARMONIUM_MAX_REASON_ROWS")


def test_a_graph_that_explains_itself_gives_more_reasons(both: httpx.Client) -> None:
    many = [{"liked": ["1"] * 50}] * 21
    assert ask(both, *many, model="told", reasons=True, count=900).status_code == 200
    answer = ask(both, *many, model="told", reasons=True, count=1000)
    refused(answer, 422, "invalid-fields", "/reasons", setting="HARMONIUM_MAX_REASON_ROWS")
    assert "at most 1000000 pairs" in answer.json()["detail"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"users=1", b"[" * 100_000])
def test_what_is_not_json_is_malformed(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/v1/recommend", content=body, headers={"content-type": "application/json"})
    refused(answer, 400, "malformed-body")
