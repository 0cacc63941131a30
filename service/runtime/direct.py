"""A named graph for callers who speak tensors: what may enter it, and how it is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.manifest import AnyTask, Denoise, Encode, Generate, Recommend
from service.problems import Fault, InvalidFields
from service.runtime import latents
from service.runtime.clock import Clock
from service.runtime.model import Model
from service.runtime.pool import SMALL, Pool
from service.runtime.session import NotFinite
from service.settings import Settings

Arrays = Mapping[str, NDArray[Any]]
VALUES = -4.0, 5.0
"""Of a picture, where 0 to 1 is nominal: as of arrays of pictures elsewhere."""
SHORTEST = 16
"""Pixels a side that the estimate of noise needs."""


def task_of(model: Model, graph: str) -> AnyTask | None:
    """The task whose graph this is."""
    return next((task for task in model.manifest.tasks if graph in task.graphs), None)


def check(task: AnyTask, graph: str, inputs: Arrays, settings: Settings) -> None:
    """Refuse values that the graph was not made for, and more of them than one call may have.

    Types and shapes are those that the manifest declares.

    Raises:
        InvalidFields: naming the input.
    """
    rows = len(next(iter(inputs.values())))
    if rows == 0:
        raise _wrong("", "have no rows")
    match task:
        case Recommend():
            _check_recommend(task, inputs, rows, settings)
        case Denoise():
            _check_pictures(inputs["image"], rows, settings)
            _check_denoise(task, graph, inputs)
        case Encode():
            _check_pictures(inputs["image"], rows, settings)
        case Generate():
            _check_most(rows, settings.max_pictures, "rows", "MAX_PICTURES")
            _check_range("latent", inputs["latent"], -latents.MOST, latents.MOST)
            if "label" in inputs:
                _check_range("label", inputs["label"], 0, len(task.classes) - 1)


async def run(model: Model, task: AnyTask, graph: str, inputs: Arrays, pool: Pool, clock: Clock) -> Arrays:
    """The outputs for inputs that were checked. Rows of small graphs share batches with other calls.

    Raises:
        Overloaded, Deadline, NotFinite.
    """
    names, count = list(inputs), len(next(iter(inputs.values())))
    rows = [{name: inputs[name][place] for name in names} for place in range(count)]
    if isinstance(task, Denoise):
        session = model.sessions[graph]
        pieces: list[Callable[[], dict[str, NDArray[Any]]]] = [
            partial(session.run, {name: array[None] for name, array in row.items()}) for row in rows
        ]
        pixels = int(np.prod(inputs["image"].shape)) // inputs["image"].shape[1]
        done = await pool.run_in_turns(lambda turns: list(turns.all("run", pieces)), pixels, clock)
        outputs = {name: np.concatenate([row[name] for row in done]) for name in done[0]}
    else:
        answers = await model.infer(graph, rows, clock)
        outputs = {name: np.stack([row[name] for row in answers]) for name in answers[0]}
    if not all(np.isfinite(array).all() for array in outputs.values()):
        raise NotFinite(f"an output of {graph} is not finite")
    return outputs


def _check_recommend(task: Recommend, inputs: Arrays, rows: int, settings: Settings) -> None:
    index, rating = inputs["item_index"], inputs["rating"]
    _check_most(rows, settings.max_users, "rows", "MAX_USERS")
    _check_most(index.shape[1], min(task.max_ratings, settings.max_ratings), "ratings a row", "MAX_RATINGS")
    _check_most(index.size, settings.max_call_ratings, "ratings", "MAX_CALL_RATINGS")
    if index.shape[1] == 0:
        raise _wrong("item_index", "has no column; one of -1 is nobody's history")
    _check_range("item_index", index, -1, task.items - 1)
    _check_range("rating", rating[index >= 0], task.rating_low, task.rating_high)
    _check_range("rating", rating, min(0.0, task.rating_low), task.rating_high)
    if "target" in inputs:
        _check_most(index.size * inputs["target"].shape[1], 1000 * settings.max_reason_rows, "gains", "MAX_REASON_ROWS")
        _check_range("target", inputs["target"], 0, task.items - 1)


def _check_denoise(task: Denoise, graph: str, inputs: Arrays) -> None:
    height, width = inputs["image"].shape[2:]
    if height * width > SMALL:
        raise _wrong("image", f"has {height * width} pixels a row; {SMALL} are allowed, and /v1/denoise takes any size")
    if graph == "estimate":
        if min(height, width) < SHORTEST:
            raise _wrong("image", f"is {height} x {width}; sides need {SHORTEST} pixels")
    elif height % task.size_multiple or width % task.size_multiple:
        raise _wrong("image", f"is {height} x {width}; sides must be multiples of {task.size_multiple}")
    if "sigma" in inputs and task.sigma_max is not None:
        _check_range("sigma", inputs["sigma"], 0.0, float(np.float32(task.sigma_max / 255)))


def _check_pictures(image: NDArray[Any], rows: int, settings: Settings) -> None:
    _check_most(rows, settings.max_images, "rows", "MAX_IMAGES")
    _check_most(image.size // image.shape[1], settings.max_pixels, "pixels", "MAX_PIXELS")
    if 0 in image.shape:
        raise _wrong("image", "has no pixels")
    _check_range("image", image, *VALUES)


def _check_most(count: int, most: int, what: str, setting: str) -> None:
    if count > most:
        raise InvalidFields([Fault("/inputs", f"have {count} {what}; {most} are allowed")], f"HARMONIUM_{setting}")


def _check_range(name: str, values: NDArray[Any], low: float, high: float) -> None:
    inside = (values >= low) & (values <= high)  # false of what is not a number
    if not inside.all():
        raise _wrong(name, f"has {values[~inside][0]:g}; from {low:g} to {high:g} is right")


def _wrong(name: str, detail: str) -> InvalidFields:
    return InvalidFields([Fault("/inputs", f"{name} {detail}".strip())])
