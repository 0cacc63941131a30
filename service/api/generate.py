"""POST /v1/generate: pictures out of seeds and latents, in the form that the caller takes."""

import base64
from collections.abc import AsyncIterator, Iterator

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray

from models.manifest import Encode, Generate
from service.api import call, generation, schema, sent, sources
from service.api.generation import MOST_NUMBERS, GenerateRequest
from service.media import arrays, pictures, sheets
from service.media.animations import animation
from service.media.archives import Archive
from service.media.negotiation import GIF, JSON, NPY, PNG, WEBP, ZIP
from service.media.picture import Picture
from service.media.sheets import Stack
from service.problems import NotAcceptable
from service.runtime.clock import Clock
from service.runtime.model import Model
from service.runtime.session import Arrays

router = APIRouter()
FORMS = [PNG, WEBP, GIF, JSON, ZIP, NPY]
QUICK = (PNG, NPY, JSON)
"""Those that a few pictures take less time to become than a change of threads is worth."""
CHUNK = 65_536
"""Bytes of an archive that are sent together, or a little more."""
SHEET_GAP = 2
"""White pixels between the pictures of a sheet; a lattice has none, to be seen as one."""


@router.post("/v1/generate", **schema.generate(GenerateRequest))
async def generate(request: Request) -> Response:
    """Pictures drawn from the model: one, a sheet, an animation, an archive, an array, or JSON with one PNG each.

    An archive is sent while its pictures are drawn: what goes wrong then ends the connection.
    """
    call.accepts(request, FORMS)
    service, clock = call.state(request), call.clock(request)
    ask = await call.body(request, GenerateRequest, MOST_NUMBERS * (1 + service.settings.max_pictures))
    model, task = call.choose(request, "generate", Generate, ask.model, ask.version)
    generation.check(ask, task, model.manifest.task(Encode), service.settings)
    seed, label = generation.settle(ask, task)
    kind = _form(request, ask)
    pixels, limit = ask.total * task.height * task.width, service.settings.max_pixels
    if kind != ZIP and ask.total > 1 and pixels > limit:
        raise generation.too_many(ask, f"makes {pixels} pixels; but in {ZIP}, {limit} are allowed", "MAX_PIXELS")
    headers = {} if seed is None else {"x_seed": str(seed)}
    drawn = _drawn(model, await sources.rows(request, ask, model, task, seed, label), clock)
    if kind == ZIP:
        return call.stream(await _begun(_zipped(drawn, ask.total)), ZIP, model, **headers)
    with service.pool.held(pixels if pixels > sent.SMALL_PIXELS else 0):
        stack = await _stacked(drawn, ask.total, task)

    def answer() -> Response:
        with clock.stage("encode"):
            if kind == JSON:
                images = [base64.b64encode(png).decode() for png in _pngs(stack, clock)]
                return call.json_answer({"seed": seed, "images": images}, model, **headers)
            return call.answer(_written(stack, kind, ask, clock), kind, model, **headers)

    return await sent.work(request, answer, pixels) if kind in QUICK else await service.pool.run(answer, pixels, clock)


def _form(request: Request, ask: GenerateRequest) -> str:
    """The best acceptable type.

    `single` leaves out those that would be a sheet; then a range in Accept, which may mean
    one of these, stands for no other.
    """
    served = [kind for kind in FORMS if kind != GIF or ask.interpolate]
    try:
        forms = call.accepts(request, served)
    except NotAcceptable:  # of `FORMS` one was acceptable
        raise NotAcceptable(f"{GIF} is for interpolate; this answer can be {', '.join(served)}.") from None
    if ask.form is None or ask.total == 1:
        return forms[0]
    on_sheet = (PNG,) if ask.interpolate else (PNG, WEBP)
    for kind in forms:
        if kind not in on_sheet and (kind == forms[0] or call.asks_for(request, kind)):
            return kind
    others = ", ".join(kind for kind in served if kind not in on_sheet)
    raise NotAcceptable(f"{ask.total} pictures are not one: leave out form, or accept one of {others}.")


async def _drawn(model: Model, rows: Iterator[Arrays], clock: Clock) -> AsyncIterator[NDArray[np.uint8]]:
    """Pictures [H,W] or [H,W,3]. Each takes a turn of the loop: many do not hold up other callers."""
    for row in rows:
        (drawn,) = await model.infer("decode", [row], clock)
        yield Picture.of_image(drawn["image"]).levels()


async def _stacked(drawn: AsyncIterator[NDArray[np.uint8]], total: int, task: Generate) -> Stack:
    stack = np.empty((total, task.height, task.width, *([task.channels] if task.channels > 1 else [])), np.uint8)
    place = 0
    async for picture in drawn:
        stack[place] = picture
        place += 1
    return stack


async def _zipped(drawn: AsyncIterator[NDArray[np.uint8]], total: int) -> AsyncIterator[bytes]:
    """An archive of PNGs whose names, numbers from 0, sort in their order."""
    place, digits = 0, len(str(total - 1))
    with Archive() as archive:
        async for picture in drawn:
            archive.add(f"{place:0{digits}}.png", pictures.write(Picture(picture), PNG))
            if archive.waiting >= CHUNK:
                yield archive.take()
            place += 1
    yield archive.take()


async def _begun(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same once the first is there: what goes wrong until then can still be answered."""
    first = await anext(chunks)

    async def all_of_them() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return all_of_them()


def _pngs(stack: Stack, clock: Clock) -> Iterator[bytes]:
    for picture in stack:
        clock.check()
        yield pictures.write(Picture(picture), PNG)


def _written(stack: Stack, kind: str, ask: GenerateRequest, clock: Clock) -> bytes:
    """All the pictures as one file."""
    if kind == NPY:
        return arrays.write(stack)
    if kind == GIF or (kind == WEBP and ask.interpolate):
        return animation(stack, kind, clock.check)
    gap = 0 if ask.lattice else SHEET_GAP
    pixels = stack[0] if len(stack) == 1 else sheets.sheet(stack, gap)
    return pictures.write(Picture(pixels), PNG) if kind == PNG else sheets.webp(pixels)
