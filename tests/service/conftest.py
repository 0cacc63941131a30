"""A real server on a free port, with the hand-made versions of `tests/versions.py`."""

import asyncio
import contextlib
import http.client
import io
import socket
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

from service.app import create_app
from service.protocol import Protocol
from service.settings import Settings
from service.state import State
from tests.versions import publish_all


class Served(uvicorn.Server):
    """uvicorn in a thread of the test's process; `up` is set once the models are loaded."""

    def __init__(self, settings: Settings) -> None:
        self.state = State(settings)
        self.app = create_app(self.state)
        self.up = threading.Event()
        self.loop: asyncio.AbstractEventLoop
        super().__init__(uvicorn.Config(self.app, port=0, loop="uvloop", http=Protocol, ws="none", log_config=None))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        await self.state.library.scanned.wait()
        self.up.set()

    @property
    def port(self) -> int:
        return self.servers[0].sockets[0].getsockname()[1]


@contextlib.contextmanager
def serving(folder: Path, **settings: Any) -> Generator[tuple[Served, httpx.Client]]:
    server = Served(Settings(models=str(folder), **({"scan_seconds": 0.05, "device": "cpu"} | settings)))
    thread = threading.Thread(target=server.run)
    thread.start()
    assert server.up.wait(30)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=30) as client:
            yield server, client
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zoo")
    publish_all(folder)
    return folder


@pytest.fixture(scope="session")
def served(zoo: Path) -> Iterator[tuple[Served, httpx.Client]]:
    with serving(zoo) as both:
        yield both


@pytest.fixture
def client(served: tuple[Served, httpx.Client]) -> httpx.Client:
    return served[1]


def pixels(*shape: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A smooth picture with some noise."""
    height, width = shape[:2]
    ramp = np.add.outer(np.arange(height), np.arange(width)) % 200
    noise = np.random.default_rng(seed).normal(0, 12, shape)
    return np.clip((ramp if len(shape) == 2 else ramp[..., None]) + 25 + noise, 0, 255).astype(np.uint8)


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def png(*shape: int, seed: int = 0, **options: Any) -> bytes:
    return encoded(Image.fromarray(pixels(*shape, seed=seed)), **options)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def raw(port: int, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), 30)
    connection.sendall(data)
    return connection


def parsed(connection: socket.socket) -> httpx.Response:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


def refused(answer: httpx.Response, status: int, name: str, *pointers: str, setting: str | None = None) -> str:
    """Assert everything that a refusal must have; its detail."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"/problems/{name}"
    assert problem["status"] == status
    assert problem["instance"] == answer.headers["x-request-id"]
    assert problem["title"]
    assert [error["pointer"] for error in problem.get("errors", [])] == list(pointers)
    assert problem.get("setting") == setting
    return problem["detail"]


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests, each on a loop of its own."""
    if not asyncio.iscoroutinefunction(pyfuncitem.obj):
        return None
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}))
    return True
