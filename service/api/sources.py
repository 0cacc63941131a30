"""The latents that a generate call means, as inputs of its graph."""

import asyncio
from collections.abc import Iterable, Iterator

import numpy as np
from fastapi import Request
from numpy.typing import NDArray

from models.manifest import Encode, Generate
from service.api import call, sent
from service.api.fitted import Fitted
from service.api.generation import Edit, End, GenerateRequest
from service.media import fitting
from service.runtime import latents
from service.runtime.latents import Latent
from service.runtime.model import Model
from service.runtime.session import Arrays


async def rows(
    request: Request, ask: GenerateRequest, model: Model, task: Generate, seed: int | None, label: int | None
) -> Iterator[Arrays]:
    """The inputs of `decode`, picture by picture; `label` is the class of all, or None where each seed has its own.

    Raises:
        InvalidFields, PictureTooLarge, UnreadablePicture, UnreadableArray: of an image that was sent.
    """
    if ask.latents is not None:
        return _labelled((np.array(vector, np.float32) for vector in ask.latents), label)
    if ask.interpolate is not None:
        start = await _end(request, ask.interpolate.start, "from", ask.truncation, model, task)
        end = await _end(request, ask.interpolate.end, "to", ask.truncation, model, task)
        return _labelled(latents.between(start, end, ask.interpolate.steps, ask.interpolate.path), label)
    if ask.lattice is not None:
        return _labelled(latents.lattice(ask.lattice.size, ask.lattice.x, ask.lattice.y, task.latent_size), label)
    if ask.edit is not None:
        return _labelled([await _edited(request, ask.edit, model, task)], label)
    assert seed is not None
    return _seeded(range(seed, seed + ask.count), ask.truncation, task, label)


def _labelled(vectors: Iterable[Latent], label: int | None) -> Iterator[Arrays]:
    for latent in vectors:
        yield {"latent": latent} if label is None else {"latent": latent, "label": np.asarray(label, np.int64)}


def _seeded(seeds: range, truncation: float, task: Generate, label: int | None) -> Iterator[Arrays]:
    for seed in seeds:
        latent, own = latents.drawn(seed, task.latent_size, len(task.classes))
        yield from _labelled([latent * np.float32(truncation)], own if label is None else label)


async def _end(request: Request, end: End, name: str, truncation: float, model: Model, task: Generate) -> Latent:
    if end.seed is not None:
        return latents.drawn(end.seed, task.latent_size, 0)[0] * np.float32(truncation)
    if end.image is not None:
        return await _mean(request, end.image, end, call.pointer("interpolate", name, "image"), model)
    return np.array(end.latent, np.float32)


async def _edited(request: Request, edit: Edit, model: Model, task: Generate) -> Latent:
    mean = await _mean(request, edit.image, edit, call.pointer("edit", "image"), model)
    return (mean + edit.amount * np.array(task.directions[edit.direction])).astype(np.float32)


async def _mean(request: Request, image: str, fitted: Fitted, pointer: str, model: Model) -> Latent:
    """The latent mean of a picture in base64, made to fit as /v1/encode does."""
    service, clock, task = call.state(request), call.clock(request), model.task(Encode)

    def look() -> sent.Part:
        with clock.stage("decode"):
            return sent.one(image, pointer, service.settings.max_pixels)

    part = look() if len(image) <= call.SMALL_BYTES else await asyncio.to_thread(look)

    def fit() -> NDArray[np.float32]:
        with clock.stage("decode"):
            (picture,) = part.read()
            shape = task.channels, task.height, task.width
            return fitting.fit(picture, shape, fitted.fit, fitted.invert, task.background)[0]

    planes = await sent.work(request, fit, part.header.pixels)
    (row,) = await model.infer("encode", [{"image": planes}], clock)
    return row["mean"]
