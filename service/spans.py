"""OpenTelemetry's spans; imported only where its SDK is installed and told where to send them."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

CARRIED = b"traceparent", b"tracestate"
CLOSE_SECONDS = 3


class _Recorded:
    """A span that is sent when it ends."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._context = span.get_span_context()
        self.trace_id = trace.format_trace_id(self._context.trace_id) if self._context.is_valid else ""

    def response(self) -> str:
        """The value of `traceresponse`."""
        if not self.trace_id:  # OTEL_SDK_DISABLED
            return ""
        flags = self._context.trace_flags
        return f"00-{self.trace_id}-{trace.format_span_id(self._context.span_id)}-{flags:02x}"

    def end(self, method: str, endpoint: str, path: str, status: int, spent: Mapping[str, float]) -> None:
        """It has been answered. Only what is the service's fault is an error of its span."""
        self._span.update_name(f"{method} {endpoint}")
        told = {"http.request.method": method, "url.path": path, "http.response.status_code": status}
        stages = {f"harmonium.{stage}.duration": seconds for stage, seconds in list(spent.items())}
        self._span.set_attributes({**told, **stages})
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class Spans:
    """Makes them and has them sent in the background; a receiver that is away costs spans and no request."""

    def __init__(self) -> None:
        resource = Resource.create({SERVICE_NAME: "harmonium"}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource)
        self._exporter = OTLPSpanExporter()
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("harmonium")
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, headers: Mapping[bytes, bytes], request_id: str) -> _Recorded:
        """A span in the caller's trace, or in one of its own."""
        carrier = {name.decode(): headers[name].decode("latin-1") for name in CARRIED if name in headers}
        about = {"harmonium.request.id": request_id}
        return _Recorded(self._tracer.start_span("request", self._propagator.extract(carrier), SpanKind.SERVER, about))

    def close(self) -> None:
        """Send what is left, for CLOSE_SECONDS at most: it would try again and again."""
        patience = threading.Timer(CLOSE_SECONDS, self._exporter.shutdown)
        patience.start()
        self._provider.shutdown()
        patience.cancel()
