"""GET /v1/models/{name}/items: what a recommender knows, found by title; and which items go with one."""

import asyncio
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import Field
from pydantic_core import to_json

from models.manifest import Recommend
from service.api import call, schema
from service.media.negotiation import JSON
from service.problems import Fault, InvalidFields, UnknownItem
from service.runtime.model import Model
from service.runtime.ranking import Catalogue, order, rounded

router = APIRouter()


class ItemsQuery(call.Query):
    version: Annotated[int | None, Field(ge=1)] = None
    query: Annotated[
        str,
        Field(
            max_length=200,
            description="A piece of a title, or some of its words in any order; case, accents and marks do not matter. "
            "First come titles that are the query, begin with it or hold it, then those with words that begin like "
            "its words; a word of 4 letters may have one typing error, one of 8 letters two. Of equals the most "
            "popular comes first. Empty: every item, in the order of the model.",
        ),
    ] = ""
    limit: Annotated[int, Field(ge=1, description="Most items in the answer.")] = 20
    offset: Annotated[int, Field(ge=0, lt=2**31, description="Items before the first; pages never overlap.")] = 0


class SimilarQuery(call.Query):
    version: Annotated[int | None, Field(ge=1)] = None
    count: Annotated[int, Field(ge=1, description="Most items in the answer.")] = 10


@router.get("/v1/models/{name}/items", **schema.items(ItemsQuery))
async def items(request: Request) -> Response:
    """Items whose titles fit the query, best first. Pages by `offset` never overlap."""
    call.accepts(request, [JSON])
    ask = call.query(request, ItemsQuery)
    model, catalogue = _choose(request, ask.version)
    _check(request, "limit", ask.limit)
    clock = call.clock(request)
    with clock.stage("run"):
        found = await asyncio.to_thread(catalogue.titles.find, ask.query)  # of 100,000 titles it takes a while
    with clock.stage("encode"):
        page = found[ask.offset : ask.offset + ask.limit]
        tree = {"items": [_item(catalogue, place) for place in page.tolist()], "total": len(found)}
        return call.answer(to_json(tree), JSON, model)


@router.get("/v1/models/{name}/items/{id:path}/similar", **schema.similar(SimilarQuery))
async def similar(request: Request) -> Response:
    """The items whose scores gain most when somebody who rated nothing likes this one; the greatest gain first."""
    call.accepts(request, [JSON])
    ask = call.query(request, SimilarQuery)
    model, catalogue = _choose(request, ask.version)
    _check(request, "count", ask.count)
    item = request.path_params["id"]
    if (place := catalogue.index.get(item)) is None:
        raise UnknownItem(f"{model.name} version {model.version} has no item {item!r}.")
    clock = call.clock(request)
    assert model.profiles is not None
    (gain,) = await model.profiles.gains([place], clock)
    with clock.stage("encode"):
        others = np.arange(len(gain)) != place
        page = order(gain, others)[: ask.count]
        told = zip(page.tolist(), rounded(gain[page]).tolist(), strict=True)
        tree = {"items": [_item(catalogue, other) | {"similarity": value} for other, value in told]}
        return call.answer(to_json(tree), JSON, model)


def _choose(request: Request, version: int | None) -> tuple[Model, Catalogue]:
    model = call.state(request).library.resolve(request.path_params["name"], version)
    model.task(Recommend)  # or the refusal
    assert model.catalogue is not None
    return model, model.catalogue


def _check(request: Request, name: str, size: int) -> None:
    most = call.state(request).settings.max_count
    if size > most:
        raise InvalidFields([Fault(call.pointer(name), f"must be at most {most}")], "HARMONIUM_MAX_COUNT")


def _item(catalogue: Catalogue, place: int) -> dict[str, object]:
    return {**catalogue.answers[place], "attributes": catalogue.attributes[place]}
