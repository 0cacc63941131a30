"""Pages of other sites: what a browser asks beforehand is answered by Starlette, and refused as our problem."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.problems import CrossOrigin

METHODS = ["GET", "POST"]
SENT = [
    *("Authorization", "Content-Type", "Inference-Header-Content-Length", "Traceparent", "Tracestate"),
    *("X-API-Key", "X-Request-Id"),
]
"""Headers that pages may send, beside those that all may."""
SEEN = [
    "Inference-Header-Content-Length",
    *("Retry-After", "Server-Timing", "Traceresponse", "X-Model", "X-Model-Version", "X-Noise-Level"),
    *("X-Request-Id", "X-Seed"),
]
"""Headers of answers that pages may read."""


class Cors(CORSMiddleware):
    """Around the guard, so that pages may read its refusals; what this refuses is for the guard to answer."""

    def __init__(self, app: ASGIApp, origins: list[str]) -> None:
        super().__init__(app, allow_origins=origins, allow_methods=METHODS, allow_headers=SENT, expose_headers=SEEN)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "OPTIONS":
            headers = Headers(scope=scope)
            asked = "origin" in headers and "access-control-request-method" in headers
            if asked and self.preflight_response(headers).status_code >= 400:
                scope.setdefault("state", {})["refusal"] = self._refusal(headers["origin"])
                await self.simple_response(scope, receive, send, request_headers=headers)
                return
        await super().__call__(scope, receive, send)

    def _refusal(self, origin: str) -> CrossOrigin:
        if not self.is_allowed_origin(origin):
            return CrossOrigin(f"Pages of {origin} may not call.", setting="HARMONIUM_CORS_ORIGINS")
        methods, headers = " and ".join(METHODS), ", ".join(SENT)
        return CrossOrigin(f"Pages of other sites may use {methods}, with the headers {headers}, and nothing else.")
