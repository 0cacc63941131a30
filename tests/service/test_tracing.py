"""W3C Trace Context, and spans that a receiver of OTLP gets from a real process."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from tests.processes import running

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-"),
        (f"cc-{TRACE}-{PARENT}-01-what-the-will-be-like", f"00-{TRACE}-"),
        (f"00-{TRACE}-{PARENT}-01-more", None),
        (f"ff-{TRACE}-{PARENT}-01", None),
        (f"00-{'0' * 32}-{PARENT}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{PARENT}-01", None),
        ("nonsense", None),
        (None, None),
    ],
)
def test_the_trace_of_the_caller_is_kept(client: httpx.Client, sent: str | None, kept: str | None) -> None:
    answer = client.get("/v1/models", headers={"traceparent": sent} if sent else {})
    found = answer.headers.get("traceresponse")
    if kept is None:
        assert found is None
    else:
        assert found.startswith(kept)
        assert found.endswith("-00")  # nothing is recorded
        assert PARENT not in found


class Receiver(HTTPServer):
    """Takes traces and keeps them."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.there = threading.Condition()
        super().__init__(("127.0.0.1", 0), Taking)


class Taking(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.server.there:
            self.server.bodies.append(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.server.there.notify_all()
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        yield receiver
        receiver.shutdown()
        thread.join()


def test_spans_are_sent_where_opentelemetry_is_told_to(zoo: Path, tmp_path: Path, receiver: Receiver) -> None:
    messages = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.server_port}", "OTEL_SERVICE_NAME": "shop"}
    with running(zoo, tmp_path, variables=told) as service:
        with httpx.Client(base_url=f"http://127.0.0.1:{service.port}") as client:
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "mine"}
            traced = client.post("/v1/generate", json={"seed": 1}, headers=headers)
            assert client.get("/v1/models/nowhere").headers["traceresponse"].startswith("00-")
        service.process.terminate()  # what was not sent yet is sent at the end
        assert service.process.wait(30) == 0
    spans = [
        (resource, span)
        for body in receiver.bodies
        for resource in messages.ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    by_name = {span.name: (resource, span) for resource, span in spans}
    resource, span = by_name["POST /v1/generate"]
    assert {pair.key: pair.value.string_value for pair in resource.resource.attributes}["service.name"] == "shop"
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert traced.headers["traceresponse"] == f"00-{TRACE}-{span.span_id.hex()}-01"
    attributes = {pair.key: pair.value for pair in span.attributes}
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["harmonium.request.id"].string_value == "mine"
    assert attributes["harmonium.run.duration"].double_value > 0
    _, other = by_name["GET /v1/models/{name}"]
    assert (other.parent_span_id, {pair.key: pair.value for pair in other.attributes}["url.path"].string_value) == (
        b"",
        "/v1/models/nowhere",
    )


def test_a_receiver_that_is_away_costs_no_request(zoo: Path, tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk")
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with running(zoo, tmp_path, variables=told) as service:
        assert httpx.post(f"http://127.0.0.1:{service.port}/v1/generate", json={}).status_code == 200
        service.process.terminate()
        assert service.process.wait(30) == 0


def test_opentelemetry_can_be_switched_off(zoo: Path, tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk")
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}
    with running(zoo, tmp_path, variables=told) as service:
        assert "traceresponse" not in httpx.get(f"http://127.0.0.1:{service.port}/livez").headers
