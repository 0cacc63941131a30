"""What the log says of a request, by a process of its own."""

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx

from tests.processes import running

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def lines(said: list[str]) -> list[dict[str, Any]]:
    """What was logged: all but the greeting."""
    return [json.loads(line) for line in said if line.startswith("{")]


def test_json_logs_are_objects_with_the_request_and_its_trace(zoo: Path, tmp_path: Path) -> None:
    with running(zoo, tmp_path, log_format="json", log_level="debug") as service:
        headers = {"x-request-id": "mine", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        httpx.get(f"http://127.0.0.1:{service.port}/v1/models/nowhere", headers=headers)
        service.until('"path": "/v1/models/nowhere"')
    told = lines(service.lines)
    assert all({"time", "level", "logger", "process", "message"} <= set(line) for line in told)
    (request,) = [line for line in told if line.get("path") == "/v1/models/nowhere"]
    assert {name: request[name] for name in ("request_id", "trace_id", "method", "status", "logger", "level")} == {
        "request_id": "mine",
        "trace_id": TRACE,
        "method": "GET",
        "status": 404,
        "logger": "service.requests",
        "level": "DEBUG",
    }
    assert request["milliseconds"] > 0
    assert all("request_id" not in line for line in told if line["message"].startswith("loaded "))


def test_every_line_of_several_processes_is_one_object(zoo: Path, tmp_path: Path) -> None:
    with running(zoo, tmp_path, log_format="json", workers="2") as service:
        pass
    told = [line for line in service.lines if not line.startswith(("Harmonium", "Models", " "))]
    assert len(lines(told)) == len(told) > 0
    assert len({line["process"] for line in lines(told)}) == 3


def test_lines_about_a_request_have_the_name_of_its_key(zoo: Path, tmp_path: Path) -> None:
    (keys := tmp_path / "keys").write_text(f"shop infer {hashlib.sha256(b'secret').hexdigest()}\n")
    with running(zoo, tmp_path, log_format="json", log_level="debug", keys=str(keys)) as service:
        for headers in ({"x-api-key": "secret"}, {"x-api-key": "wrong"}):
            httpx.get(f"http://127.0.0.1:{service.port}/v1/models", headers=headers)
        service.until('"path": "/v1/models"', times=2)
    told = lines(service.lines)
    assert "keys: shop" in [line["message"] for line in told]
    requests = [line for line in told if line.get("path") == "/v1/models"]
    assert [(line["status"], line.get("key")) for line in requests] == [(200, "shop"), (401, None)]
    assert "secret" not in service.said
