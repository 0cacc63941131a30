"""GET /livez, /readyz and /problems/NAME: for those who run the service, and those whom it refused."""

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from service.api import call, schema
from service.media.negotiation import JSON
from service.problems import KINDS, UnknownPath

router = APIRouter()


@router.get("/livez", **schema.probe("livez", "Whether the process lives"))
async def live(request: Request) -> Response:
    """200 while the process lives."""
    return Response(to_json({"alive": True}), media_type=JSON)


@router.get("/readyz", **schema.probe("readyz", "Whether calls can be answered", "Not now; `reasons` tells why."))
async def ready(request: Request) -> Response:
    """200 when calls can be answered, 503 with the reasons when not."""
    service = call.state(request)
    reasons = service.unready()
    shelf = service.library.shelf
    tree = {
        "ready": not reasons,
        "models": [name for name in shelf.names() if shelf.loaded(name)],
        "device": service.library.device(),
        "reasons": reasons,
    }
    if reason := service.library.device_reason():
        tree["device_reason"] = reason
    return Response(to_json(tree), 503 if reasons else 200, media_type=JSON)


@router.get("/problems/{name}", include_in_schema=False)
async def problem(request: Request) -> Response:
    """What a refusal means, in plain text."""
    kind = KINDS.get(request.path_params["name"])
    if kind is None:
        raise UnknownPath("There is no such problem.")
    text = f"{kind.title} (HTTP {kind.status})\n\n{_plain(kind.__doc__ or '')}\n"
    return Response(text, media_type="text/plain; charset=utf-8")


def _plain(docstring: str) -> str:
    return "\n".join(line.strip() for line in docstring.strip().splitlines())
