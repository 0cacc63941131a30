"""GET /metrics of one process: what is counted, exactly, and that callers cannot make it grow."""

import asyncio
import hashlib
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from prometheus_client import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from models.store import Store
from service import limits
from service.app import create_app
from service.media import arrays
from service.problems import KINDS
from service.runtime.clock import Clock
from service.settings import Settings
from service.state import State
from tests.exposition import Scrape, scrape
from tests.processes import running
from tests.service.conftest import Served, parsed, png, raw, refused, serving
from tests.versions import generate

PNG = {"content-type": "image/png"}
STAGES = ("decode", "queue", "run", "encode")


@pytest.fixture
def fresh(zoo: Path) -> Iterator[tuple[Served, httpx.Client]]:
    with serving(zoo) as both:
        yield both


def until(url: httpx.URL, true: Callable[[Scrape], bool]) -> Scrape:
    """A request is counted just after its answer was sent, and gauges of models follow the folders: ask again."""
    end = time.monotonic() + 20
    while not true(found := scrape(url)):
        assert time.monotonic() < end, found.series
    return found


def counted(url: httpx.URL, endpoint: str, status: int, times: int) -> Scrape:
    labels = {"endpoint": endpoint, "status": str(status)}
    return until(url, lambda found: found.value("harmonium_requests_total", **labels) == times)


def test_requests_are_counted_by_template_and_status(fresh: tuple[Served, httpx.Client]) -> None:
    client = fresh[1]
    client.get("/v1/models/digits-gan")
    client.get("/v1/models/movies-rbm")
    client.get("/v1/models/nothing")
    client.get("/v1/models/movies-rbm/items/260/similar")
    client.get("/v1/denoise")
    client.head("/livez")
    client.get("/nothing")
    client.get("/docs/static/nothing.js")
    found = counted(client.base_url, "/docs/static/{path}", 404, 1)
    assert {
        (labels["endpoint"], labels["status"]): found.value("harmonium_requests_total", **labels)
        for labels in found.labels("harmonium_requests_total")
        if labels["endpoint"] != "/metrics"
    } == {
        ("/v1/models/{name}", "200"): 2,
        ("/v1/models/{name}", "404"): 1,
        ("/v1/models/{name}/items/{id}/similar", "200"): 1,
        ("/v1/denoise", "405"): 1,
        ("/livez", "200"): 1,
        ("unknown", "404"): 1,
        ("/docs/static/{path}", "404"): 1,
    }
    assert found.value("harmonium_refusals_total", problem="unknown-path") == 2
    assert found.value("harmonium_refusals_total", problem="unknown-model") == 1
    assert found.value("harmonium_refusals_total", problem="method") == 1
    assert found.value("harmonium_request_seconds_count", endpoint="/v1/models/{name}") == 3
    assert 0 < found.value("harmonium_request_seconds_sum", endpoint="/v1/models/{name}") < 30


def test_stages_are_those_of_server_timing(fresh: tuple[Served, httpx.Client]) -> None:
    client = fresh[1]
    told = dict.fromkeys(STAGES, 0.0)
    for seed in range(3):
        answer = client.post("/v1/encode", content=png(28, 28, seed=seed), headers=PNG)
        for part in answer.headers["server-timing"].split(", "):
            stage, _, milliseconds = part.partition(";dur=")
            told[stage] += float(milliseconds) / 1000
    found = counted(client.base_url, "/v1/encode", 200, 3)
    for stage in STAGES:
        labels = {"endpoint": "/v1/encode", "stage": stage}
        assert found.value("harmonium_stage_seconds_count", **labels) == 3
        assert found.value("harmonium_stage_seconds_sum", **labels) == pytest.approx(told[stage], abs=3 * 0.5e-5)
    whole = found.value("harmonium_request_seconds_sum", endpoint="/v1/encode")
    assert whole >= sum(told.values()) - 3 * len(STAGES) * 0.5e-5


def test_rows_that_ran_together_are_counted(fresh: tuple[Served, httpx.Client]) -> None:
    client = fresh[1]
    stack = arrays.write(np.zeros((5, 28, 28, 1), np.uint8))
    assert client.post("/v1/encode", content=stack, headers={"content-type": "application/x-npy"}).status_code == 200
    assert client.post("/v1/recommend", json={"users": [{}, {"liked": ["260"]}, {"liked": ["2"]}]}).status_code == 200
    assert client.post("/v1/generate", json={"count": 2}).status_code == 200
    found = scrape(client.base_url)
    rows = {
        (labels["model"], labels["graph"]): (
            found.value("harmonium_batch_rows_count", **labels),
            found.value("harmonium_batch_rows_sum", **labels),
        )
        for labels in found.labels("harmonium_batch_rows_count")
    }
    assert rows["digits-vae", "encode"] == (1, 5)
    assert rows["digits-gan", "decode"] == (2, 2)  # one at a time
    assert rows["movies-rbm", "score"][1] == 3


def test_the_buckets_reach_from_a_millisecond_to_the_deadline(fresh: tuple[Served, httpx.Client]) -> None:
    client = fresh[1]
    client.post("/v1/encode", content=png(28, 28), headers=PNG)
    found = counted(client.base_url, "/v1/encode", 200, 1)
    for name in ("harmonium_request_seconds_bucket", "harmonium_stage_seconds_bucket"):
        bounds = {float(labels["le"]) for labels in found.labels(name)}
        assert {0.001, 0.01, 0.1, 1.0, 10.0, 30.0, 300.0, float("inf")} <= bounds
        assert max(bounds - {float("inf")}) >= Settings().deadline_seconds


def test_every_refusal_counts(zoo: Path, tmp_path: Path) -> None:
    limits = {"max_body_bytes": 5000, "max_pixels": 1000, "body_seconds": 1, "deadline_seconds": 20}
    (keys := tmp_path / "keys").write_text(f"app infer {hashlib.sha256(b'right').hexdigest()}")
    with serving(zoo, keys=str(keys), cors_origins="https://shop.example", **limits) as (server, client):
        caused: dict[str, httpx.Response] = {}
        caused["key-missing"] = client.get("/v1/models")
        caused["key-wrong"] = client.get("/v1/models", headers={"x-api-key": "wrong"})
        asked = {"origin": "https://other.example", "access-control-request-method": "POST"}
        caused["cross-origin"] = client.options("/v1/generate", headers=asked)
        client.headers["x-api-key"] = "right"
        caused["scope-missing"] = client.post("/v2/repository/index")
        post, get, kind = client.post, client.get, {"content-type": "application/json"}

        async def broken(request: Request) -> Response:
            raise RuntimeError

        server.app.add_api_route("/broken", broken)
        caused["malformed-body"] = post("/v1/generate", content=b"{", headers=kind)
        caused["unknown-path"] = get("/nothing")
        caused["unknown-model"] = get("/v1/models/nothing")
        caused["unknown-version"] = get("/v1/models/digits-gan/versions/9")
        caused["unknown-item"] = get("/v1/models/movies-rbm/items/nothing/similar")
        caused["method"] = get("/v1/generate")
        caused["not-acceptable"] = get("/v1/models", headers={"accept": "image/png"})
        caused["wrong-task"] = post("/v1/generate", json={"model": "movies-rbm"})
        caused["body-too-large"] = post("/v1/generate", content=b" " * 5001, headers=kind)
        caused["picture-too-large"] = post("/v1/denoise", content=png(32, 32), headers=PNG)
        caused["unsupported-type"] = post("/v1/generate", content=b"{}", headers={"content-type": "text/csv"})
        caused["invalid-fields"] = post("/v1/generate", json={"count": 0})
        caused["unreadable-picture"] = post("/v1/denoise", content=b"\x89PNG", headers=PNG)
        caused["unreadable-array"] = post("/v1/denoise", content=b"x", headers={"content-type": "application/x-npy"})
        caused["internal"] = get("/broken")
        with raw(
            server.port, b"POST /v1/generate HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\nx-api-key: right\r\n\r\n{"
        ) as slow:
            caused["body-too-slow"] = parsed(slow)
        with server.state.pool.held(server.state.settings.max_queue_pixels):
            caused["overloaded"] = post("/v1/denoise", content=png(8, 8), headers=PNG)
        server.state.library.scanned.clear()
        shelf, server.state.library.shelf = server.state.library.shelf, type(server.state.library.shelf)()
        caused["not-ready"] = post("/v1/generate", json={})
        server.state.library.shelf = shelf
        server.state.draining = True
        caused["draining"] = post("/v1/generate", json={})
        for name, answer in caused.items():
            assert answer.json()["type"] == f"/problems/{name}"
        found = until(client.base_url, lambda found: found.value("harmonium_refusals_total", problem="draining") == 1)
    with serving(zoo, deadline_seconds=1e-6) as (_, client):
        caused["deadline"] = client.post("/v1/generate", json={})
        refused(caused["deadline"], 504, "deadline", setting="HARMONIUM_DEADLINE_SECONDS")
    assert set(caused) == set(KINDS)
    refusals = {
        labels["problem"]: found.value("harmonium_refusals_total", **labels)
        for labels in found.labels("harmonium_refusals_total")
    }
    assert refusals == dict.fromkeys(KINDS, 1.0) | {"deadline": 0.0}
    for endpoint, status in (("/v1/generate", "413"), ("/v1/generate", "408"), ("/v1/denoise", "503")):
        assert found.value("harmonium_requests_total", endpoint=endpoint, status=status) == 1
    assert found.value("harmonium_requests_total", endpoint="unknown", status="500") == 1  # no route of the service's


def test_an_answer_that_comes_too_late_counts(zoo: Path) -> None:
    state = State(Settings(models=str(zoo), deadline_seconds=1e-6))

    async def asked() -> Scrape:
        state.library.shelf = state.library.scan()
        state.library.scanned.set()
        transport = httpx.ASGITransport(create_app(state))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            refused(await client.post("/v1/generate", json={}), 504, "deadline", setting="HARMONIUM_DEADLINE_SECONDS")
        return Scrape(generate_latest(state.metrics).decode())

    found = asyncio.run(asked())
    state.pool.close()
    assert found.value("harmonium_refusals_total", problem="deadline") == 1
    assert found.value("harmonium_requests_total", endpoint="/v1/generate", status="504") == 1
    assert found.value("harmonium_request_seconds_count", endpoint="/v1/generate") == 1


def test_a_caller_that_left_is_counted_as_499(fresh: tuple[Served, httpx.Client]) -> None:
    server, client = fresh
    with raw(server.port, b"POST /v1/denoise HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{") as leaving:
        while scrape(client.base_url).value("harmonium_in_flight_requests") < 2:  # this one, and the scrape itself
            pass
        leaving.shutdown(socket.SHUT_RDWR)
    found = counted(client.base_url, "/v1/denoise", 499, 1)
    assert found.value("harmonium_in_flight_requests") == 1
    assert sum(found.value("harmonium_refusals_total", problem=name) for name in KINDS) == 0


def test_an_answer_that_breaks_off_is_counted_as_what_broke_it(fresh: tuple[Served, httpx.Client]) -> None:
    server, client = fresh

    async def broken(request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"begun"
            raise RuntimeError

        return StreamingResponse(chunks())

    server.app.add_api_route("/broken", broken)
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/broken")
    found = counted(client.base_url, "unknown", 500, 1)
    assert found.value("harmonium_refusals_total", problem="internal") == 1


def test_queues_tell_what_waits_and_their_limits(zoo: Path) -> None:
    limits = {"max_queue_rows": 11, "max_queue_ratings": 12, "max_queue_pixels": 13_000, "max_buffered_bytes": 14_000}
    with serving(zoo, **limits) as (server, client):
        head = b"POST /v1/recommend HTTP/1.1\r\nhost: a\r\ncontent-length: 1500\r\n\r\n" + b" " * 1000
        with raw(server.port, head), server.state.pool.held(500):
            labels = {"queue": "bodies", "unit": "bytes"}
            found = until(client.base_url, lambda found: found.value("harmonium_queue_depth", **labels) == 1000)
        told = {
            (labels["queue"], labels["unit"]): (
                found.value("harmonium_queue_depth", **labels),
                found.value("harmonium_queue_limit", **labels),
            )
            for labels in found.labels("harmonium_queue_limit")
        }
        assert told == {
            ("movies-rbm.score", "ratings"): (0, 12),
            ("digits-vae.encode", "rows"): (0, 11),
            ("digits-gan.decode", "rows"): (0, 11),
            ("pictures", "pixels"): (500, 13_000),
            ("large pictures", "pixels"): (0, 13_000),
            ("bodies", "bytes"): (1000, 14_000),
        }
        after = until(client.base_url, lambda found: found.value("harmonium_queue_depth", **labels) == 0)
        assert after.value("harmonium_queue_depth", queue="pictures", unit="pixels") == 0


async def test_rows_that_wait_for_a_graph_are_its_depth(zoo: Path) -> None:
    state = State(Settings(models=str(zoo)))
    state.library.shelf = state.library.scan()
    model = state.library.resolve("digits-gan", None)
    row = {"latent": np.zeros(4, np.float32), "label": np.int64(3)}
    waiting = asyncio.ensure_future(model.infer("decode", [row] * 3, Clock(60)))
    await asyncio.sleep(0)  # they are queued now, and run from the next turn on, one a turn
    state.measure()
    found = Scrape(generate_latest(state.metrics).decode())
    await waiting
    assert found.value("harmonium_queue_depth", queue="digits-gan.decode", unit="rows") == 3
    state.pool.close()


def test_models_are_told_with_their_state_and_go_with_their_folders(tmp_path: Path) -> None:
    store = Store([tmp_path])
    store.publish(*generate())
    (tmp_path / "digits-gan" / "2").mkdir()

    def states(found: Scrape) -> set[tuple[str, str, str]]:
        for labels in found.labels("harmonium_model_info"):
            assert labels["model"] == "digits-gan"
            assert found.value("harmonium_model_info", **labels) == 1
        return {
            (labels["version"], labels["state"], labels["device"]) for labels in found.labels("harmonium_model_info")
        }

    with serving(tmp_path) as (_, client):
        until(client.base_url, lambda found: states(found) == {("1", "live", "cpu"), ("2", "refused", "")})
        store.publish(*generate())
        now = {("1", "loaded", "cpu"), ("2", "refused", ""), ("3", "live", "cpu")}
        found = until(client.base_url, lambda found: states(found) == now)
        assert list(found.labels("harmonium_device_info")) == [{"asked": "cpu", "device": "cpu"}]
        assert found.value("harmonium_ready") == 1
        shutil.rmtree(tmp_path / "digits-gan")
        found = until(client.base_url, lambda found: states(found) == set())
        assert {labels["queue"] for labels in found.labels("harmonium_queue_limit")} == {
            "pictures",
            "large pictures",
            "bodies",
        }


METHODS = (b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"MKCOL", b"PROPFIND", b"LOCK", b"SEARCH", b"PURGE")


def strange(number: int) -> list[bytes]:
    """Five requests with what nobody has asked for before."""
    fresh = f"{number:012x}".encode()
    named = b'{"model": "%s"}' % fresh
    length = b"content-type: application/json\r\ncontent-length: %d" % len(named)
    return [
        b"GET /%s HTTP/1.1\r\nhost: a\r\nx-request-id: %s\r\n\r\n" % (fresh, fresh),
        b"GET /v1/models/%s/items/%s/similar HTTP/1.1\r\nhost: a\r\n\r\n" % (fresh, fresh),
        b"GET /v1/models/movies-rbm/versions/%s HTTP/1.1\r\nhost: a\r\n\r\n" % fresh,
        b"POST /v1/generate HTTP/1.1\r\nhost: a\r\n%s\r\n\r\n%s" % (length, named),
        b"%s /v1/generate HTTP/1.1\r\nhost: a\r\n\r\n" % METHODS[number % len(METHODS)],
    ]


def test_callers_cannot_make_series(fresh: tuple[Served, httpx.Client]) -> None:
    """10,000 requests, each with a path, a name or a method of its own."""
    server, client = fresh

    def ask(start: int, stop: int) -> None:
        requests = b"".join(request for number in range(start, stop) for request in strange(number))
        last = b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
        with raw(server.port, b"") as connection, ThreadPoolExecutor(1) as sender:
            sender.submit(connection.sendall, requests + last)
            answers = b"".join(iter(lambda: connection.recv(1 << 20), b""))
        assert answers.count(b"HTTP/1.1 40") == 5 * (stop - start)

    ask(0, 1)
    counted(client.base_url, "unknown", 404, 1)  # so that the scrape's own series are there
    before = counted(client.base_url, "unknown", 404, 1)
    ask(1, 2000)
    after = counted(client.base_url, "unknown", 404, 2000)
    assert set(after.series) == set(before.series)


def test_it_is_answered_while_not_ready_and_while_draining(zoo: Path) -> None:
    with serving(zoo) as (server, client):
        server.state.draining = True
        found = scrape(client.base_url)
        assert (found.value("harmonium_ready"), found.value("harmonium_in_flight_requests")) == (0, 1)
        assert client.get("/readyz").status_code == 503

    async def unready() -> httpx.Response:
        app = create_app(State(Settings(models=str(zoo))))  # its lifespan never begins, so nothing is scanned
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            return await client.get("/metrics")

    answer = asyncio.run(unready())
    assert answer.status_code == 200
    assert list(Scrape(answer.text).labels("harmonium_model_info")) == []


def test_the_format_is_chosen_by_accept(client: httpx.Client) -> None:
    prometheus = (
        "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    )
    answer = client.get("/metrics", headers={"accept": prometheus})
    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert answer.text.endswith("# EOF\n")
    names = {family.name for family in openmetrics(answer.text)}
    plain = client.get("/metrics", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert set(Scrape(plain.text).families) == names
    refused(client.get("/metrics", headers={"accept": "application/json"}), 406, "not-acceptable")
    for hostile in ("application/openmetrics-text;version=x", "text/plain;version=" + "9" * 5000):
        assert client.get("/metrics", headers={"accept": hostile}).status_code == 200
    refused(client.get("/metrics?name[]=x"), 422, "invalid-fields", "/name[]")
    assert client.head("/metrics").status_code == 200
    refused(client.post("/metrics"), 405, "method")


def test_prometheus_own_linter_finds_nothing(fresh: tuple[Served, httpx.Client]) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    client = fresh[1]
    client.post("/v1/encode", content=png(28, 28), headers=PNG)
    client.get("/nothing")
    text = client.get("/metrics").content
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_figures_of_the_process_are_the_systems(zoo: Path, tmp_path: Path) -> None:
    with running(zoo, tmp_path) as service:
        found = scrape(f"http://127.0.0.1:{service.port}")
        pid = service.process.pid
        status = Path(f"/proc/{pid}/status").read_text()
        resident = int(status.partition("VmRSS:")[2].split()[0]) * 1024
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    assert found.value("process_resident_memory_bytes") == pytest.approx(resident, rel=0.2)
    assert abs(found.value("process_open_fds") - files) <= 5
    assert found.value("harmonium_memory_limit_bytes") == (limits.memory() or 0)
    assert 0 < found.value("process_cpu_seconds_total") < 60
    assert abs(found.value("process_start_time_seconds") - time.time()) < 120


def test_one_process_writes_nothing(zoo: Path, tmp_path: Path) -> None:
    """Also where the variable is set that would have prometheus_client write files."""
    folders = {name: tmp_path / name for name in ("home", "TMPDIR", "PROMETHEUS_MULTIPROC_DIR")}
    for folder in folders.values():
        folder.mkdir()
    variables = {name: str(folder) for name, folder in folders.items() if name != "home"}
    with running(zoo, folders["home"], variables) as service:
        url = f"http://127.0.0.1:{service.port}"
        assert httpx.post(f"{url}/v1/generate", json={}).status_code == 200
        found = scrape(url)
        assert found.value("harmonium_requests_total", endpoint="/v1/generate", status="200") == 1
        assert [path for folder in folders.values() for path in folder.rglob("*")] == []
