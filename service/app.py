"""The ASGI application: lifespan, routes, and the guard around them. No logic."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from service.api import (
    denoise,
    docs,
    encode,
    generate,
    health,
    inference,
    items,
    metrics,
    models,
    page,
    recommend,
    schema,
)
from service.cors import Cors
from service.endpoints import Endpoints
from service.guard import Guard
from service.media import tensors
from service.problems import Method, UnknownPath
from service.runtime.room import return_large_blocks
from service.state import State

VERSION = "0.1.0"


class Files(StaticFiles):
    """Whole files: Starlette refuses a wrong range in plain text, and nobody needs a right one.

    A browser asks whether they have changed, or a page would run with the scripts of the release before.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [pair for pair in scope["headers"] if pair[0] != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


class Harmonium(FastAPI):
    """FastAPI with the document that `api/schema.py` puts together."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            bodies = [
                recommend.RecommendRequest,
                denoise.DenoiseRequest,
                encode.EncodeRequest,
                generate.GenerateRequest,
                tensors.InferRequest,
                inference.RepositoryRequest,
            ]
            self.openapi_schema = schema.document(self, bodies)
        return self.openapi_schema


def create_app(state: State) -> FastAPI:
    """The application around `state`; models are loaded from when it starts until it stops."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        return_large_blocks()
        scanning = asyncio.create_task(state.library.keep_current())
        yield
        scanning.cancel()
        with suppress(asyncio.CancelledError):
            await scanning
        state.pool.close()
        await asyncio.to_thread(state.tracing.close)

    app = Harmonium(
        title="Harmonium",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = state
    app.mount("/page", Files(directory=page.FOLDER / "static"))
    app.mount("/docs/static", Files(packages=[("fastapi_offline", "static")]))
    routes = [*app.routes]
    for endpoint in (recommend, denoise, encode, generate, models, items, inference, health, metrics, docs, page):
        app.include_router(endpoint.router)
        routes += endpoint.router.routes
    app.add_exception_handler(HTTPException, _refuse)
    app.add_middleware(Guard, state=state, endpoints=Endpoints(routes))
    if state.settings.origins:  # outermost: refusals need its headers too, or no page sees them
        app.add_middleware(Cors, origins=state.settings.origins)
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    """What the router itself refuses, as our problems; the guard answers them."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "other methods")
        raise Method("GET, HEAD" if allow == "GET" else allow) from None
    raise UnknownPath(f"Nothing is served at {request.url.path}.") from None
