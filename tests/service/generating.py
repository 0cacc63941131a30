"""Calls of /v1/generate, and what the answers hold."""

import base64
import io
import zipfile
from typing import Any

import numpy as np
from httpx import Client, Response
from PIL import Image, ImageSequence

from models.manifest import Generate
from tests.service.conftest import opened
from tests.versions import Built, run

Stack = np.ndarray[Any, np.dtype[np.uint8]]


def ask(client: Client, accept: str = "*/*", **fields: Any) -> Response:
    return client.post("/v1/generate", json=fields, headers={"accept": accept})


def good(client: Client, accept: str, **fields: Any) -> bytes:
    """The body of an answer of type `accept`."""
    answer = ask(client, accept, **fields)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == accept
    return answer.content


def images(client: Client, **fields: Any) -> list[bytes]:
    """The PNGs of a JSON answer."""
    answer = ask(client, "application/json", **fields)
    assert answer.status_code == 200, answer.text
    return [base64.b64decode(image) for image in answer.json()["images"]]


def array(client: Client, **fields: Any) -> Stack:
    """[B,H,W] or [B,H,W,3]"""
    return np.load(io.BytesIO(good(client, "application/x-npy", **fields)), allow_pickle=False)


def archive(data: bytes) -> zipfile.ZipFile:
    """A whole and sound one."""
    found = zipfile.ZipFile(io.BytesIO(data))
    assert found.testzip() is None
    return found


def frames(data: bytes, mode: str) -> Stack:
    return np.array([np.asarray(frame.convert(mode)) for frame in ImageSequence.Iterator(Image.open(io.BytesIO(data)))])


def decoded(pngs: list[bytes]) -> Stack:
    return np.array([np.asarray(opened(png)) for png in pngs])


def expected(built: Built, latents: Any, label: int | None = None) -> Stack:
    """What the version's own graph makes of latents [B,Z], one by one, in 8 bit."""
    manifest, files = built
    task = manifest.task(Generate)
    assert task is not None
    pictures: list[Any] = []
    for latent in np.asarray(latents, np.float32):
        inputs = {"latent": latent[None]} | ({"label": np.array([label], np.int64)} if task.classes else {})
        picture = run(files["decode.onnx"], inputs)["image"][0] * 255
        pictures.append(np.floor(picture + 0.5).astype(np.uint8).transpose(1, 2, 0).squeeze())
    return np.array(pictures)
