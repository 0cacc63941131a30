"""Which trace a request belongs to (W3C Trace Context), and a span of it for OpenTelemetry where that is wanted.

Spans need the extra `tracing` and OTEL_EXPORTER_OTLP_ENDPOINT. Without them a request keeps the trace of its caller,
for the log and for the answer's `traceresponse`, which then says that nothing is recorded.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Mapping
from typing import Protocol

log = logging.getLogger("service")

TRACEPARENT = re.compile(
    rb"(?!ff)(?!00-.{52}-)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)
"""Of a version to come only what version 00 has is read; 00 itself has no more."""
ENDPOINTS = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


class Span(Protocol):
    """A request's own part of a trace."""

    trace_id: str
    """32 hexadecimal digits; empty where there is no trace."""

    def response(self) -> str:
        """The value of `traceresponse`, or nothing."""
        ...

    def end(self, method: str, endpoint: str, path: str, status: int, spent: Mapping[str, float]) -> None:
        """It has been answered; `endpoint` is of few, `spent` are the seconds of its stages."""
        ...


class Tracing(Protocol):
    """Begins spans."""

    def begin(self, headers: Mapping[bytes, bytes], request_id: str) -> Span:
        """The span of a request with these headers, their names in small letters."""
        ...

    def close(self) -> None:
        """Send what is left."""
        ...


class _Kept:
    """The trace of the caller, in which nothing is recorded."""

    def __init__(self, headers: Mapping[bytes, bytes]) -> None:
        found = TRACEPARENT.fullmatch(headers.get(b"traceparent", b""))
        self.trace_id = found[1].decode() if found else ""

    def response(self) -> str:
        return f"00-{self.trace_id}-{secrets.token_hex(8)}-00" if self.trace_id else ""

    def end(self, method: str, endpoint: str, path: str, status: int, spent: Mapping[str, float]) -> None:
        return


class Keeping:
    """Without OpenTelemetry."""

    def begin(self, headers: Mapping[bytes, bytes], request_id: str) -> Span:
        return _Kept(headers)

    def close(self) -> None:
        return


def start() -> Tracing:
    """What the environment asks for; a warning if it cannot be had."""
    if not any(map(os.environ.get, ENDPOINTS)):
        return Keeping()
    try:
        from service.spans import Spans
    except ImportError as error:
        log.warning("%s is set, and there are no spans without the extra tracing: %s", ENDPOINTS[0], error)
        return Keeping()
    return Spans()
