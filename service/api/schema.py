"""The OpenAPI document of handlers that read raw bodies, in one place.

Handlers take a Request and give a ready Response, so nothing here costs a call anything.
The models below describe answers; a test holds real answers against them.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import FastAPI, Response
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema

from service import problems
from service.media import tensors
from service.media.negotiation import GIF, JPEG, JSON, NPY, OPENMETRICS, PNG, TEXT, TIFF, WEBP, ZIP

Operation = dict[str, Any]
REF = "#/components/schemas/{model}"
BINARY = {"type": "string", "format": "binary"}
DESCRIPTION = (
    "Restricted Boltzmann machines, autoencoders, VAEs and GANs over HTTP: recommend, denoise, encode, generate. "
    "Every refusal is `application/problem+json`; its `type` answers with an explanation."
)


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Reason(Answer):
    item: str
    gain: float


class ListedItem(Answer):
    item: str
    title: str
    score: Annotated[
        float,
        Field(
            description="Orders the list: the model's, the popularity, or what `diversity` and `novelty` make of it."
        ),
    ]
    rating: Annotated[float, Field(description="Predicted, on the model's scale.")]
    attributes: dict[str, list[str] | float | None]
    reasons: Annotated[list[Reason], Field(description="Only when asked for, at most 5.")] = []


class UserList(Answer):
    source: Annotated[str, Field(pattern="^(model|popularity)$")]
    unknown_items: list[str]
    repeated_items: list[str]
    total: Annotated[int, Field(description="Items that can be listed, over all pages.")]
    items: list[ListedItem]


class RecommendAnswer(Answer):
    model: str
    version: int
    users: list[UserList]
    unknown_values: Annotated[
        dict[str, list[str]],
        Field(description="By attribute, what `filter` names and no item has; only where there is any."),
    ] = {}


class Item(Answer):
    item: str
    title: str
    attributes: dict[str, list[str] | float | None]


class ItemsAnswer(Answer):
    items: list[Item]
    total: Annotated[int, Field(description="Items that fit, over all pages.")]


class SimilarItem(Item):
    similarity: Annotated[float, Field(description="What liking the item of the path adds to this one's score.")]


class SimilarAnswer(Answer):
    items: list[SimilarItem]


class CleanPicture(Answer):
    image: Annotated[str, Field(description="PNG in base64.")]
    width: int
    height: int
    noise_level: Annotated[
        float | None, Field(description="Sigma that was used, on the 0..255 scale; null of models that take none.")
    ]


class DenoiseAnswer(Answer):
    model: str
    version: int
    images: list[CleanPicture]


class Encoding(Answer):
    mean: list[float]
    log_variance: list[float]
    sample: Annotated[list[float], Field(description="Only when asked for.")] = []
    reconstruction_error: Annotated[
        float | None,
        Field(description="Mean square over values in 0..1. This and what follows only with `reconstruct`."),
    ] = None
    anomaly: Annotated[float | None, Field(description="Share of held-out pictures that look less odd, 0..1.")] = None
    reconstruction: Annotated[
        str, Field(description="PNG in base64, of the model's size and inverted if the picture was.")
    ] = ""
    inverted: bool


class EncodeAnswer(Answer):
    model: str
    version: int
    encodings: list[Encoding]


class GenerateAnswer(Answer):
    model: str
    version: int
    seed: Annotated[int | None, Field(description="Null where none decides anything.")]
    images: Annotated[list[str], Field(description="PNG in base64.")]


class ProblemAnswer(BaseModel):
    type: str
    title: str
    status: int
    detail: str
    instance: Annotated[str, Field(description="The request's id.")]
    errors: list[dict[str, str]] = []
    setting: str = ""


def recommend(fields: type[BaseModel]) -> Operation:
    """POST /v1/recommend."""
    users = [{"ratings": [{"item": "1196", "rating": 5}, {"item": "260", "rating": 4}]}]
    return _operation(
        "recommend",
        "Items for users, from what they rated",
        body={JSON: {"schema": _ref(fields), "example": {"users": users, "count": 10}}},
        answer={JSON: {"schema": _ref(RecommendAnswer)}},
        refusals=[problems.MalformedBody, *MODEL, *BODY, problems.InvalidFields, *WORK],
    )


def denoise(options: type[BaseModel], fields: type[BaseModel]) -> Operation:
    """POST /v1/denoise."""
    return _operation(
        "denoise",
        "Pictures without their noise",
        body=_pictures(fields),
        answer={kind: {"schema": BINARY} for kind in (PNG, JPEG, WEBP, NPY)} | {JSON: {"schema": _ref(DenoiseAnswer)}},
        headers={"X-Noise-Level": "Sigma that was used, on the 0..255 scale; only where one picture is answered."},
        parameters=_query(options),
        refusals=[problems.MalformedBody, *MODEL, *BODY, *PICTURES, *WORK],
    )


def encode(options: type[BaseModel], fields: type[BaseModel]) -> Operation:
    """POST /v1/encode."""
    return _operation(
        "encode",
        "Places of pictures in the latent space",
        body=_pictures(fields),
        answer={JSON: {"schema": _ref(EncodeAnswer)}, NPY: {"schema": BINARY}},
        parameters=_query(options),
        refusals=[problems.MalformedBody, *MODEL, *BODY, *PICTURES, *WORK],
    )


def generate(fields: type[BaseModel]) -> Operation:
    """POST /v1/generate."""
    return _operation(
        "generate",
        "Pictures from seeds and latents",
        body={JSON: {"schema": _ref(fields), "example": {"seed": 7, "class": 3}}},
        answer={kind: {"schema": BINARY} for kind in (PNG, WEBP, GIF)}
        | {JSON: {"schema": _ref(GenerateAnswer)}}
        | {kind: {"schema": BINARY} for kind in (ZIP, NPY)},
        headers={"X-Seed": "Seed of the first picture, or of the class; absent where no seed decides anything."},
        refusals=[problems.MalformedBody, *MODEL, *BODY, problems.InvalidFields, *WORK],
    )


def models() -> Operation:
    """GET /v1/models."""
    return _operation(
        "models",
        "What is loaded, and what was refused",
        answer=ANY_JSON,
        refusals=[problems.NotAcceptable, problems.InvalidFields, *ANY],
        tag="models",
    )


def model() -> Operation:
    """GET /v1/models/{name}."""
    path = [_path("name", "string", "photo-dae")]
    return _operation(
        "model", "What the live version is", answer=ANY_JSON, parameters=path, refusals=READ, tag="models"
    )


def version() -> Operation:
    """GET /v1/models/{name}/versions/{number}."""
    path = [_path("name", "string", "photo-dae"), _path("number", "integer", 1)]
    return _operation("version", "What one version is", answer=ANY_JSON, parameters=path, refusals=READ, tag="models")


def items(options: type[BaseModel]) -> Operation:
    """GET /v1/models/{name}/items."""
    return _operation(
        "items",
        "The items that a recommender knows, by title",
        answer={JSON: {"schema": _ref(ItemsAnswer)}},
        headers=NAMED,
        parameters=[_path("name", "string", "movies-rbm"), *_query(options)],
        refusals=[*READ, problems.WrongTask],
        tag="models",
    )


def similar(options: type[BaseModel]) -> Operation:
    """GET /v1/models/{name}/items/{id}/similar."""
    return _operation(
        "similar",
        "The items that go best with one",
        answer={JSON: {"schema": _ref(SimilarAnswer)}},
        headers=NAMED,
        parameters=[_path("name", "string", "movies-rbm"), _path("id", "string", "260"), *_query(options)],
        refusals=[*READ, problems.UnknownItem, problems.WrongTask, *WORK],
        tag="models",
    )


def probe(name: str, summary: str, otherwise: str = "") -> Operation:
    """GET /livez and /readyz; `otherwise` says when the same is answered with 503."""
    operation = _operation(name, summary, answer=ANY_JSON, tag="health")
    if otherwise:
        operation["responses"][503] = {"description": otherwise, "content": ANY_JSON}
    return operation


def metrics() -> Operation:
    """GET /metrics."""
    return _operation(
        "metrics",
        "What Prometheus asks for",
        answer={TEXT: {"schema": {"type": "string"}}, OPENMETRICS: {"schema": {"type": "string"}}},
        refusals=[problems.NotAcceptable, problems.InvalidFields, problems.Internal, problems.Deadline],
        tag="health",
    )


def protocol(name: str, summary: str, *, path: Sequence[str] = (), admin: bool = False) -> Operation:
    """What /v2 answers without running anything."""
    return _operation(
        f"v2_{name}",
        summary,
        answer=ANY_JSON,
        parameters=_of_graph(path),
        refusals=[*(MODEL[:3] if path else ()), *([problems.ScopeMissing] if admin else ()), *ANY],
        tag="open inference",
    )


def repository(name: str, summary: str, fields: type[BaseModel]) -> Operation:
    """POST /v2/repository/models/{name}/load and unload."""
    return _operation(
        f"v2_{name}",
        summary,
        body={JSON: {"schema": _ref(fields), "example": {}}},
        answer=ANY_JSON,
        parameters=[_path("name", "string", "digits-vae")],
        refusals=[
            problems.MalformedBody,
            problems.UnknownModel,
            *BODY,
            problems.InvalidFields,
            problems.ScopeMissing,
            *ANY,
        ],
        tag="open inference",
    )


def infer(name: str, summary: str, *, path: Sequence[str]) -> Operation:
    """POST /v2/models/{graph}/infer."""
    latent = {"name": "latent", "shape": [1, 2], "datatype": "FP32", "data": [0.5, -1.5]}
    return _operation(
        f"v2_{name}",
        summary,
        body={
            JSON: {"schema": _ref(tensors.InferRequest), "example": {"inputs": [latent]}},
            tensors.BINARY: {"schema": BINARY},
        },
        answer={**ANY_JSON, tensors.BINARY: {"schema": BINARY}},
        headers={tensors.SIZE: "Bytes of JSON, where binary tensors follow."},
        parameters=_of_graph(path),
        refusals=[problems.MalformedBody, *MODEL[:3], *BODY, problems.InvalidFields, *WORK],
        tag="open inference",
    )


def _of_graph(path: Sequence[str]) -> list[Operation]:
    examples = {"graph": _path("graph", "string", "digits-vae.decode"), "number": _path("number", "integer", 1)}
    return [examples[name] for name in path]


def document(app: FastAPI, bodies: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """The OpenAPI document; `bodies` are the models that describe JSON bodies."""
    tree = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=app.routes)
    answers: list[type[BaseModel]] = [RecommendAnswer, ItemsAnswer, SimilarAnswer]
    answers += [DenoiseAnswer, EncodeAnswer, GenerateAnswer, ProblemAnswer]
    _, definitions = models_json_schema([(kind, "validation") for kind in [*bodies, *answers]], ref_template=REF)
    key = {"type": "http", "scheme": "bearer", "description": "Only where the service has keys."}
    tree["components"] = {"schemas": definitions["$defs"], "securitySchemes": {"key": key}}
    return tree


MODEL = [problems.UnknownModel, problems.UnknownVersion, problems.NotReady, problems.WrongTask, problems.NotAcceptable]
KEY = [problems.KeyMissing, problems.KeyWrong]
ANY = [problems.Internal, problems.Draining, problems.Deadline]
READ = [*MODEL[:3], problems.NotAcceptable, problems.InvalidFields, *ANY]
BODY = [problems.BodyTooSlow, problems.BodyTooLarge, problems.UnsupportedType]
PICTURES = [problems.PictureTooLarge, problems.InvalidFields, problems.UnreadablePicture, problems.UnreadableArray]
WORK = [problems.Internal, problems.Overloaded, problems.Draining, problems.Deadline]
BAR = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAIAQAAAADsdIMmAAAAEUlEQVR42mNgYJBgYoBBBgYAAZgAI3RDkUIAAAAASUVORK5CYII="
"""An upright bar of 8 x 8 pixels, for examples."""
NUMBERS = {"X-Model-Version": "integer", "X-Seed": "integer", "X-Noise-Level": "number"}
"""Headers that are not just text."""
NAMED = {"X-Model": "The model's name.", "X-Model-Version": "Its version."}
ABSENT = {"model": "Absent: the default model.", "version": "Absent: the greatest."}
ANY_JSON = {JSON: {"schema": {"type": "object"}}}


def _operation(
    name: str,
    summary: str,
    *,
    answer: Operation,
    body: Operation | None = None,
    headers: dict[str, str] | None = None,
    parameters: Sequence[Operation] = (),
    refusals: Sequence[type[problems.Problem]] = (),
    tag: str = "inference",
) -> Operation:
    """Keyword arguments for a route of FastAPI."""
    told = (NAMED if body else {}) | (headers or {})
    responses: dict[int | str, Operation] = {
        200: {
            "description": "The answer.",
            "content": answer,
            "headers": {
                key: {"description": text, "schema": {"type": NUMBERS.get(key, "string")}} for key, text in told.items()
            },
        }
    }
    if tag != "health":
        refusals = [*refusals, *KEY]
    for status in sorted({kind.status for kind in refusals}):
        titles = dict.fromkeys(f"`{kind.name()}`: {kind.title}" for kind in refusals if kind.status == status)
        content = {problems.MEDIA_TYPE: {"schema": _ref(ProblemAnswer)}}
        responses[status] = {"description": "; ".join(titles), "content": content}
    extra: Operation = {"parameters": list(parameters)} if parameters else {}
    if tag != "health":
        extra["security"] = [{}, {"key": []}]
    if body:
        extra["requestBody"] = {"required": True, "content": body}
    return {
        "summary": summary,
        "operation_id": name,
        "tags": [tag],
        "response_class": Response,  # or FastAPI would promise JSON beside every picture
        "responses": responses,
        "openapi_extra": extra,
    }


def _ref(kind: type[BaseModel]) -> Operation:
    return {"$ref": REF.format(model=kind.__name__)}


def _query(options: type[BaseModel]) -> list[Operation]:
    """The fields of `options` as query parameters; absent is the only null that a query has.

    Defaults are told in words: clients that are generated send those of a schema, which a JSON body does not go with.
    """
    parameters: list[Operation] = []
    for name, found in options.model_json_schema()["properties"].items():
        schema = {key: value for key, value in found.items() if key not in ("title", "description", "default")}
        told = found.get("description") or ABSENT.get(name)
        default = found.get("default")
        if default is None:
            schema = next((kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}), schema)
        words = "" if default in (None, "") else f"Absent: {str(default).lower()}."
        description = " ".join(filter(None, (told, words))) or None
        parameters.append(
            {"name": name, "in": "query", "required": False, "schema": schema, "description": description}
        )
    return parameters


def _pictures(fields: type[BaseModel]) -> Operation:
    """Bodies of pictures: a raw one beside parameters in the query, or JSON with everything in it."""
    raw = {kind: {"schema": BINARY} for kind in (PNG, JPEG, WEBP, TIFF, NPY)}
    return {**raw, JSON: {"schema": _ref(fields), "example": {"images": [BAR]}}}


def _path(name: str, kind: str, example: str | int) -> Operation:
    return {"name": name, "in": "path", "required": True, "schema": {"type": kind}, "example": example}
