"""POST /v1/encode: pictures in, their latent means and log-variances out."""

import base64
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray
from pydantic import Field

from models.manifest import Encode, Generate
from service.api import call, schema, sent
from service.api.fitted import Fitted
from service.media import arrays, fitting, pictures
from service.media.negotiation import JSON, NPY, PNG
from service.media.picture import Picture
from service.problems import Fault, InvalidFields, NotAcceptable, PictureTooLarge
from service.runtime.model import Model, Row

router = APIRouter()
FORMS = [JSON, NPY]
SEEDS = 2**63


class Options(Fitted, call.Chosen):
    sample: Annotated[
        int | None,
        Field(ge=0, lt=SEEDS, description="Seed of a draw from the posterior; picture i is drawn with seed + i."),
    ] = None
    reconstruct: Annotated[
        bool, Field(description="Whether to decode the means again, and to tell how far that is from the picture.")
    ] = False


class EncodeQuery(Options, call.Query):
    """The options beside a raw body."""


class EncodeRequest(Options, sent.Body):
    """The options and the pictures."""


@router.post("/v1/encode", **schema.encode(EncodeQuery, EncodeRequest))
async def encode(request: Request) -> Response:
    """What the pictures are in the model's latent space; as an array [B,2,Z] means and log-variances only.

    A picture's encoding does not depend on those beside it. A reconstruction has the size and the polarity of the
    model's pictures: that of a picture that was inverted is inverted too.
    """
    forms = call.accepts(request, FORMS)
    kind = call.content_type(request, sent.KINDS)
    options = await sent.options(request, kind, EncodeQuery, EncodeRequest)
    form = _form(forms, options)
    model, task = call.choose(request, "encode", Encode, options.model, options.version)
    if options.reconstruct:
        _check_decoder(model, task)
    service, clock = call.state(request), call.clock(request)
    found = await sent.look(request, kind, options.images if isinstance(options, EncodeRequest) else None)
    size = found.count * task.height * task.width
    _check_count(found.count, size, options, service.settings.max_pixels)

    def fit() -> list[tuple[NDArray[np.float32], bool]]:
        with clock.stage("decode"):
            shape = task.channels, task.height, task.width
            return [
                fitting.fit(picture, shape, options.fit, options.invert, task.background)
                for picture in found.read(clock.check)
            ]

    fitted = await sent.work(request, fit, found.pixels + size)
    rows = await model.infer("encode", [{"image": image} for image, _ in fitted], clock)
    drawn: Sequence[Row] = ()
    if options.reconstruct:
        drawn = await model.infer("decode", [{"latent": row["mean"]} for row in rows], clock)

    def answer() -> Response:
        with clock.stage("encode"):
            if form == NPY:
                codes = np.stack([[row["mean"], row["log_variance"]] for row in rows])
                return call.answer(arrays.write(codes), NPY, model)
            encodings: list[dict[str, Any]] = []
            for place, (row, (image, inverted)) in enumerate(zip(rows, fitted, strict=True)):
                clock.check()
                encoding = _encoding(row, options.sample, place)
                if options.reconstruct:
                    encoding |= _reconstruction(drawn[place]["image"], image, task)
                encodings.append(encoding | {"inverted": inverted})
            return call.json_answer({"encodings": encodings}, model)

    return await sent.work(request, answer, size if options.reconstruct else found.count * task.latent_size)


def _form(forms: Sequence[str], options: Options) -> str:
    """The best acceptable form that holds all that is asked for.

    Raises:
        NotAcceptable.
    """
    more = options.reconstruct or options.sample is not None
    if not more or forms[0] == JSON:
        return forms[0]
    if JSON not in forms:
        raise NotAcceptable(f"{NPY} cannot hold samples or reconstructions; this answer can be {JSON}.")
    return JSON


def _check_decoder(model: Model, task: Encode) -> None:
    """That the version can decode what it encoded, and knows how far off it usually is."""
    decoder = model.manifest.task(Generate)
    if decoder is None or (decoder.latent_size, decoder.image) != (task.latent_size, task.image):
        reason = "has no decoder"
    elif decoder.classes:
        reason = "has a decoder that needs a class"
    elif not task.error_quantiles:
        reason = "has no errors of held-out pictures to compare with"
    else:
        return
    raise InvalidFields([Fault("/reconstruct", f"must be false: {model.name} version {model.version} {reason}")])


def _check_count(count: int, size: int, options: Options, max_pixels: int) -> None:
    """What can only be said once it is known how many pictures there are; `size` are their pixels when fitted."""
    if size > max_pixels:
        raise PictureTooLarge(
            f"{count} pictures have {size} pixels together at the model's size; {max_pixels} are allowed.",
            setting="HARMONIUM_MAX_PIXELS",
        )
    if options.sample is not None and options.sample + count > SEEDS:
        raise InvalidFields([Fault("/sample", "the last picture's seed would pass 2**63 - 1")])


def _encoding(row: Row, seed: int | None, place: int) -> dict[str, Any]:
    """The code of picture `place` of a call, and the draw that was asked for."""
    mean, log_variance = row["mean"], row["log_variance"]
    encoding: dict[str, Any] = {"mean": mean.tolist(), "log_variance": log_variance.tolist()}
    if seed is not None:
        noise = np.random.Generator(np.random.PCG64(seed + place)).standard_normal(len(mean), np.float32)
        encoding["sample"] = (mean + np.exp(log_variance / 2) * noise).tolist()
    return encoding


def _reconstruction(drawn: NDArray[np.float32], image: NDArray[np.float32], task: Encode) -> dict[str, Any]:
    """How far what was decoded is from `image`, both [C,H,W], and how few held-out pictures are further off."""
    error = float(np.square(drawn - image, dtype=np.float64).mean())
    shares = np.linspace(0, 1, len(task.error_quantiles))
    return {
        "reconstruction_error": error,
        "anomaly": float(np.interp(error, task.error_quantiles, shares)),
        "reconstruction": base64.b64encode(pictures.write(Picture.of_image(drawn), PNG)).decode(),
    }
