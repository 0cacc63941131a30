"""POST /v1/generate: pictures out of seeds."""

import base64
import math
import secrets
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, WithJsonSchema

from models.manifest import Generate
from service.api import call, schema
from service.media import pictures
from service.media.negotiation import JSON, PNG
from service.media.pictures import Picture
from service.problems import Fault, InvalidFields, NotAcceptable

router = APIRouter()
LATER = ("latents", "interpolate", "lattice", "edit")
SEEDS = 2**63
SHEET_GAP = 2
"""White pixels between the pictures of a sheet."""


def _class(value: Any) -> Any:
    if isinstance(value, str) or type(value) is int or value is None:
        return value
    raise ValueError("must be the number or the name of a class")


class GenerateRequest(call.Body):
    model: Annotated[str, Field(max_length=64)] | None = None
    version: Annotated[int, Field(ge=1)] | None = None
    count: Annotated[int, Field(ge=1)] = 1
    seed: Annotated[int, Field(ge=0, lt=SEEDS)] | None = None
    """Picture i is that of seed + i: alone, in any call, on any worker, to the byte. Absent: drawn, see X-Seed."""
    klass: Annotated[
        Any,
        BeforeValidator(_class),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}], "title": "Class"}),
        Field(alias="class"),
    ] = None
    """Number or name of a class of the model. Absent: drawn from the seed."""
    truncation: Annotated[float, Field(gt=0, le=1)] = 1.0
    """The latent is multiplied by this: less variety, more typical pictures."""
    form: Literal["single"] | None = None
    """`single` refuses to put several pictures on a sheet."""


@router.post("/v1/generate", **schema.generate(GenerateRequest))
async def generate(request: Request) -> Response:
    """Pictures drawn from the model: one, a sheet of several, or JSON with one PNG each."""
    forms = call.accepts(request, [PNG, JSON])
    clock = call.clock(request)
    ask = await call.body(request, GenerateRequest, LATER)
    model, task = call.choose(request, "generate", Generate, ask.model, ask.version)
    settings = call.state(request).settings
    if ask.count > settings.max_pictures:
        fault = Fault("/count", f"must be at most {settings.max_pictures}")
        raise InvalidFields([fault], "HARMONIUM_MAX_PICTURES")
    if ask.form == "single" and ask.count > 1:
        if forms[0] != JSON and not (JSON in forms and call.asks_for(request, JSON)):
            raise NotAcceptable(f"{ask.count} pictures are not one: leave out form, or accept {JSON}.")
        forms = [JSON]
    seed = secrets.randbelow(2**32) if ask.seed is None else ask.seed
    if seed + ask.count > SEEDS:
        raise InvalidFields([Fault("/seed", "the last picture's seed would pass 2**63 - 1")])
    label = _label(ask.klass, task)
    images: list[NDArray[np.uint8]] = []
    for number in range(ask.count):  # each takes a turn of the loop: many pictures do not hold up other callers
        row = _latent(seed + number, ask.truncation, label, task)
        (drawn,) = await model.infer("decode", [row], clock)
        images.append(_quantised(drawn["image"]))
    with clock.stage("encode"):
        if forms[0] == JSON:
            encoded = [base64.b64encode(pictures.write(Picture(image), PNG)).decode() for image in images]
            return call.json_answer({"seed": seed, "images": encoded}, model, x_seed=str(seed))
        picture = Picture(images[0] if len(images) == 1 else _sheet(images))
        return call.answer(pictures.write(picture, PNG), PNG, model, x_seed=str(seed))


def _label(given: str | int | None, task: Generate) -> int | None:
    """The class's number; None if none was given."""
    if given is None:
        return None
    if not task.classes:
        raise InvalidFields([Fault("/class", "this model has no classes")])
    if isinstance(given, str):
        if given in task.classes:
            return task.classes.index(given)
        raise InvalidFields([Fault("/class", f"is none of {', '.join(task.classes)}")])
    if 0 <= given < len(task.classes):
        return given
    raise InvalidFields([Fault("/class", f"must be from 0 to {len(task.classes) - 1}, or a name")])


def _latent(seed: int, truncation: float, label: int | None, task: Generate) -> dict[str, NDArray[Any]]:
    """The graph's inputs for one picture: from PCG64 the latent first and then, unless it was given, the class."""
    draw = np.random.Generator(np.random.PCG64(seed))
    latent = draw.standard_normal(task.latent_size, np.float32) * np.float32(truncation)
    row: dict[str, NDArray[Any]] = {"latent": latent}
    if task.classes:
        row["label"] = np.asarray(draw.integers(len(task.classes)) if label is None else label, np.int64)
    return row


def _quantised(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[C,H,W] in 0..1 -> 8 bit, [H,W] or [H,W,3]."""
    levels = np.clip(image * np.float32(255) + np.float32(0.5), 0, 255).astype(np.uint8)
    return levels[0] if len(levels) == 1 else np.ascontiguousarray(levels.transpose(1, 2, 0))


def _sheet(images: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Pictures of one size in a grid as square as can be, row by row."""
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    height, width = images[0].shape[0] + SHEET_GAP, images[0].shape[1] + SHEET_GAP
    size = rows * height + SHEET_GAP, columns * width + SHEET_GAP
    sheet = np.full((*size, *images[0].shape[2:]), 255, np.uint8)
    for place, image in enumerate(images):
        top, left = place // columns * height + SHEET_GAP, place % columns * width + SHEET_GAP
        sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
    return sheet
