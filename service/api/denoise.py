"""POST /v1/denoise: pictures in, the pictures without their noise out."""

import base64
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from models.manifest import Denoise
from service.api import call, schema, sent
from service.media import arrays, pictures
from service.media.negotiation import JPEG, JSON, NPY, PNG, WEBP
from service.media.picture import Header, Picture
from service.problems import Fault, InvalidFields, NotAcceptable, PictureTooLarge
from service.runtime import restore
from service.runtime.model import Model
from service.runtime.turns import Turns

router = APIRouter()
FORMS = [PNG, JPEG, WEBP, NPY, JSON]
"""What is written."""
MOST_SIGMA = 100
View = Literal["result", "compare"]


def _strength(value: Any, info: ValidationInfo) -> float | Literal["auto"]:
    """`auto` or a number: in a query as text, in JSON as one."""
    if value == "auto":
        return "auto"
    try:
        sigma = float(value) if isinstance(value, (int, float) if info.mode == "json" else str) else -1.0
    except (ValueError, OverflowError):
        sigma = -1.0
    if isinstance(value, bool) or not 0 <= sigma <= MOST_SIGMA:
        raise ValueError(f"must be auto or a number from 0 to {MOST_SIGMA}")
    return sigma


class Options(call.Chosen):
    strength: Annotated[
        Any,
        BeforeValidator(_strength),
        WithJsonSchema({"anyOf": [{"const": "auto"}, {"type": "number", "minimum": 0, "maximum": MOST_SIGMA}]}),
    ] = Field(
        "auto",
        description="Sigma of the noise on the 0..255 scale, or `auto`: estimated from each picture. Models that take "
        "none know only `auto`.",
    )
    amount: Annotated[float, Field(ge=0, le=1, description="1: the clean picture, 0: the original.")] = 1.0
    view: Annotated[View, Field(description="`compare`: the original and, to its right, the clean picture.")] = "result"
    quality: Annotated[
        int, Field(ge=1, le=100, description="For JPEG and WebP answers. JPEG keeps colour at full size from 95 on.")
    ] = 90


class DenoiseQuery(Options, call.Query):
    """The options beside a raw body."""


class DenoiseRequest(Options, sent.Body):
    """The options and the pictures."""


@dataclass(frozen=True)
class Clean:
    """What is answered of one picture; `sigma` is on the 0..255 scale, None of a model that takes none."""

    picture: Picture
    sigma: float | None


@router.post("/v1/denoise", **schema.denoise(DenoiseQuery, DenoiseRequest))
async def denoise(request: Request) -> Response:
    """Pictures without noise, with their alpha, ICC profile, EXIF, greyness, depth and, of arrays, layout and type.

    The level of noise is estimated once for each picture; `X-Noise-Level` is the one that was used, if a single
    picture is answered. Floats of an array reach the model as they are and are answered as floats; where the
    answer is of another form they are cut to 0..1 and rounded to 8 bit.
    """
    call.accepts(request, FORMS)
    kind = call.content_type(request, sent.KINDS)
    options = await sent.options(request, kind, DenoiseQuery, DenoiseRequest)
    model, task = call.choose(request, "denoise", Denoise, options.model, options.version)
    if options.strength != "auto" and task.sigma_max is None:
        detail = (
            f"must be auto: {model.name} finds out for itself what is wrong; amount says how much of it to take off"
        )
        raise InvalidFields([Fault("/strength", detail)])
    found = await sent.look(request, kind, options.images if isinstance(options, DenoiseRequest) else None)
    service, clock = call.state(request), call.clock(request)
    if options.view == "compare" and 2 * found.pixels > service.settings.max_pixels:
        detail = f"Side by side the pictures have {2 * found.pixels} pixels; {service.settings.max_pixels} are allowed."
        raise PictureTooLarge(detail, setting="HARMONIUM_MAX_PIXELS")
    form = _form(request, found, options.view)
    clock.extend(service.settings.megapixel_seconds * found.pixels / 1e6)

    def clean(original: Picture, turns: Turns) -> Clean:
        sessions = model.sessions
        pixels = turns.one("run", lambda: restore.plain(original.pixels))
        sigma = turns.one("run", lambda: restore.noise_level(pixels, original.alpha, options.strength, task, sessions))
        restored = restore.clean(pixels, sigma, options.amount, task, sessions, turns)
        result = original.with_pixels(np.broadcast_to(restored, original.pixels.shape))
        return Clean(original.beside(result) if options.view == "compare" else result, sigma)

    def work(turns: Turns) -> Response:
        # All of them are read first: one that is broken is refused before any is worked on.
        originals = deque(chain.from_iterable(turns.all("decode", [part.read for part in found.parts])))
        done: list[Clean] = []
        while originals:  # none is kept longer than it is needed
            done.append(clean(originals.popleft(), turns))
        return _answer(done, form, options.quality, found.stacked, model, turns)

    return await service.pool.run_in_turns(work, found.pixels, clock)


def _form(request: Request, found: sent.Sent, view: View) -> str:
    """The best acceptable form that can hold the pictures; of equals that of the request, then PNG.

    Raises:
        NotAcceptable.
    """
    headers = [header.beside() if view == "compare" else header for header in found.headers]
    own = found.kind if found.kind in FORMS else PNG
    lost = {form: _loses(headers, found.count, form) for form in [own, *FORMS]}
    forms = call.accepts(request, list(lost))
    for form in forms:
        if lost[form] is None:
            return form
    able = [form for form in FORMS if lost[form] is None]
    raise NotAcceptable(f"{forms[0]} cannot hold {lost[forms[0]]}; this answer can be {', '.join(able)}.")


def _loses(headers: Sequence[Header], count: int, form: str) -> str | None:
    """What an answer of this form could not hold. JSON holds PNG, which holds everything."""
    if form == JSON:
        return None
    if form == NPY and len({(*header.shape[:2], header.channels, header.dtype) for header in headers}) > 1:
        return "pictures of different sizes or types"
    if form != NPY and count > 1:
        return f"{count} pictures"
    return next((lost for header in headers if (lost := pictures.loses(header, form))), None)


def _answer(done: Sequence[Clean], form: str, quality: int, stacked: bool, model: Model, turns: Turns) -> Response:
    first = done[0]
    level = {"x_noise_level": f"{first.sigma:.2f}"} if len(done) == 1 and first.sigma is not None else {}
    if form == JSON:
        images = list(turns.all("encode", [partial(_described, clean) for clean in done]))
        return turns.one("encode", lambda: call.json_answer({"images": images}, model, **level))

    def write() -> bytes:
        if form == NPY:
            return arrays.write(arrays.stack([clean.picture for clean in done]) if stacked else first.picture.pixels)
        return pictures.write(first.picture, form, quality)

    return call.answer(turns.one("encode", write), form, model, **level)


def _described(clean: Clean) -> dict[str, Any]:
    """One entry of `images`."""
    picture = clean.picture
    image = base64.b64encode(pictures.write(picture, PNG)).decode()
    level = None if clean.sigma is None else round(clean.sigma, 2)
    return {"image": image, "width": picture.width, "height": picture.height, "noise_level": level}
