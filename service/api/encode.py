"""POST /v1/encode: a picture in, its latent mean and log-variance out."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray
from pydantic import Field

from models.manifest import Encode
from service.api import call, schema
from service.media import fitting, pictures
from service.media.negotiation import JPEG, JSON, PNG

router = APIRouter()


class Options(call.Query):
    model: Annotated[str | None, Field(max_length=64)] = None
    version: Annotated[int | None, Field(ge=1)] = None
    fit: Annotated[
        fitting.Fit, Field(description="How a picture of another size is made to fit: with margins, or stretched.")
    ] = "letterbox"
    invert: Annotated[
        fitting.Invert, Field(description="Whether light and dark change places; `auto` looks at the border.")
    ] = "auto"
    sample: Annotated[int | None, Field(ge=0, lt=2**63, description="Seed of a draw from the posterior.")] = None
    reconstruct: Annotated[bool, Field(description="Only `false` in this release.")] = False


@router.post("/v1/encode", **schema.encode(Options))
async def encode(request: Request) -> Response:
    """What the picture is in the model's latent space."""
    call.accepts(request, [JSON])
    sent = call.content_type(request, [PNG, JPEG])
    options = call.query(request, Options)
    if options.reconstruct:
        raise call.not_served("reconstruct", "false")
    model, task = call.choose(request, "encode", Encode, options.model, options.version)
    service, clock = call.state(request), call.clock(request)
    data = await request.body()
    header = pictures.inspect(data, sent, service.settings.max_pixels)

    def image() -> tuple[NDArray[np.float32], bool]:
        with clock.stage("decode"):
            shape = task.channels, task.height, task.width
            return fitting.fit(pictures.read(data, sent), shape, options.fit, options.invert, task.background)

    small = header.pixels <= call.SMALL_PIXELS
    fitted, inverted = image() if small else await service.pool.run(image, header.pixels, clock)
    (row,) = await model.infer("encode", [{"image": fitted}], clock)
    mean, log_variance = row["mean"], row["log_variance"]
    encoding: dict[str, object] = {"mean": mean.tolist(), "log_variance": log_variance.tolist()}
    if options.sample is not None:
        noise = np.random.Generator(np.random.PCG64(options.sample)).standard_normal(task.latent_size, np.float32)
        encoding["sample"] = (mean + np.exp(log_variance / 2) * noise).tolist()
    with clock.stage("encode"):
        return call.json_answer({"encodings": [encoding | {"inverted": inverted}]}, model)
