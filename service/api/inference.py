"""/v2, the Open Inference Protocol: every named graph as a model of its own, for clients that speak tensors."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field
from pydantic_core import to_json

from models.manifest import AnyTask
from service.api import call, schema
from service.media import tensors
from service.media.negotiation import JSON
from service.problems import Fault, InvalidFields, UnknownModel, UnknownVersion
from service.runtime import direct
from service.runtime.model import Model

router = APIRouter()


class RepositoryParameters(call.Body):
    unload_dependents: Annotated[bool, Field(description="No model depends on another: it changes nothing.")] = False


class RepositoryRequest(call.Body):
    parameters: RepositoryParameters = RepositoryParameters()


MOST_VALUES = 2**20
"""In JSON. More belong into binary tensors, which take a fifth of the bytes and no time to read."""
EXTENSIONS = ["binary_tensor_data", "model_repository"]


@router.get("/v2", **schema.protocol("server", "What this server is"))
async def server(request: Request) -> Response:
    """Name, version and the extensions of the protocol that are served."""
    return _json({"name": "harmonium", "version": request.app.version, "extensions": EXTENSIONS})


@router.get("/v2/health/live", **schema.protocol("live", "Whether the process lives"))
async def live(request: Request) -> Response:
    """200 while the process lives."""
    return _json({"live": True})


@router.get("/v2/health/ready", **schema.protocol("ready", "Whether calls can be answered"))
async def ready(request: Request) -> Response:
    """200 or 503."""
    is_ready = not call.state(request).unready()
    return _json({"ready": is_ready}, 200 if is_ready else 503)


@router.get("/v2/models/{graph}", **schema.protocol("graph", "What a graph takes and gives", path=["graph"]))
@router.get(
    "/v2/models/{graph}/versions/{number}",
    **schema.protocol("graph_version", "The same of one version", path=["graph", "number"]),
)
async def metadata(request: Request) -> Response:
    """Datatypes and shapes; a free axis is -1. `graph` is `MODEL.GRAPH`, such as `digits-vae.encode`."""
    model, task, graph = _found(request)
    declared = task.graphs[graph]
    shelf = call.state(request).library.shelf
    return _json(
        {
            "name": f"{model.name}.{graph}",
            "versions": [
                str(number) for number, one in sorted(shelf.loaded(model.name).items()) if graph in one.sessions
            ],
            "platform": "onnxruntime_onnx",
            "inputs": tensors.metadata(declared.inputs),
            "outputs": tensors.metadata(declared.outputs),
        }
    )


@router.get("/v2/models/{graph}/ready", **schema.protocol("graph_ready", "Whether it is loaded", path=["graph"]))
@router.get(
    "/v2/models/{graph}/versions/{number}/ready",
    **schema.protocol("graph_version_ready", "The same of one version", path=["graph", "number"]),
)
async def graph_ready(request: Request) -> Response:
    """200, or 404 with the reason."""
    model, _, graph = _found(request)
    return _json({"name": f"{model.name}.{graph}", "ready": True})


@router.post("/v2/models/{graph}/infer", **schema.infer("infer", "Run a graph", path=["graph"]))
@router.post(
    "/v2/models/{graph}/versions/{number}/infer",
    **schema.infer("infer_version", "Run a graph of one version", path=["graph", "number"]),
)
async def infer(request: Request) -> Response:
    """Tensors in, tensors out, in JSON or as bytes behind it: `Inference-Header-Content-Length` says where they begin.

    Values that the graph was not made for are refused: an index that no item has, sides that are no multiple.
    """
    model, task, graph = _found(request)
    declared, service, clock = task.graphs[graph], call.state(request), call.clock(request)
    body = await request.body()
    size = _size(request, len(body))
    ask = await call.parsed(body[:size], tensors.InferRequest, MOST_VALUES)
    with clock.stage("decode"):
        inputs = tensors.arrays(ask, body[size:], declared.inputs)
        form = tensors.wanted(ask, declared.outputs)
        direct.check(task, graph, inputs, service.settings)
    outputs = await direct.run(model, task, graph, inputs, service.pool, clock)
    with clock.stage("encode"):
        head = {"model_name": f"{model.name}.{graph}", "model_version": str(model.version)}
        content, size = tensors.write(head | ({"id": ask.id} if ask.id else {}), outputs, form)
    if not form.binary:
        return call.answer(content, JSON, model)
    return call.answer(content, tensors.BINARY, model, inference_header_content_length=str(size))


@router.post(
    "/v2/repository/index",
    **schema.protocol("index", "All that is there, and why some of it is not served", admin=True),
)
async def index(request: Request) -> Response:
    """Every graph of every version: READY, or UNAVAILABLE with the reason. Of a version that is refused only its name
    is known. One that is READY has a reason if its files are damaged by now.
    """
    shelf = call.state(request).library.shelf
    entries: list[dict[str, Any]] = []
    for name in shelf.names():
        for number, model in sorted(shelf.loaded(name).items()):
            entries += [
                {
                    "name": f"{name}.{graph}",
                    "version": str(number),
                    "state": "READY",
                    "reason": shelf.reason(name, number) or "",
                }
                for graph in model.sessions
            ]
        entries += [
            {"name": name, "version": str(number), "state": "UNAVAILABLE", "reason": reason}
            for number, reason in sorted(shelf.refused(name).items())
        ]
    return _json(entries)


@router.post(
    "/v2/repository/models/{name}/load",
    **schema.repository("load", "Serve a model again, and look for new versions at once", RepositoryRequest),
)
async def load(request: Request) -> Response:
    """All graphs of the model. 404 with the reason if no version can be served."""
    name = await _model(request)
    await call.state(request).library.load(name)
    return _json({})


@router.post(
    "/v2/repository/models/{name}/unload", **schema.repository("unload", "Serve a model no more", RepositoryRequest)
)
async def unload(request: Request) -> Response:
    """All graphs of the model, until it is loaded or the service starts anew. Calls that have begun are answered."""
    name = await _model(request)
    await call.state(request).library.unload(name)
    return _json({})


async def _model(request: Request) -> str:
    """The model that the path names, by itself or by one of its graphs.

    Raises:
        MalformedBody, InvalidFields, UnsupportedType: the body asks for what is not done here.
        UnknownModel: the model has no such graph.
    """
    call.unencoded(request, [JSON])
    call.no_query(request)
    await call.parsed(await request.body() or b"{}", RepositoryRequest)
    name: str = request.path_params["name"]
    library = call.state(request).library
    if name in library.shelf.found:
        return name
    name, _, graph = name.rpartition(".")
    loaded = library.shelf.loaded(name)
    if loaded and graph not in loaded[max(loaded)].sessions:
        raise UnknownModel(f"There is no graph {graph!r} in {name}; all graphs of a model come and go together.")
    return name or graph


def _found(request: Request) -> tuple[Model, AnyTask, str]:
    """The version, the task and the name of the graph that the path names.

    Raises:
        NotReady, UnknownModel, UnknownVersion.
    """
    given, number = request.path_params["graph"], request.path_params.get("number")
    if number is not None and not (number.isascii() and number.isdigit() and len(number) < 10):
        raise UnknownVersion(f"{number!r} is no number of a version.")
    name, _, graph = given.rpartition(".")
    model = call.state(request).library.resolve(name or given, None if number is None else int(number))
    task = direct.task_of(model, graph) if name else None
    if task is None:
        there = ", ".join(f"{model.name}.{known}" for known in model.sessions)
        raise UnknownModel(f"There is no graph {given!r} in version {model.version}; there are {there}.")
    return model, task, graph


def _size(request: Request, length: int) -> int:
    """How many bytes of the body are JSON.

    Raises:
        UnsupportedType: it is compressed.
        InvalidFields: the header that tells it is no number, or more than there are.
    """
    call.unencoded(request, [JSON, tensors.BINARY])
    told = request.headers.get(tensors.SIZE)
    if told is None:
        return length
    if not (told.isascii() and told.isdigit() and len(told) < 12 and int(told) <= length):
        raise InvalidFields([Fault("", f"has {length} bytes; {tensors.SIZE} says {told!a} of them are JSON")])
    return int(told)


def _json(tree: Any, status: int = 200) -> Response:
    return Response(to_json(tree), status, media_type=JSON)
