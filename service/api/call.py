"""What every handler needs of a request, and how every answer is put together."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, to_json

from models.manifest import AnyTaskType
from service.media.negotiation import JSON, accepted, body_type, names
from service.problems import Fault, InvalidFields, MalformedBody, UnsupportedType
from service.runtime.clock import Clock
from service.runtime.model import Model
from service.state import State

Fields = TypeVar("Fields", bound=BaseModel)
MAX_LOOKED_AT = 1000
"""Faults of one body. pydantic makes all of them or none, and a body can have millions, one per unknown field."""
MAX_PARAMETERS = 50
SMALL_BYTES = 2**16
"""Bodies up to this size, JSON or pictures, take a few milliseconds to look at, and are read on the event loop."""
MAX_NESTED = 2**17
"""Lists and objects in a body, where `most_values` are given."""


class Body(BaseModel):
    """A JSON body: closed, without silent conversions, numbers finite."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Query(BaseModel):
    """Query parameters: closed; text is read as what the field is."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Chosen(BaseModel):
    """Fields that name a model."""

    model: Annotated[str | None, Field(max_length=64)] = None
    version: Annotated[int | None, Field(ge=1)] = None


def state(request: Request) -> State:
    """What the process owns."""
    found: State = request.app.state.service
    return found


def clock(request: Request) -> Clock:
    """The request's own, made by the guard."""
    found: Clock = request.scope["state"]["clock"]
    return found


def choose(
    request: Request,
    task: Literal["recommend", "denoise", "encode", "generate"],
    kind: type[AnyTaskType],
    name: str | None,
    version: int | None,
) -> tuple[Model, AnyTaskType]:
    """The model that the call names, or the default one, and what its manifest says about the task."""
    service = state(request)
    model = service.library.resolve(name if name is not None else service.settings.defaults[task], version)
    return model, model.task(kind)


def accepts(request: Request, served: list[str]) -> list[str]:
    """See `negotiation.accepted`. Several headers count as one."""
    return accepted(",".join(request.headers.getlist("accept")) or None, served)


def asks_for(request: Request, kind: str) -> bool:
    """Whether Accept names this very type, not a range that covers it."""
    return names(",".join(request.headers.getlist("accept")), kind)


def content_type(request: Request, served: list[str]) -> str:
    """See `negotiation.body_type`. A body that is compressed is of no type that is read."""
    unencoded(request, served)
    return body_type(request.headers.get("content-type"), served)


def unencoded(request: Request, served: list[str]) -> None:
    """Refuse a body that is compressed.

    Raises:
        UnsupportedType.
    """
    for encoding in ",".join(request.headers.getlist("content-encoding")).split(","):
        if encoding.strip().lower() not in ("", "identity"):
            raise UnsupportedType(f"Content-Encoding is {encoding.strip()}; bodies are sent unencoded.", served)


async def body(request: Request, fields: type[Fields], most_values: int | None = None) -> Fields:
    """The JSON body. See `parsed`.

    Raises:
        UnsupportedType, MalformedBody, InvalidFields: also for any query parameter.
    """
    content_type(request, [JSON])
    no_query(request, "belongs into the JSON body, not into the query")
    return await parsed(await request.body(), fields, most_values)


async def parsed(data: bytes, fields: type[Fields], most_values: int | None = None) -> Fields:
    """What the JSON says. With more than `most_values` values, or MAX_NESTED lists and objects, it is not read.

    Each takes far more memory than its bytes, and pydantic holds the interpreter while it makes them.

    Raises:
        MalformedBody, InvalidFields.
    """
    if most_values is not None and (data.count(b",") > most_values or nested(data) > MAX_NESTED):
        detail = f"has more than {most_values} values, or {MAX_NESTED} lists and objects"
        raise InvalidFields([Fault("", detail)])
    try:
        if len(data) > SMALL_BYTES:
            return await asyncio.to_thread(fields.model_validate_json, data)
        return fields.model_validate_json(data)
    except ValidationError as error:
        if error.error_count() > MAX_LOOKED_AT:
            raise InvalidFields([Fault("", f"has {error.error_count()} faults, too many to list")]) from None
        faults = error.errors(include_url=False)
        if faults[0]["type"] == "json_invalid":
            raise MalformedBody(faults[0]["msg"]) from None
        raise InvalidFields([_fault(fault) for fault in faults]) from None


def nested(data: bytes) -> int:
    """The most lists and objects that a JSON body can have."""
    return data.count(b"[") + data.count(b"{")


def query(request: Request, fields: type[Fields]) -> Fields:
    """The query parameters.

    Raises:
        InvalidFields: also for a parameter that is given twice.
    """
    pairs = request.query_params.multi_items()
    if len(pairs) > MAX_PARAMETERS:
        detail = f"is one of {len(pairs)} query parameters; {MAX_PARAMETERS} are allowed"
        raise InvalidFields([Fault(pointer(pairs[MAX_PARAMETERS][0]), detail)])
    repeated = sorted(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
    if repeated:
        raise InvalidFields([Fault(pointer(name), "is given more than once") for name in repeated])
    try:
        return fields.model_validate(dict(pairs))
    except ValidationError as error:
        raise InvalidFields([_fault(fault) for fault in error.errors(include_url=False)]) from None


def no_query(request: Request, detail: str = "is not known: this path takes no query parameters") -> None:
    """Refuse query parameters, which would be ignored.

    Raises:
        InvalidFields.
    """
    if request.scope["query_string"] and (given := list(request.query_params)):
        raise InvalidFields([Fault(pointer(name), detail) for name in given])


def pointer(*path: str | int) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def answer(content: bytes, kind: str, model: Model, **headers: str) -> Response:
    """A ready answer; keyword `x_seed` is the header X-Seed."""
    return Response(content, media_type=kind, headers=_headers(model, headers))


def stream(chunks: AsyncIterator[bytes], kind: str, model: Model, **headers: str) -> Response:
    """The same, sent chunk by chunk as they are made; a slow reader holds them up."""
    return StreamingResponse(chunks, media_type=kind, headers=_headers(model, headers))


def json_answer(tree: Mapping[str, Any], model: Model, **headers: str) -> Response:
    """The same from a tree of plain values; the model's name and version come first."""
    content = to_json({"model": model.name, "version": model.version, **tree})
    return answer(content, JSON, model, **headers)


def json_of_parts(name: str, parts: Sequence[bytes], tree: Mapping[str, Any], model: Model) -> Response:
    """The same, with a list `name` first that was made entry by entry: so a long one holds the loop only briefly."""
    head, rest = to_json({"model": model.name, "version": model.version, name: []}), to_json(tree)
    more = b"," + rest[1:] if tree else b"}"
    return answer(b"".join((head.removesuffix(b"]}"), b",".join(parts), b"]", more)), JSON, model)


def _headers(model: Model, more: Mapping[str, str]) -> dict[str, str]:
    extra = {name.replace("_", "-"): value for name, value in more.items()}
    return {"X-Model": model.name, "X-Model-Version": str(model.version), **extra}


def _fault(error: ErrorDetails) -> Fault:
    path = error["loc"]
    if error["type"] == "extra_forbidden":
        return Fault(pointer(*path), "is not a known field")
    if error["type"] == "too_long":  # of a list; pydantic's words are "after validation, not 10001"
        return Fault(pointer(*path), f"may have at most {error['ctx']['max_length']} entries")  # pyright: ignore[reportTypedDictNotRequiredAccess]
    message = error["msg"].removeprefix("Value error, ")
    return Fault(pointer(*path), message[0].lower() + message[1:])
