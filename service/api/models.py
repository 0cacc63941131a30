"""GET /v1/models: what is loaded, what was refused, and what each version is."""

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from service.api import call, schema
from service.media.negotiation import JSON
from service.problems import UnknownVersion
from service.runtime.library import Shelf
from service.runtime.model import Model
from service.settings import Settings

router = APIRouter()


@router.get("/v1/models", **schema.models())
async def models(request: Request) -> Response:
    """Every model that has a folder, with its versions.

    `live` is the one that calls get, `loaded` can be asked for; `refused` and `unloaded` ones have a reason.
    """
    call.accepts(request, [JSON])
    call.no_query(request)
    service = call.state(request)
    shelf = service.library.shelf
    tree = {"models": [_model(name, shelf, service.settings) for name in shelf.names()]}
    return Response(to_json(tree), media_type=JSON)


@router.get("/v1/models/{name}", **schema.model())
async def model(request: Request) -> Response:
    """The public part of the manifest of the live version."""
    call.accepts(request, [JSON])
    call.no_query(request)
    return _facts(call.state(request).library.resolve(request.path_params["name"], None))


@router.get("/v1/models/{name}/versions/{number}", **schema.version())
async def version(request: Request) -> Response:
    """The public part of the manifest of one version."""
    call.accepts(request, [JSON])
    call.no_query(request)
    name, number = request.path_params["name"], request.path_params["number"]
    library = call.state(request).library
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        raise UnknownVersion(f"{number!r} is no number of a version.")
    return _facts(library.resolve(name, int(number)))


def _model(name: str, shelf: Shelf, settings: Settings) -> dict[str, Any]:
    loaded, refused = shelf.loaded(name), shelf.refused(name)
    live = loaded[max(loaded)] if loaded else None
    versions: list[dict[str, Any]] = [
        {
            "version": number,
            "state": shelf.state(name, number),
            "device": entry.device,
            "created": entry.manifest.created,
        }
        | ({"device_reason": entry.device_reason} if entry.device_reason else {})
        | ({"reason": reason} if (reason := shelf.reason(name, number)) else {})
        for number, entry in loaded.items()
    ]
    versions += [
        {"version": number, "state": shelf.state(name, number), "reason": reason} for number, reason in refused.items()
    ]
    return {
        "name": name,
        "family": live.manifest.family if live else None,
        "tasks": [task.task for task in live.manifest.tasks] if live else [],
        "versions": sorted(versions, key=lambda entry: entry["version"]),
        "default_for": [task for task, default in settings.defaults.items() if default == name],
    }


def _facts(model: Model) -> Response:
    manifest = model.manifest
    tree = {
        "name": model.name,
        "version": model.version,
        "family": manifest.family,
        "summary": manifest.summary,
        "created": manifest.created,
        "device": model.device,
        "credit": manifest.credit.model_dump(mode="json"),
        "tasks": [task.model_dump(mode="json", exclude={"graphs"}) for task in manifest.tasks],
        "metrics": [metric.model_dump(mode="json") for metric in manifest.metrics],
    }
    return call.answer(to_json(tree), JSON, model)
