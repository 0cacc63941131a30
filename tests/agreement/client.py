"""A client of Harmonium, written from the agreement on its HTTP API alone: one function for each call and form."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar, Unpack, cast
from urllib.parse import quote

import httpx
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Json = dict[str, Any]
T = TypeVar("T")


class Rating(TypedDict):
    item: str | int
    rating: float


class User(TypedDict, total=False):
    ratings: Sequence[Rating]
    liked: Sequence[str]


Filter = TypedDict(
    "Filter",
    {"any": Sequence[str], "all": Sequence[str], "none": Sequence[str], "from": float, "to": float},
    total=False,
)


class Chosen(TypedDict, total=False):
    model: str
    version: int


class RecommendOptions(Chosen, total=False):
    count: int
    offset: int
    include_rated: bool
    allow: Sequence[str]
    deny: Sequence[str]
    filter: Mapping[str, Filter]
    diversity: float
    novelty: float
    reasons: bool


class DenoiseOptions(Chosen, total=False):
    strength: float | Literal["auto"]
    amount: float
    view: Literal["result", "compare"]
    quality: int


class EncodeOptions(Chosen, total=False):
    fit: Literal["letterbox", "stretch"]
    invert: bool | Literal["auto"]
    sample: int
    reconstruct: bool


class End(TypedDict, total=False):
    seed: int
    latent: Sequence[float]
    image: str


GenerateOptions = TypedDict(
    "GenerateOptions",
    {"model": str, "version": int, "seed": int, "class": int | str, "truncation": float, "form": Literal["single"]},
    total=False,
)


class Reason(TypedDict):
    item: str
    gain: float


class Item(TypedDict):
    item: str
    title: str
    attributes: Json


class ListedItem(Item):
    score: float
    rating: float
    reasons: NotRequired[list[Reason]]


class UserList(TypedDict):
    source: Literal["model", "popularity"]
    unknown_items: list[str]
    repeated_items: list[str]
    total: int
    items: list[ListedItem]


class Recommendations(TypedDict):
    model: str
    version: int
    users: list[UserList]


class CleanPicture(TypedDict):
    image: str
    width: int
    height: int
    noise_level: float


class CleanPictures(TypedDict):
    model: str
    version: int
    images: list[CleanPicture]


class Encoding(TypedDict):
    mean: list[float]
    log_variance: list[float]
    inverted: bool
    sample: NotRequired[list[float]]
    reconstruction_error: NotRequired[float]
    anomaly: NotRequired[float]
    reconstruction: NotRequired[str]


class Encodings(TypedDict):
    model: str
    version: int
    encodings: list[Encoding]


class Drawn(TypedDict):
    model: str
    version: int
    seed: int
    images: list[str]


class Version(TypedDict):
    version: int
    state: Literal["live", "loaded", "refused", "unloaded"]
    reason: NotRequired[str]
    device: str
    created: str


class Model(TypedDict):
    name: str
    family: str
    tasks: list[str]
    versions: list[Version]
    default_for: list[str]


class Models(TypedDict):
    models: list[Model]


class Items(TypedDict):
    items: list[Item]
    total: int


class Readiness(TypedDict):
    ready: bool
    models: list[str]
    device: str
    reasons: list[str]


@dataclass(frozen=True)
class Answer(Generic[T]):
    """What a call gave, with the headers it came under."""

    value: T
    headers: httpx.Headers

    @property
    def type(self) -> str:
        return self.headers["content-type"].partition(";")[0]


@dataclass
class Problem(Exception):
    """A refusal of the application."""

    kind: str
    status: int
    title: str
    detail: str
    instance: str
    errors: list[dict[str, str]]
    members: Json
    headers: httpx.Headers

    @property
    def pointers(self) -> list[str]:
        return [error["pointer"] for error in self.errors]


def problem(response: httpx.Response) -> Problem:
    """The refusal that a response is."""
    assert response.headers["content-type"].partition(";")[0] == "application/problem+json", response.text
    members: Json = response.json()
    assert members["type"].startswith("/problems/"), members
    return Problem(
        members["type"].removeprefix("/problems/"),
        members["status"],
        members["title"],
        members["detail"],
        members["instance"],
        members.get("errors", []),
        members,
        response.headers,
    )


def _checked(response: httpx.Response) -> httpx.Response:
    if not response.is_success:
        raise problem(response)
    return response


def _query(options: Mapping[str, object]) -> dict[str, str]:
    return {name: json.dumps(value) if isinstance(value, bool) else str(value) for name, value in options.items()}


def _send(
    client: httpx.Client, path: str, body: bytes, content_type: str, accept: str, options: Mapping[str, object]
) -> httpx.Response:
    headers = {"Content-Type": content_type, "Accept": accept}
    return _checked(client.post(path, content=body, headers=headers, params=_query(options)))


def _ask(
    client: httpx.Client, path: str, request: Mapping[str, Any], accept: str = "application/json"
) -> httpx.Response:
    return _checked(client.post(path, json=request, headers={"Accept": accept}))


def _told(response: httpx.Response) -> Any:
    return response.json()


def base64_of(data: bytes) -> str:
    """Bytes as they stand in JSON."""
    return base64.b64encode(data).decode("ascii")


def npy(array: Array) -> bytes:
    """An array as a body of type application/x-npy."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def array_of(data: bytes) -> Array:
    """The array that an answer of type application/x-npy holds."""
    return cast(Array, np.load(io.BytesIO(data), allow_pickle=False))


def recommend(
    client: httpx.Client, users: Sequence[User], **options: Unpack[RecommendOptions]
) -> Answer[Recommendations]:
    """Items for users."""
    response = _ask(client, "/v1/recommend", {"users": users, **options})
    return Answer(_told(response), response.headers)


def denoise(
    client: httpx.Client, body: bytes, content_type: str, accept: str = "*/*", **options: Unpack[DenoiseOptions]
) -> Answer[bytes]:
    """A picture (or a stack of them) without noise, in the form that `accept` names."""
    response = _send(client, "/v1/denoise", body, content_type, accept, options)
    return Answer(response.content, response.headers)


def denoise_array(client: httpx.Client, array: Array, **options: Unpack[DenoiseOptions]) -> Answer[Array]:
    """An array without noise, of the same layout and type."""
    answer = denoise(client, npy(array), "application/x-npy", "application/x-npy", **options)
    return Answer(array_of(answer.value), answer.headers)


def denoise_told(
    client: httpx.Client, body: bytes, content_type: str, **options: Unpack[DenoiseOptions]
) -> Answer[CleanPictures]:
    """A picture (or a stack) without noise, answered as JSON."""
    response = _send(client, "/v1/denoise", body, content_type, "application/json", options)
    return Answer(_told(response), response.headers)


def denoise_batch(
    client: httpx.Client, images: Sequence[bytes], **options: Unpack[DenoiseOptions]
) -> Answer[CleanPictures]:
    """Pictures of any types without noise."""
    response = _ask(client, "/v1/denoise", {"images": [base64_of(image) for image in images], **options})
    return Answer(_told(response), response.headers)


def encode(client: httpx.Client, body: bytes, content_type: str, **options: Unpack[EncodeOptions]) -> Answer[Encodings]:
    """What a picture (or each of a stack) is in the model's latent space."""
    response = _send(client, "/v1/encode", body, content_type, "application/json", options)
    return Answer(_told(response), response.headers)


def encode_batch(client: httpx.Client, images: Sequence[bytes], **options: Unpack[EncodeOptions]) -> Answer[Encodings]:
    """What pictures of any types are in the model's latent space."""
    response = _ask(client, "/v1/encode", {"images": [base64_of(image) for image in images], **options})
    return Answer(_told(response), response.headers)


def encode_array(
    client: httpx.Client, body: bytes, content_type: str, **options: Unpack[EncodeOptions]
) -> Answer[Array]:
    """Means and log-variances, [B, 2, Z]."""
    response = _send(client, "/v1/encode", body, content_type, "application/x-npy", options)
    return Answer(array_of(response.content), response.headers)


def seeds(count: int = 1, **options: Unpack[GenerateOptions]) -> Json:
    """The request for pictures of seed, seed + 1, ..."""
    return {"count": count, **options}


def latents(values: Array, **options: Unpack[GenerateOptions]) -> Json:
    """The request for the pictures of latents."""
    return {"latents": values.tolist(), **options}


def interpolate(
    start: End,
    stop: End,
    steps: int,
    path: Literal["slerp", "linear"] | None = None,
    **options: Unpack[GenerateOptions],
) -> Json:
    """The request for the way from one end to another."""
    way: Json = {"from": start, "to": stop, "steps": steps}
    return {"interpolate": way if path is None else {**way, "path": path}, **options}


def lattice(size: int, x: int, y: int, **options: Unpack[GenerateOptions]) -> Json:
    """The request for a lattice of two latent axes."""
    return {"lattice": {"size": size, "x": x, "y": y}, **options}


def edit(image: bytes, direction: str, amount: float, **options: Unpack[GenerateOptions]) -> Json:
    """The request for a picture moved along a direction."""
    return {"edit": {"image": base64_of(image), "direction": direction, "amount": amount}, **options}


def generate(client: httpx.Client, request: Json, accept: str = "*/*") -> Answer[bytes]:
    """One picture, a sheet or an animation, in the form that `accept` names."""
    response = _ask(client, "/v1/generate", request, accept)
    return Answer(response.content, response.headers)


def generate_zip(client: httpx.Client, request: Json) -> Answer[list[bytes]]:
    """The files of an archive."""
    answer = generate(client, request, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.value)) as archive:
        return Answer([archive.read(name) for name in archive.namelist()], answer.headers)


def generate_array(client: httpx.Client, request: Json) -> Answer[Array]:
    """Pictures as one array."""
    answer = generate(client, request, "application/x-npy")
    return Answer(array_of(answer.value), answer.headers)


def generate_told(client: httpx.Client, request: Json) -> Answer[Drawn]:
    """Pictures in JSON."""
    response = _ask(client, "/v1/generate", request)
    return Answer(_told(response), response.headers)


def _get(client: httpx.Client, path: str, **params: str | int) -> Answer[Any]:
    response = _checked(client.get(path, params=params))
    return Answer(response.json(), response.headers)


def models(client: httpx.Client) -> Answer[Models]:
    """Every model and its versions."""
    return _get(client, "/v1/models")


def model(client: httpx.Client, name: str) -> Answer[Json]:
    """The public part of a model's manifest."""
    return _get(client, f"/v1/models/{quote(name, '')}")


def model_version(client: httpx.Client, name: str, version: int) -> Answer[Json]:
    """The public part of one version's manifest."""
    return _get(client, f"/v1/models/{quote(name, '')}/versions/{version}")


def items(client: httpx.Client, name: str, **params: str | int) -> Answer[Items]:
    """Items of a model that fit a query, a page of them."""
    return _get(client, f"/v1/models/{quote(name, '')}/items", **params)


def similar(client: httpx.Client, name: str, item: str, **params: str | int) -> Answer[Json]:
    """Items similar to one."""
    return _get(client, f"/v1/models/{quote(name, '')}/items/{quote(item, '')}/similar", **params)


def alive(client: httpx.Client) -> bool:
    """Whether the process lives."""
    return client.get("/livez").status_code == 200


def readiness(client: httpx.Client) -> Answer[Readiness]:
    """Whether calls can be answered, and if not, why."""
    response = client.get("/readyz")
    if response.status_code not in (200, 503):
        raise problem(response)
    return Answer(_told(response), response.headers)
