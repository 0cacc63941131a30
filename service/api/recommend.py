"""POST /v1/recommend: lists of items for users, from what they rated."""

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray
from pydantic import BeforeValidator, FailFast, Field, WithJsonSchema, with_config
from pydantic_core import to_json
from typing_extensions import TypedDict

from models.manifest import Recommend
from service.api import call, schema
from service.media.negotiation import JSON
from service.problems import Fault, InvalidFields
from service.runtime.clock import Clock
from service.runtime.model import Model
from service.runtime.ranking import (
    POOL,
    Catalogue,
    History,
    ListRule,
    NumberRule,
    Rules,
    diverse,
    novel,
    order,
    rounded,
)
from service.runtime.reasons import strongest
from service.settings import MOST_RATINGS, MOST_USERS, Settings

router = APIRouter()
GAINS_PER_ROW = 1000
"""Gains of a graph that explains itself which count as one run of another."""
MOST_LISTED = 10_000
"""Ids in `allow` and in `deny`."""
MOST_ENTRIES = 1000
"""Entries in one list of a filter."""
OTHER_VALUES = 2**16
"""Values of a body beside those of ratings: ids in lists, entries of filters, users and fields."""


def _spelled(item: object) -> object:
    return str(item) if type(item) is int else item


ItemId = Annotated[
    str,
    Field(min_length=1, max_length=64),
    BeforeValidator(_spelled),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1, "maxLength": 64}, {"type": "integer"}]}),
]
Entry = Annotated[str, Field(min_length=1, max_length=200)]
# Every list has a ceiling and stops at its first fault: a body of many megabytes must not become as many objects.
Items = Annotated[tuple[ItemId, ...], FailFast(), Field(max_length=MOST_LISTED)]
Entries = Annotated[tuple[Entry, ...], FailFast(), Field(max_length=MOST_ENTRIES)]


# A dictionary, not an object of a class: a call may have 100,000 of them.
@with_config(call.Body.model_config)
class Rating(TypedDict):
    """What a user thought of one item."""

    item: ItemId
    rating: Annotated[float, Field(description="On the model's scale.")]


class User(call.Body):
    """May be empty: then the list is that of the most popular items."""

    ratings: Annotated[tuple[Rating, ...], FailFast(), Field(max_length=MOST_RATINGS)] = ()
    liked: Annotated[tuple[ItemId, ...], FailFast(), Field(max_length=MOST_RATINGS)] = ()
    """Items without a rating; each counts as one of the manifest's "liked" value."""


class Filter(call.Body):
    """`any`, `all`, `none` are for attributes that are lists, `from` and `to` for numbers."""

    any: Entries = ()
    all: Entries = ()
    none: Entries = ()
    low: Annotated[float | None, Field(alias="from")] = None
    high: Annotated[float | None, Field(alias="to")] = None


DIVERSITY = (
    f"Puts the {POOL} items of the best scores in another order, by maximal marginal relevance (Carbonell & Goldstein "
    "1998): the next item is always the one with the greatest (1 - diversity) x its score - diversity x its greatest "
    f"likeness to an item before it. Scores are scaled to 0..1 over those {POOL}; likeness is the cosine of what "
    "liking either item adds to all scores. In the answer `score` is this sum, scaled back to the scores of those "
    f"{POOL}, and the items after them follow by their own. 0: by score alone. The trade: a list that repeats itself "
    "less, and hits less often. With the shipped movies-rbm, 0.3 costs some 1 per cent of NDCG@10, 0.5 some 11, 1 more "
    "than half."
)
NOVELTY = (
    f"Prefers the less popular among the {POOL} items of the best scores: these are put in the order of (1 - novelty) "
    "x score + novelty x self-information, which is -log2 of the share of users who liked the item (Zhou et al. 2010); "
    f"both are scaled to 0..1 over those {POOL}. With `diversity`, this sum takes the score's place there. In the "
    f"answer `score` is this sum, scaled back to the scores of those {POOL}, and the items after them follow by their "
    "own. 0: by score alone. The trade: items that the user knows less likely already, and likes less likely. With the "
    "shipped movies-rbm, 0.1 costs nothing of NDCG@10, 0.3 some 1 per cent, 0.5 more than a third, 1 nine tenths."
)


class RecommendRequest(call.Body):
    model: Annotated[str, Field(max_length=64)] | None = None
    version: Annotated[int, Field(ge=1)] | None = None
    users: Annotated[list[User], FailFast(), Field(min_length=1, max_length=MOST_USERS)]
    count: Annotated[int, Field(ge=1)] = 10
    offset: Annotated[int, Field(ge=0, lt=2**31)] = 0
    include_rated: bool = False
    """Whether items that the user rated may be listed."""
    allow: Items = ()
    """If any: only these may be listed."""
    deny: Items = ()
    filter: Annotated[dict[str, Filter], Field(default_factory=dict[str, Filter])]
    """Conditions on item attributes, by name; all of them must hold."""
    diversity: Annotated[float, Field(ge=0, le=1, description=DIVERSITY)] = 0
    novelty: Annotated[float, Field(ge=0, le=1, description=NOVELTY)] = 0
    reasons: bool = False
    """Whether to tell what each of the user's ratings added to a score."""


@router.post("/v1/recommend", **schema.recommend(RecommendRequest))
async def recommend(request: Request) -> Response:
    """Items for each user, best first, with their predicted ratings. Pages by `offset` never overlap."""
    call.accepts(request, [JSON])
    call.content_type(request, [JSON])
    clock, settings = call.clock(request), call.state(request).settings
    with clock.stage("decode"):
        _count(await request.body(), settings)
        ask = await call.body(request, RecommendRequest)
        model, task = call.choose(request, "recommend", Recommend, ask.model, ask.version)
        catalogue = model.catalogue
        assert catalogue is not None
        _check(ask, task, settings)
        rules = _rules(ask, task)
    histories: list[History] = []
    faults: list[Fault] = []
    for who, user in enumerate(ask.users):
        with clock.stage("decode"):
            faults += _off_scale(who, user, task)
            histories.append(_history(user, task, catalogue))
        await asyncio.sleep(0)  # many users do not hold up other callers
    if faults:
        raise InvalidFields(faults)
    rows = await model.infer("score", [history.row(task) for history in histories], clock)
    with clock.stage("encode"):
        listable = catalogue.listable(ask.allow, ask.deny, rules)
    users: list[bytes] = []
    for history, row in zip(histories, rows, strict=True):
        user = await _user(ask, model, catalogue, history, row, listable, clock)
        with clock.stage("encode"):
            users.append(to_json(user))
        await asyncio.sleep(0)
    with clock.stage("encode"):
        unknown = catalogue.unknown_values(rules)
        return call.json_of_parts("users", users, {"unknown_values": unknown} if unknown else {}, model)


async def _user(
    ask: RecommendRequest,
    model: Model,
    catalogue: Catalogue,
    history: History,
    row: dict[str, NDArray[Any]],
    listable: NDArray[np.bool_],
    clock: Clock,
) -> dict[str, Any]:
    """One user's part of the answer."""
    task = catalogue.task
    score = row["score"] if history.index else catalogue.popularity
    with clock.stage("encode"):
        if not ask.include_rated and history.index:
            listable = listable.copy()
            listable[list(history.index)] = False
        ordered = order(score, listable)
        page = ordered[ask.offset : ask.offset + ask.count]
        told = score[page]
    if (ask.diversity or ask.novelty) and ask.offset < len(ordered[:POOL]):
        page, told = await _rearranged(ask, model, catalogue, score, ordered, clock)
        page, told = page[ask.offset :], told[ask.offset :]
    with clock.stage("encode"):
        scores = rounded(told).tolist()
        ratings = rounded(np.clip(row["predicted_rating"][page], task.rating_low, task.rating_high)).tolist()
        items: list[dict[str, Any]] = [
            {
                **catalogue.answers[place],
                "score": scores[rank],
                "rating": ratings[rank],
                "attributes": catalogue.attributes[place],
            }
            for rank, place in enumerate(page.tolist())
        ]
    if ask.reasons:
        found = await strongest(model, history, score, page, clock) if history.index and items else [[]] * len(items)
        for item, best in zip(items, found, strict=True):
            item["reasons"] = [{"item": catalogue.items[history.index[which]].id, "gain": gain} for which, gain in best]
    return {
        "source": "model" if history.index else "popularity",
        "unknown_items": history.unknown,
        "repeated_items": history.repeated,
        "total": len(ordered),
        "items": items,
    }


async def _rearranged(
    ask: RecommendRequest,
    model: Model,
    catalogue: Catalogue,
    score: NDArray[Any],
    ordered: NDArray[np.intp],
    clock: Clock,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The list as far as the page goes and what orders it, the first POOL items ordered by novelty and diversity.

    What orders these is on the scale of their scores, so that the list goes on where they end.
    """
    pool, end = ordered[:POOL], ask.offset + ask.count
    with clock.stage("encode"):
        worth = rounded(novel(score[pool], catalogue.information[pool], ask.novelty))
        places = np.argsort(-worth, kind="stable")[:end]
        values = worth[places]
    if ask.diversity:
        assert model.profiles is not None
        units = await model.profiles.units(pool, clock)
        with clock.stage("encode"):
            places, values = diverse(worth, units, ask.diversity, end)
    low, high = score[pool].min(), score[pool].max()
    rest = ordered[POOL:end]
    return np.concatenate([pool[places], rest]), np.concatenate([low + (high - low) * values, score[rest]])


def _check(ask: RecommendRequest, task: Recommend, settings: Settings) -> None:
    """What the schema cannot know: limits that are settings, and the model's own."""
    if len(ask.users) > settings.max_users:
        raise _over("users", "HARMONIUM_MAX_USERS", f"{len(ask.users)} users; {settings.max_users} are allowed")
    if ask.count > settings.max_count:
        raise _over("count", "HARMONIUM_MAX_COUNT", f"must be at most {settings.max_count}")
    most = min(settings.max_ratings, task.max_ratings)
    setting = "HARMONIUM_MAX_RATINGS" if most == settings.max_ratings else None
    for place, user in enumerate(ask.users):
        size = len(user.ratings) + len(user.liked)
        if size > most:
            whose = "" if setting else " by this model"
            detail = f"{size} ratings and likes; {most} are allowed{whose}"
            raise InvalidFields([Fault(call.pointer("users", place), detail)], setting)
    rows = sum(len(user.ratings) + len(user.liked) for user in ask.users)
    if rows > settings.max_call_ratings:
        detail = f"{rows} ratings and likes; {settings.max_call_ratings} are allowed in one call"
        raise _over("users", "HARMONIUM_MAX_CALL_RATINGS", detail)
    if ask.reasons:
        most, asked, what = settings.max_reason_rows, rows, "ratings"
        if task.explains:
            most, asked, what = most * GAINS_PER_ROW, rows * ask.count, "pairs of a rating and an item"
        if asked > most:
            detail = f"are given for at most {most} {what} a call; these are {asked}"
            raise _over("reasons", "HARMONIUM_MAX_REASON_ROWS", detail)


def _count(data: bytes, settings: Settings) -> None:
    """Refuse a body of too many values before any of them is made: each costs a microsecond or two, and memory.

    Every value but the first of its list or object follows a comma, and a rating has two. A rating is an object.
    """
    commas, nested, most = data.count(b","), call.nested(data), settings.max_call_ratings
    if commas > 2 * most + OTHER_VALUES or nested > most + OTHER_VALUES:
        detail = f"the body has {commas} commas and {nested} brackets, more than {most} ratings and likes can need"
        raise _over("users", "HARMONIUM_MAX_CALL_RATINGS", detail)


def _off_scale(who: int, user: User, task: Recommend) -> Iterator[Fault]:
    detail = f"must be from {task.rating_low:g} to {task.rating_high:g}"
    for which, rating in enumerate(user.ratings):
        if not task.rating_low <= rating["rating"] <= task.rating_high:
            yield Fault(call.pointer("users", who, "ratings", which, "rating"), detail)


def _over(name: str, setting: str, detail: str) -> InvalidFields:
    return InvalidFields([Fault(call.pointer(name), detail)], setting)


def _history(user: User, task: Recommend, catalogue: Catalogue) -> History:
    rated = [(rating["item"], rating["rating"]) for rating in user.ratings]
    return catalogue.history([*rated, *((item, task.liked) for item in user.liked)])


def _rules(ask: RecommendRequest, task: Recommend) -> Rules:
    """The filter, checked against the attributes that the model's items have."""
    rules: dict[str, ListRule | NumberRule] = {}
    for name, given in ask.filter.items():
        where = call.pointer("filter", name)
        kind = task.attributes.get(name)
        if kind is None:
            has = ", ".join(task.attributes) or "none"
            raise InvalidFields([Fault(where, f"is no attribute of this model's items; they have: {has}")])
        lists, numbers = given.any or given.all or given.none, given.low is not None or given.high is not None
        if kind == "number":
            if lists:
                raise InvalidFields([Fault(where, "is a number: use from and to")])
            if numbers:
                low = -np.inf if given.low is None else given.low
                high = np.inf if given.high is None else given.high
                if low > high:
                    raise InvalidFields([Fault(where, f"no number is from {low:g} to {high:g}")])
                rules[name] = NumberRule(low, high)
        else:
            if numbers:
                raise InvalidFields([Fault(where, "is a list: use any, all and none")])
            rules[name] = ListRule(given.any, given.all, given.none)
    return rules
