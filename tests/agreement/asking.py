"""Pictures, bodies and requests that the tests of this folder ask with, and how a refusal is read."""

import base64
import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import httpx
import numpy as np
from PIL import Image, ImageDraw

from tests.agreement import client as api

Array = api.Array
Json = api.Json

PNG, JPEG, WEBP, TIFF = "image/png", "image/jpeg", "image/webp", "image/tiff"
GIF, ZIP, NPY, JSON = "image/gif", "application/zip", "application/x-npy", "application/json"
FORMATS = {PNG: "PNG", JPEG: "JPEG", WEBP: "WEBP", TIFF: "TIFF"}
BODIES = [*FORMATS, NPY]
DENOISED = [PNG, JPEG, WEBP, NPY, JSON]
GENERATED = [PNG, WEBP, GIF, ZIP, NPY, JSON]
DEFAULTS = {"recommend": "movies-rbm", "denoise": "photo-dae", "encode": "digits-vae", "generate": "digits-gan"}
TASKS = list(DEFAULTS)
REFUSALS = {
    "malformed-body": 400,
    "unknown-path": 404,
    "unknown-model": 404,
    "unknown-version": 404,
    "unknown-item": 404,
    "method": 405,
    "not-acceptable": 406,
    "unsupported-type": 415,
    "body-too-slow": 408,
    "wrong-task": 409,
    "body-too-large": 413,
    "picture-too-large": 413,
    "invalid-fields": 422,
    "unreadable-picture": 422,
    "unreadable-array": 422,
    "internal": 500,
    "overloaded": 503,
    "not-ready": 503,
    "draining": 503,
    "deadline": 504,
}
RATINGS: list[api.Rating] = [
    {"item": "1196", "rating": 5},
    {"item": "260", "rating": 4},
    {"item": "1198", "rating": 3},
    {"item": "1", "rating": 2},
]
RATED = {"1196", "260", "1198", "1"}
USER: api.User = {"ratings": RATINGS}
VAE: api.GenerateOptions = {"model": "digits-vae"}


def noisy(height: int = 48, width: int = 64, channels: int = 3, sigma: float = 20, seed: int = 0) -> Array:
    """A smooth picture under noise, [H,W,C] or for one channel [H,W]."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [110 + 60 * np.sin((x + 9 * channel) / 17) * np.cos(y / 13) for channel in range(channels)]
    clean = np.stack(planes, axis=-1)
    noise = np.random.default_rng(seed).normal(0, sigma, clean.shape)
    array = np.clip(np.round(clean + noise), 0, 255).astype(np.uint8)
    return array[..., 0] if channels == 1 else array


def digit() -> Array:
    """A light seven on a dark ground, [28,28]."""
    large = Image.new("L", (112, 112))
    ImageDraw.Draw(large).line([(32, 28), (80, 28), (52, 88)], fill=255, width=11, joint="curve")
    return np.asarray(large.resize((28, 28), Image.Resampling.BOX))


def upright_one() -> Array:
    """A light one on a dark ground, [28,28]."""
    large = Image.new("L", (112, 112))
    ImageDraw.Draw(large).line([(58, 22), (54, 90)], fill=255, width=11)
    return np.asarray(large.resize((28, 28), Image.Resampling.BOX))


def saved(picture: Array | Image.Image, content_type: str = PNG, **options: Any) -> bytes:
    """A picture as a file; WebP without loss."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    if content_type == WEBP:
        options = {"lossless": True, "exact": True, **options}
    file = io.BytesIO()
    image.save(file, FORMATS[content_type], **options)
    return file.getvalue()


def body(picture: Array, content_type: str) -> bytes:
    """A picture as a body of any type."""
    return api.npy(picture) if content_type == NPY else saved(picture, content_type)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def pixels(data: bytes) -> Array:
    return np.asarray(opened(data))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_file(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG with exactly this header, whatever the rows hold."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [png_chunk(b"IHDR", header), png_chunk(b"IDAT", zlib.compress(rows)), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def scaled(picture: Array, dtype: str) -> Array:
    """The same picture in another type of array."""
    if dtype == "uint8":
        return picture
    if dtype == "uint16":
        return picture.astype(np.uint16) * np.uint16(257)
    return (picture / 255).astype(dtype)


def ask(client: httpx.Client, task: str, request: Any, accept: str = "*/*") -> httpx.Response:
    return client.post(f"/v1/{task}", json=request, headers={"Accept": accept})


def send(
    client: httpx.Client,
    task: str,
    data: bytes,
    content_type: str,
    accept: str = "*/*",
    params: Mapping[str, str] | None = None,
) -> httpx.Response:
    headers = {"Content-Type": content_type, "Accept": accept}
    return client.post(f"/v1/{task}", content=data, headers=headers, params=params)


def refused(response: httpx.Response, status: int, kind: str) -> api.Problem:
    """The refusal, once it is seen to be of this kind and whole."""
    assert response.status_code == status, response.text[:300]
    problem = api.problem(response)
    assert (problem.status, problem.kind) == (status, kind), response.text
    assert problem.title
    assert problem.detail
    assert problem.instance == response.headers["x-request-id"]
    return problem


def example(task: str) -> Json:
    """A request in JSON of a task that is answered."""
    picture = api.base64_of(saved(digit()))
    return {
        "recommend": {"users": [{}]},
        "denoise": {"images": [picture]},
        "encode": {"images": [picture]},
        "generate": {"seed": 1},
    }[task]


def call(client: httpx.Client, task: str, **options: Any) -> httpx.Response:
    return ask(client, task, {**example(task), **options}, JSON)


def values_of(tree: Any, name: str) -> list[Any]:
    """What stands under a name anywhere in JSON. Reading: the agreement names no places in a manifest."""
    if isinstance(tree, list):
        return [value for branch in tree for value in values_of(branch, name)]
    if not isinstance(tree, dict):
        return []
    own = [tree[name]] if name in tree else []
    return own + [value for branch in tree.values() for value in values_of(branch, name)]


def recommended(client: httpx.Client, user: api.User = USER, /, **options: Any) -> api.UserList:
    return api.recommend(client, [user], **options).value["users"][0]


def ids(listed: api.UserList) -> list[str]:
    return [item["item"] for item in listed["items"]]


def asked(answer: Mapping[str, Any], name: str) -> Any:
    """A field that is there because it was asked for."""
    return answer[name]


def encoding(client: httpx.Client, picture: Array, **options: Any) -> api.Encoding:
    return api.encode(client, saved(picture), PNG, **options).value["encodings"][0]


def drawn(client: httpx.Client, request: Json) -> list[bytes]:
    """The pictures of a request, each a PNG."""
    return [decoded(image) for image in api.generate_told(client, request).value["images"]]
