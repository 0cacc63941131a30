"""POST /v1/recommend: what is listed, in which order, on which page."""

from collections.abc import Callable

import httpx
import pytest

from tests.agreement import client as api
from tests.agreement.asking import RATED, USER, Json, ask, call, ids, recommended, refused


def test_rated_items_are_not_listed(client: httpx.Client, catalogue: dict[str, api.Item]) -> None:
    listed = recommended(client, {**USER, "liked": ["2"]}, count=1000)
    assert not set(ids(listed)) & (RATED | {"2"})
    assert listed["total"] == len(catalogue) - 5


def test_rated_items_are_listed_where_they_may(client: httpx.Client, catalogue: dict[str, api.Item]) -> None:
    assert recommended(client, include_rated=True)["total"] == len(catalogue)
    assert set(ids(recommended(client, include_rated=True, allow=sorted(RATED)))) == RATED


def test_allow_names_all_that_may_be_listed(client: httpx.Client) -> None:
    listed = recommended(client, allow=["2", "3", "2571"])
    assert sorted(ids(listed)) == ["2", "2571", "3"]
    assert listed["total"] == 3


def test_empty_allow_is_no_allow(client: httpx.Client) -> None:
    assert recommended(client, allow=[]) == recommended(client)


def test_rated_item_is_not_listed_though_it_is_allowed(client: httpx.Client) -> None:
    assert ids(recommended(client, allow=["260", "2"])) == ["2"]


def test_denied_items_are_not_listed(client: httpx.Client) -> None:
    all_of_them = recommended(client)
    first, *others = ids(all_of_them)
    denied = recommended(client, deny=[first])
    assert ids(denied)[:9] == others
    assert denied["total"] == all_of_them["total"] - 1


def test_item_that_is_allowed_and_denied_is_not_listed(client: httpx.Client) -> None:
    assert ids(recommended(client, allow=["2", "3"], deny=["3"])) == ["2"]


@pytest.mark.parametrize(
    ("filter_", "fits"),
    [
        ({"genres": {"any": ["Horror", "Western"]}}, lambda genres, year: bool({"Horror", "Western"} & genres)),
        ({"genres": {"all": ["Action", "Sci-Fi"]}}, lambda genres, year: {"Action", "Sci-Fi"} <= genres),
        ({"genres": {"none": ["Drama", "Comedy"]}}, lambda genres, year: not {"Drama", "Comedy"} & genres),
        ({"year": {"from": 1998}}, lambda genres, year: year >= 1998),
        ({"year": {"to": 1950}}, lambda genres, year: year <= 1950),
        ({"year": {"from": 1980, "to": 1982}}, lambda genres, year: 1980 <= year <= 1982),
        (
            {"genres": {"any": ["Comedy"], "none": ["Horror"]}, "year": {"from": 1980, "to": 1999}},
            lambda genres, year: "Comedy" in genres and "Horror" not in genres and 1980 <= year <= 1999,
        ),
    ],
)
def test_filter_lists_exactly_what_fits(
    client: httpx.Client,
    catalogue: dict[str, api.Item],
    filter_: dict[str, api.Filter],
    fits: Callable[[set[str], float], bool],
) -> None:
    fitting = {
        item["item"]
        for item in catalogue.values()
        if item["item"] not in RATED and fits(set(item["attributes"]["genres"]), item["attributes"]["year"])
    }
    first = recommended(client, filter=filter_, count=1000)
    pages = [recommended(client, filter=filter_, count=1000, offset=at) for at in range(1000, first["total"], 1000)]
    listed = [item for page in [first, *pages] for item in ids(page)]
    assert len(listed) == first["total"]
    assert sorted(listed) == sorted(fitting)


@pytest.mark.parametrize(
    "filter_", [{"colour": {"any": ["red"]}}, {"year": {"any": ["1980"]}}, {"genres": {"from": 1}}]
)
def test_filter_of_no_such_attribute_is_refused(client: httpx.Client, filter_: Json) -> None:
    """Reading: an attribute that the manifest does not name, and a condition of the other kind, are at fault."""
    refused(ask(client, "recommend", {"users": [{}], "filter": filter_}), 422, "invalid-fields")


@pytest.mark.parametrize("count", [1, 10, 1000])
def test_count_is_the_length_of_the_list(client: httpx.Client, count: int) -> None:
    assert len(recommended(client, count=count)["items"]) == count


@pytest.mark.parametrize("taste", [{}, {"diversity": 0.5}, {"novelty": 0.5}, {"diversity": 0.3, "novelty": 0.7}])
def test_same_request_gets_the_same_list(client: httpx.Client, taste: dict[str, float]) -> None:
    once, again = (recommended(client, count=100, reasons=True, **taste) for _ in range(2))
    assert once == again


@pytest.mark.parametrize("taste", [{}, {"diversity": 0.5}, {"novelty": 0.5}, {"diversity": 0.3, "novelty": 0.7}])
def test_pages_are_pieces_of_one_list(client: httpx.Client, taste: dict[str, float]) -> None:
    pages = [ids(recommended(client, count=70, offset=at, **taste)) for at in range(0, 350, 70)]
    joined = [item for page in pages for item in page]
    assert joined == ids(recommended(client, count=350, **taste))
    assert len(set(joined)) == 350


def test_pages_of_the_popular_never_overlap(client: httpx.Client) -> None:
    pages = [ids(recommended(client, {}, count=100, offset=at)) for at in (0, 100, 200)]
    assert len({item for page in pages for item in page}) == 300


def test_pages_hold_every_item_once(client: httpx.Client) -> None:
    first = recommended(client, count=1000)
    pages = [ids(recommended(client, count=1000, offset=at)) for at in range(0, first["total"], 1000)]
    joined = [item for page in pages for item in page]
    assert len(joined) == len(set(joined)) == first["total"]


def test_page_behind_the_end_is_empty(client: httpx.Client) -> None:
    assert ids(recommended(client, offset=100_000)) == []


@pytest.mark.parametrize("option", ["diversity", "novelty"])
def test_taste_of_zero_is_the_default(client: httpx.Client, option: str) -> None:
    assert recommended(client, **{option: 0.0}) == recommended(client)


@pytest.mark.parametrize("option", ["diversity", "novelty"])
def test_taste_changes_the_list(client: httpx.Client, option: str) -> None:
    assert ids(recommended(client, **{option: 1.0})) != ids(recommended(client))


@pytest.mark.parametrize("option", ["diversity", "novelty"])
@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_taste_out_of_range_is_refused(client: httpx.Client, option: str, value: float) -> None:
    """Reading: 0 to 1, though the agreement gives no range."""
    assert refused(call(client, "recommend", **{option: value}), 422, "invalid-fields").pointers == [f"/{option}"]
