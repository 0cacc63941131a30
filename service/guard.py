"""The outermost layer of our own: every request passes it but what browsers may send ahead, and no exception does.

It gives the request its id and its clock, has its body collected, turns every Problem into
its answer and every other exception into a 500, and ends the work when the deadline passes
or the caller hangs up. uvicorn closes the connection on an exception, which breaks the
caller's next request as well: none may get there.

Pure ASGI, because a wrapper around request and response hides that a caller left.
"""

import asyncio
import logging
import re
import secrets
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import logs
from service.body import Body, CallerLeft
from service.endpoints import Endpoints
from service.problems import MEDIA_TYPE, Deadline, Draining, Internal, Problem
from service.runtime.clock import Clock
from service.runtime.crowd import PLACE, Place
from service.state import State

log = logging.getLogger("service.requests")

SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
PROBES = {"/livez", "/readyz", "/metrics"}
"""Answered while the service drains."""
LEFT = 499
"""What is counted as the status where the caller did not wait for the answer, as in nginx's logs."""


class Guard:
    """ASGI application around an ASGI application."""

    def __init__(self, app: ASGIApp, state: State, endpoints: Endpoints) -> None:
        self._app, self._state, self._settings, self._endpoints = app, state, state.settings, endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if SANE_ID.fullmatch(given) else secrets.token_hex(8)
        span = self._state.tracing.begin(headers, request_id)
        about = logs.About(request_id, span.trace_id)
        logs.ABOUT.set(about)
        clock = Clock(self._settings.deadline_seconds)
        body = Body(receive, self._state)
        endpoint = self._endpoints.name(scope["path"])
        told = {b"x-request-id": request_id, b"traceresponse": span.response()}
        answer = Answer(send, told, clock, body, self._state, protocol=scope["path"].startswith("/v2"))
        scope.setdefault("state", {})["clock"] = clock
        accepted = scope["path"] in PROBES or not self._state.draining
        if accepted:
            self._state.begin()
        try:
            if not accepted:
                raise Draining("The service is stopping.")
            try:
                if refusal := scope["state"].get("refusal"):  # of a layer around this one
                    raise refusal
                logs.ABOUT.set(about._replace(key=self._state.keys.check(scope["path"], headers)))
            except Problem:
                if body.modest(headers):
                    await body.discard()  # or the connection would have to end with the answer
                raise
            whole = await body.collect(headers.get(b"content-length", b""))
            crowd = self._state.crowd(scope["method"], endpoint)
            with crowd.enter() as place:  # not before: a body that is slow to come keeps nobody out
                PLACE.set(place)
                await self._answer(scope, receive, whole, answer, clock, place)
        except Problem as problem:
            await answer.refuse(problem)
        except CallerLeft:
            answer.outcome = LEFT
            log.debug("%s the caller left", request_id)
        except asyncio.CancelledError:
            # Only the end of DRAIN_SECONDS cancels a request from outside.
            await answer.refuse(Draining("The service stopped before the answer was ready."), patient=False)
        except Exception:
            log.exception("%s %s %a failed", request_id, scope["method"], scope["path"])
            await answer.refuse(Internal())
        finally:
            body.release()
            if accepted:
                self._state.end()
            spent = time.perf_counter() - start
            self._state.metrics.ended(endpoint, answer.outcome, spent, clock.spent)
            method, path, took = scope["method"], scope["path"], 1000 * spent
            span.end(method, endpoint, path, answer.outcome, clock.spent)
            extra = {"method": method, "path": path, "status": answer.outcome, "milliseconds": round(took, 1)}
            log.debug("%s %s %a -> %s in %.1f ms", request_id, method, path, answer.outcome, took, extra=extra)

    async def _answer(
        self, scope: Scope, receive: Receive, body: bytes, answer: "Answer", clock: Clock, place: Place
    ) -> None:
        left = asyncio.ensure_future(_until_left(receive))
        read = False

        async def replay() -> Message:
            nonlocal read
            if not read:
                read = True
                return {"type": "http.request", "body": body, "more_body": False}
            await asyncio.shield(left)
            return {"type": "http.disconnect"}

        async def give(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                place.leave()
            with place.outside():
                await answer(message)

        if scope["method"] == "HEAD":  # as GET; the server leaves out the body
            scope = {**scope, "method": "GET"}
        work = asyncio.ensure_future(_run(self._app, scope, replay, give))
        try:
            while not clock.late() and not work.done() and not left.done():  # it may be extended meanwhile
                remaining = clock.deadline - time.monotonic()
                await asyncio.wait({work, left}, timeout=remaining, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            elif left.done():
                raise CallerLeft
            else:
                raise Deadline
        finally:
            clock.left = True
            left.cancel()
            work.cancel()
            await asyncio.wait({work})


class Answer:
    """The way back: adds the headers that every answer has, and knows whether one has begun."""

    def __init__(
        self, send: Send, told: dict[bytes, str], clock: Clock, body: Body, state: State, *, protocol: bool
    ) -> None:
        """`told` are headers, empty ones left out; `protocol` is of clients that speak the Open Inference Protocol."""
        self._id = told[b"x-request-id"]
        self._told = [(name, value.encode()) for name, value in told.items() if value]
        self._protocol = protocol
        self._send, self._clock, self._body, self._state = send, clock, body, state
        self.begun = False
        self.outcome = LEFT
        """The status that was sent; of an answer that was not finished, the one that tells why."""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun, self.outcome = True, message["status"]
            message["headers"] = [*message.get("headers", ()), *self._told, (b"x-content-type-options", b"nosniff")]
            if self._clock.spent:
                message["headers"].append((b"server-timing", self._clock.server_timing().encode()))
            if self._state.leaving or self._state.draining or not self._body.complete:
                message["headers"].append((b"connection", b"close"))
        await self._send(message)

    async def refuse(self, problem: Problem, patient: bool = True) -> None:
        """Answer with a problem. If an answer has begun, it is left unfinished and uvicorn ends the connection.

        With bytes unread the connection's end might come before the answer: who is `patient` reads the body's rest.
        """
        self.outcome = problem.status
        self._state.metrics.refused(problem)
        if self.begun:
            return
        content = problem.to_bytes(self._id, protocol=self._protocol)
        headers = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(content)), **problem.headers}
        encoded = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        await self({"type": "http.response.start", "status": problem.status, "headers": encoded})
        await self({"type": "http.response.body", "body": content, "more_body": True})
        if patient:
            await self._body.discard()
        await self({"type": "http.response.body"})


async def _run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
