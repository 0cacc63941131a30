"""POST /v1/recommend: users, scores, reasons, limits."""

import httpx
import pytest

from tests.agreement import client as api
from tests.agreement.asking import RATED, RATINGS, USER, Json, ask, asked, call, ids, recommended, refused, values_of


def test_request_of_the_agreement_is_answered(client: httpx.Client, versions: dict[str, int]) -> None:
    request = {
        "model": "movies-rbm",
        "version": versions["movies-rbm"],
        "users": [{"ratings": [{"item": "1196", "rating": 5}], "liked": ["260"]}],
        "count": 10,
        "offset": 0,
        "include_rated": False,
        "allow": ["1", "2"],
        "deny": ["3"],
        "filter": {"genres": {"any": ["Comedy"], "none": ["Horror"]}, "year": {"from": 1980, "to": 1999}},
        "diversity": 0.0,
        "novelty": 0.0,
        "reasons": False,
    }
    response = ask(client, "recommend", request)
    assert response.status_code == 200
    assert set(ids(response.json()["users"][0])) <= {"1", "2"}


def test_answer_has_the_fields_of_the_agreement(client: httpx.Client) -> None:
    answer = api.recommend(client, [USER]).value
    assert set(answer) == {"model", "version", "users"}
    user = answer["users"][0]
    assert set(user) == {"source", "unknown_items", "repeated_items", "total", "items"}
    assert all(set(item) == {"item", "title", "score", "rating", "attributes"} for item in user["items"])
    assert {type(item["item"]) for item in user["items"]} == {str}


def test_listed_item_is_that_of_the_catalogue(client: httpx.Client, catalogue: dict[str, api.Item]) -> None:
    for item in recommended(client)["items"]:
        known = catalogue[item["item"]]
        assert (item["title"], item["attributes"]) == (known["title"], known["attributes"])


def test_users_are_required(client: httpx.Client) -> None:
    assert refused(ask(client, "recommend", {}), 422, "invalid-fields").pointers == ["/users"]


def test_empty_user_gets_the_popular(client: httpx.Client) -> None:
    listed = recommended(client, {})
    assert listed["source"] == "popularity"
    assert len(listed["items"]) == 10


def test_user_who_named_only_unknown_items_gets_the_popular(client: httpx.Client) -> None:
    listed = recommended(client, {"ratings": [{"item": "nothing", "rating": 3}], "liked": ["nobody"]})
    assert listed["source"] == "popularity"
    assert ids(listed) == ids(recommended(client, {}))


def test_known_item_is_answered_by_the_model(client: httpx.Client) -> None:
    assert recommended(client)["source"] == "model"


def test_unknown_items_are_listed(client: httpx.Client) -> None:
    listed = recommended(client, {"ratings": [*RATINGS, {"item": "nothing", "rating": 3}], "liked": ["nobody"]})
    assert sorted(listed["unknown_items"]) == ["nobody", "nothing"]
    assert listed["source"] == "model"


def test_unknown_item_that_was_sent_as_an_integer_is_listed_as_a_string(client: httpx.Client) -> None:
    listed = recommended(client, {"ratings": [{"item": 99999999, "rating": 3}]})
    assert listed["unknown_items"] == ["99999999"]


def test_nothing_unknown_and_nothing_repeated_are_empty_lists(client: httpx.Client) -> None:
    listed = recommended(client)
    assert (listed["unknown_items"], listed["repeated_items"]) == ([], [])


def test_item_may_be_sent_as_an_integer(client: httpx.Client) -> None:
    assert recommended(client, {"ratings": [{"item": 260, "rating": 5}]}) == recommended(
        client, {"ratings": [{"item": "260", "rating": 5}]}
    )


def test_liked_means_the_rating_of_the_manifest(client: httpx.Client) -> None:
    (liked,) = values_of(api.model(client, "movies-rbm").value, "liked")
    rated = recommended(client, {"ratings": [{"item": "260", "rating": liked}]})
    assert recommended(client, {"liked": ["260"]}) == rated


def test_last_of_two_ratings_counts(client: httpx.Client) -> None:
    twice = recommended(client, {"ratings": [{"item": "260", "rating": 1}, {"item": "260", "rating": 5}]})
    once = recommended(client, {"ratings": [{"item": "260", "rating": 5}]})
    assert twice["items"] == once["items"]
    assert (twice["repeated_items"], once["repeated_items"]) == (["260"], [])


def test_item_that_is_rated_and_liked_is_repeated(client: httpx.Client) -> None:
    """Reading: a like is a rating. Which of the two is the last is not said."""
    listed = recommended(client, {"ratings": [{"item": "260", "rating": 1}], "liked": ["260"]})
    assert listed["repeated_items"] == ["260"]


def test_score_orders_the_list(client: httpx.Client) -> None:
    scores = [item["score"] for item in recommended(client, count=1000)["items"]]
    assert scores == sorted(scores, reverse=True)


def test_score_orders_the_popular(client: httpx.Client) -> None:
    scores = [item["score"] for item in recommended(client, {}, count=1000)["items"]]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("option", ["diversity", "novelty"])
def test_score_orders_the_list_of_another_taste(client: httpx.Client, option: str) -> None:
    """Reading: "`score` orders the list" makes no exception."""
    scores = [item["score"] for item in recommended(client, count=50, **{option: 0.5})["items"]]
    assert scores == sorted(scores, reverse=True)


def test_rating_is_on_the_scale_of_the_manifest(client: httpx.Client) -> None:
    manifest = api.model(client, "movies-rbm").value
    (low,), (high,) = values_of(manifest, "rating_low"), values_of(manifest, "rating_high")
    ratings = [item["rating"] for item in recommended(client, count=1000)["items"]]
    assert low <= min(ratings) <= max(ratings) <= high


def test_users_are_answered_in_their_order(client: httpx.Client) -> None:
    users: list[api.User] = [USER, {}, {"liked": ["1"]}]
    assert api.recommend(client, users).value["users"] == [recommended(client, user) for user in users]


def test_reasons_are_the_own_items_the_greatest_gain_first(client: httpx.Client) -> None:
    for item in recommended(client, reasons=True)["items"]:
        gains = [reason["gain"] for reason in asked(item, "reasons")]
        assert {reason["item"] for reason in asked(item, "reasons")} <= RATED
        assert gains == sorted(gains, reverse=True)


def test_reasons_are_all_own_items_where_they_are_few(client: httpx.Client) -> None:
    """Reading: an item that took from the score is told as well."""
    for item in recommended(client, reasons=True)["items"]:
        assert {reason["item"] for reason in asked(item, "reasons")} == RATED


def test_reasons_are_at_most_five(client: httpx.Client) -> None:
    user: api.User = {"liked": ["1", "2", "3", "260", "1196", "1198", "2571"]}
    assert {len(asked(item, "reasons")) for item in recommended(client, user, reasons=True)["items"]} == {5}


def test_gain_is_the_score_with_the_item_minus_without_it(client: httpx.Client, catalogue: dict[str, api.Item]) -> None:
    ratings: list[api.Rating] = [
        {"item": item, "rating": 1 + place % 5} for place, item in enumerate(sorted(catalogue)[::300])
    ]
    listed = recommended(client, {"ratings": ratings}, reasons=True)["items"]
    page: api.RecommendOptions = {"allow": [item["item"] for item in listed], "count": len(listed)}
    without: list[api.User] = [{"ratings": [rating for rating in ratings if rating != left]} for left in ratings]
    scores = {
        left["item"]: {item["item"]: item["score"] for item in user["items"]}
        for left, user in zip(ratings, api.recommend(client, without, **page).value["users"], strict=True)
    }
    for item in listed:
        gains = {left: item["score"] - score[item["item"]] for left, score in scores.items()}
        told = asked(item, "reasons")
        best = sorted(gains.values(), reverse=True)[: len(told)]
        assert [gains[reason["item"]] for reason in told] == pytest.approx(best, abs=1e-3)
        assert [reason["gain"] for reason in told] == pytest.approx(best, abs=1e-3)


def test_nothing_known_gives_no_reasons(client: httpx.Client) -> None:
    assert all(not item.get("reasons") for item in recommended(client, {}, reasons=True)["items"])


def test_most_users_are_answered(client: httpx.Client) -> None:
    users: list[api.User] = [{}] * 256
    assert len(api.recommend(client, users, count=1).value["users"]) == 256


def test_more_users_are_refused(client: httpx.Client) -> None:
    problem = refused(ask(client, "recommend", {"users": [{}] * 257}), 422, "invalid-fields")
    assert problem.pointers == ["/users"]
    assert problem.members["setting"]


def test_most_ratings_are_answered(client: httpx.Client) -> None:
    ratings: list[api.Rating] = [{"item": "260", "rating": 5}] * 5000
    assert recommended(client, {"ratings": ratings})["repeated_items"] == ["260"]


def test_more_ratings_are_refused(client: httpx.Client) -> None:
    user = {"ratings": [{"item": "260", "rating": 5}] * 5001}
    problem = refused(ask(client, "recommend", {"users": [user]}), 422, "invalid-fields")
    assert problem.members["setting"]


def test_likes_count_as_ratings(client: httpx.Client) -> None:
    """Reading: a like is a rating."""
    user = {"ratings": [{"item": "260", "rating": 5}] * 2500, "liked": ["260"] * 2501}
    assert refused(ask(client, "recommend", {"users": [user]}), 422, "invalid-fields").members["setting"]


def test_greater_count_is_refused(client: httpx.Client) -> None:
    problem = refused(call(client, "recommend", count=1001), 422, "invalid-fields")
    assert problem.pointers == ["/count"]
    assert problem.members["setting"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("count", -1),
        ("count", "ten"),
        ("offset", -1),
        ("include_rated", "perhaps"),
        ("allow", "1"),
        ("deny", {"1": 1}),
        ("filter", ["Comedy"]),
        ("reasons", 7),
        ("users", {}),
    ],
)
def test_field_of_the_wrong_kind_is_refused(client: httpx.Client, field: str, value: object) -> None:
    assert f"/{field}" in refused(call(client, "recommend", **{field: value}), 422, "invalid-fields").pointers


@pytest.mark.parametrize("rating", [0, 5.5, -1, "five", None])
def test_rating_at_fault_is_pointed_at(client: httpx.Client, rating: object) -> None:
    ratings = [*RATINGS[:3], {"item": "1", "rating": rating}]
    problem = refused(ask(client, "recommend", {"users": [{"ratings": ratings}]}), 422, "invalid-fields")
    assert problem.pointers == ["/users/0/ratings/3/rating"]
    assert problem.errors[0]["detail"]


@pytest.mark.parametrize("rating", [{"item": "1"}, {"rating": 4}])
def test_half_of_a_rating_is_refused(client: httpx.Client, rating: Json) -> None:
    refused(ask(client, "recommend", {"users": [{"ratings": [rating]}]}), 422, "invalid-fields")
