"""POST /v1/denoise: a picture in, the picture without its noise out."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BeforeValidator, Field, WithJsonSchema

from models.manifest import Denoise
from service.api import call, schema
from service.media import pictures
from service.media.negotiation import JPEG, PNG
from service.problems import NotAcceptable
from service.runtime import restore

router = APIRouter()


def _strength(value: Any) -> float | Literal["auto"]:
    if value == "auto":
        return "auto"
    try:
        sigma = float(value)
    except ValueError:
        sigma = -1.0
    if not 0 <= sigma <= 100:
        raise ValueError("must be auto or a number from 0 to 100")
    return sigma


class Options(call.Query):
    model: Annotated[str | None, Field(max_length=64)] = None
    version: Annotated[int | None, Field(ge=1)] = None
    strength: Annotated[
        Any,
        BeforeValidator(_strength),
        WithJsonSchema({"anyOf": [{"const": "auto"}, {"type": "number", "minimum": 0, "maximum": 100}]}),
    ] = Field("auto", description="Sigma of the noise on the 0..255 scale, or `auto`: estimated from the picture.")
    amount: Annotated[float, Field(ge=0, le=1, description="1: the clean picture, 0: the original.")] = 1.0
    view: Annotated[Literal["result", "compare"], Field(description="Only `result` in this release.")] = "result"
    quality: Annotated[int, Field(ge=1, le=100, description="For JPEG answers.")] = 90


@router.post("/v1/denoise", **schema.denoise(Options))
async def denoise(request: Request) -> Response:
    """The picture without noise, with its alpha, ICC profile, EXIF, greyness and depth.

    `X-Noise-Level` is the sigma that was used, on the 0..255 scale.
    """
    call.accepts(request, [PNG, JPEG])
    sent = call.content_type(request, [PNG, JPEG])
    options = call.query(request, Options)
    if options.view == "compare":
        raise call.not_served("view", "result")
    model, task = call.choose(request, "denoise", Denoise, options.model, options.version)
    service, clock = call.state(request), call.clock(request)
    data = await request.body()
    header = pictures.inspect(data, sent, service.settings.max_pixels)
    kind = _form(request, header)

    def work() -> tuple[bytes, float]:
        with clock.stage("decode"):
            picture = pictures.read(data, sent)
        with clock.stage("run"):
            sigma = restore.noise_level(picture.pixels, options.strength, task)
            pixels = restore.clean(picture.pixels, sigma, options.amount, task, model.sessions, clock.check)
        with clock.stage("encode"):
            return pictures.write(picture.with_pixels(pixels), kind, options.quality), sigma

    answer, sigma = await service.pool.run(work, header.pixels, clock)
    return call.answer(answer, kind, model, x_noise_level=f"{sigma:.2f}")


def _form(request: Request, header: pictures.Header) -> str:
    """The best acceptable type that can hold the picture; of equals the request's own.

    A picture that JPEG cannot hold is answered as PNG, if the caller takes PNG.
    """
    forms = call.accepts(request, [header.kind, PNG if header.kind == JPEG else JPEG])
    if header.jpeg_loses is None:
        return forms[0]
    if PNG not in forms:
        raise NotAcceptable(f"JPEG cannot hold {header.jpeg_loses}; this answer can be {PNG}.")
    return PNG
