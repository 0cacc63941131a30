"""What a user relies on when there is too much to do, or somebody behaves badly. Real processes, real sockets."""

import contextlib
import io
import json
import select
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from models.store import Store
from service.runtime.crowd import BURST
from tests.processes import ROOT, Service, running
from tests.robustness.conftest import Figure, calls
from tests.robustness.hammer import hammering
from tests.service.conftest import encoded, parsed, png, raw, refused
from tests.versions import encode, generate, recommend

GET = b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n"


@pytest.fixture(scope="module")
def strict(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of little patience."""
    limits = {"head_seconds": "0.5", "body_seconds": "0.5", "idle_seconds": "1", "max_body_bytes": "1000000"}
    with running(zoo, tmp_path_factory.mktemp("home"), **limits) as service:
        yield service


def post(path: str, body: bytes, *headers: str, kind: str = "application/json") -> bytes:
    fields = ["host: a", f"content-type: {kind}", f"content-length: {len(body)}", *headers]
    return "\r\n".join([f"POST /v1/{path} HTTP/1.1", *fields, "", ""]).encode() + body


def to_the_end(connection: socket.socket) -> bytes:
    """What comes until the service closes; it must do so by itself."""
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            answer += part
    return answer


def dribble(connection: socket.socket, byte: bytes) -> None:
    """One byte at a time until there is an answer, or nobody listens."""
    end = time.monotonic() + 20
    with contextlib.suppress(ConnectionError):
        while not select.select([connection], [], [], 0.02)[0]:
            connection.sendall(byte)
            assert time.monotonic() < end


def flat(height: int, width: int) -> bytes:
    """A grey picture that is small to send and long to denoise."""
    data = io.BytesIO()
    Image.new("L", (width, height), 90).save(data, "PNG", compress_level=1)
    return data.getvalue()


LARGE = 1000, 1001
"""Sides of a picture that is done in turns with other large ones."""


def test_a_full_queue_refuses_and_what_it_admits_is_right(zoo: Path, tmp_path: Path, figure: Figure) -> None:
    limits = {"max_queue_rows": "1", "max_queue_ratings": "1", "max_queue_pixels": "1", "denoise_threads": "1"}
    with running(zoo, tmp_path, **limits) as service:
        asked = calls(service.port)
        wanted = {(call.path, what) for call in asked for what in ("right", "overloaded")}
        with hammering(service.port, asked, clients=16) as hammer:
            hammer.until(lambda outcomes: wanted <= {(outcome.call.path, outcome.what) for outcome in outcomes})
    assert set(hammer.summary()) == {"right", "overloaded"}
    figure("answers of 16 clients with queues for one", hammer.summary())


def test_more_calls_at_once_than_can_be_answered_are_refused_at_once(tmp_path: Path, figure: Figure) -> None:
    """Forty callers, of whom a few may wait: the others know it before the first of these has its answer."""
    shutil.copytree(ROOT / "models/zoo/digits-gan", tmp_path / "zoo" / "digits-gan")
    request = post("generate", b'{"seed": 1, "count": 100}', "accept: application/x-npy")
    settings = {"default_generate": "digits-gan", "queue_seconds": "0.001"}
    with running(tmp_path / "zoo", tmp_path, **settings) as service, contextlib.ExitStack() as callers:
        waiting = {callers.enter_context(raw(service.port, request)) for _ in range(40)}
        while len(waiting) > BURST:
            for connection in select.select(waiting, [], [], 20)[0]:
                refused(parsed(connection), 503, "overloaded", setting="HARMONIUM_QUEUE_SECONDS")
                waiting.remove(connection)
        answers = [parsed(connection) for connection in waiting]
        figure("of 40 calls at once let in", len(answers))
        assert [answer.status_code for answer in answers] == [200] * BURST
        assert len({answer.content for answer in answers}) == 1


def test_work_that_passes_the_deadline_stops(zoo: Path, tmp_path: Path, figure: Figure) -> None:
    """One thread, and a picture that keeps it for more than two deadlines: the next caller finds it free."""
    pixels = {"max_pixels": "80000000", "max_queue_pixels": "82000000", "megapixel_seconds": "0"}
    with (
        running(zoo, tmp_path, deadline_seconds="3", denoise_threads="1", **pixels) as service,
        httpx.Client(timeout=60) as client,
    ):
        url, headers = f"http://127.0.0.1:{service.port}/v1/denoise?strength=25", {"content-type": "image/png"}
        answer = client.post(url, content=flat(8000, 10_000), headers=headers)
        refused(answer, 504, "deadline", setting="HARMONIUM_DEADLINE_SECONDS")
        answer = client.post(url, content=flat(*LARGE), headers=headers)
        assert answer.status_code == 200, answer.text
        figure("ms that the next caller waited for the thread", answer.headers["server-timing"].partition(",")[0])


def test_callers_that_leave_free_their_thread_and_their_place(zoo: Path, tmp_path: Path, figure: Figure) -> None:
    """Two pictures, each of which would keep the one thread for longer than this test may take: one runs, one waits."""
    store = Store([folder := tmp_path / "zoo"])
    for manifest, files in (recommend(), encode(), generate()):
        store.publish(manifest, files)
    shutil.copytree(ROOT / "models/zoo/photo-dae", folder / "photo-dae")
    picture = flat(6000, 8000)
    limits = {"denoise_threads": "1", "max_pixels": "48000000", "max_queue_pixels": "96000000"}
    with running(folder, tmp_path, **limits) as service, httpx.Client(timeout=20) as client:

        def another() -> httpx.Response:
            url = f"http://127.0.0.1:{service.port}/v1/denoise?strength=25"
            return client.post(url, content=flat(*LARGE), headers={"content-type": "image/png"})

        request = post("denoise?strength=25", picture, kind="image/png")
        with contextlib.ExitStack() as callers:
            three = [callers.enter_context(raw(service.port, request)) for _ in range(3)]
            turned_away = select.select(three, [], [], 60)[0]  # the other two are in
            refused(parsed(turned_away[0]), 503, "overloaded", setting="HARMONIUM_MAX_QUEUE_PIXELS")
        left = time.monotonic()
        while (answer := another()).status_code == 503:
            assert time.monotonic() < left + 20
        assert answer.status_code == 200, answer.text
        figure("s until the next caller had its answer", round(time.monotonic() - left, 2))


def test_large_pictures_keep_no_small_one_waiting(tmp_path: Path) -> None:
    """One thread, and three pictures that take minutes: a small one is answered before any of them."""
    shutil.copytree(ROOT / "models/zoo/photo-dae", tmp_path / "zoo" / "photo-dae")
    request = post("denoise?strength=25", flat(4000, 5000), kind="image/png")
    with running(tmp_path / "zoo", tmp_path, denoise_threads="1") as service, contextlib.ExitStack() as callers:
        url = f"http://127.0.0.1:{service.port}"
        three = [callers.enter_context(raw(service.port, request)) for _ in range(3)]
        admitted = 'harmonium_queue_depth{queue="large pictures",unit="pixels"} 6e+07'
        end = time.monotonic() + 60
        while admitted not in httpx.get(f"{url}/metrics").text:
            assert time.monotonic() < end
        small = httpx.post(
            f"{url}/v1/denoise?strength=25", content=png(64, 64), headers={"content-type": "image/png"}, timeout=60
        )
        assert small.status_code == 200, small.text
        assert not select.select(three, [], [], 0)[0]


def test_a_body_that_dribbles_ends_with_408_and_others_are_served(strict: Service, figure: Figure) -> None:
    began = time.monotonic()
    with raw(strict.port, post("recommend", b" " * 1000)[:-1000]) as slow, httpx.Client() as other:
        answered: list[int] = []
        while not select.select([slow], [], [], 0.02)[0] and len(answered) < 1000:
            slow.sendall(b" ")
            answered.append(other.get(f"http://127.0.0.1:{strict.port}/livez").status_code)
        answer = parsed(slow)
        refused(answer, 408, "body-too-slow", setting="HARMONIUM_BODY_SECONDS")
        assert answer.headers["connection"] == "close"
        assert to_the_end(slow) == b""
        assert set(answered) == {200}
    figure("s until it was cut off, of 0.5 that it may take", round(time.monotonic() - began, 2))
    figure("calls answered meanwhile", len(answered))


def test_a_caller_that_does_not_take_its_answer_is_cut_off(zoo: Path, tmp_path: Path) -> None:
    """Or each of them would hold as many bytes as an answer has, for as long as it likes."""
    noise = np.random.default_rng(0).integers(0, 256, (3500, 3500), np.uint8)  # more than the system takes at once
    request = post("denoise?amount=0", encoded(Image.fromarray(noise), compress_level=0), kind="image/png")
    with running(zoo, tmp_path, stall_seconds="0.5") as service, socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect(("127.0.0.1", service.port))
        stalled.sendall(request)
        ended = select.poll()
        ended.register(stalled, select.POLLHUP)
        assert ended.poll(30_000)
        assert httpx.get(f"http://127.0.0.1:{service.port}/readyz").status_code == 200


@pytest.mark.parametrize("begun", [b"GET /", b"GET /livez HTTP/1.1\r\nx-slow: "], ids=["line", "header"])
def test_a_head_that_dribbles_ends_with_408(strict: Service, begun: bytes, figure: Figure) -> None:
    began = time.monotonic()
    with raw(strict.port, begun) as slow:
        dribble(slow, b"a")
        answer = to_the_end(slow)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close\r\n" in answer
        assert answer.count(b"HTTP/1.1") == 1
    figure("s until it was cut off, of 0.5 that it may take", round(time.monotonic() - began, 2))


def test_a_later_head_that_dribbles_ends_with_408_too(strict: Service) -> None:
    with raw(strict.port, GET + GET[:20]) as slow:
        assert parsed(slow).status_code == 200
        assert to_the_end(slow).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [b"", GET, b"\r\n"], ids=["nothing", "a-request", "blank-lines"])
def test_a_connection_without_a_request_is_closed(strict: Service, sent: bytes) -> None:
    with raw(strict.port, sent) as idle:
        if sent == GET:
            assert parsed(idle).status_code == 200
        if sent == b"\r\n":
            dribble(idle, sent)
        assert to_the_end(idle) == b""


def test_blank_lines_do_not_keep_a_used_connection(strict: Service) -> None:
    with raw(strict.port, GET) as idle:
        assert parsed(idle).status_code == 200
        dribble(idle, b"\r\n")
        assert to_the_end(idle) == b""


def test_an_early_refusal_reaches_a_caller_that_sends_everything_first(strict: Service) -> None:
    body = b" " * 20_000_000
    with raw(strict.port, post("recommend", body)) as eager:
        answer = parsed(eager)
        refused(answer, 413, "body-too-large", setting="HARMONIUM_MAX_BODY_BYTES")
        assert answer.headers["connection"] == "close"
        assert to_the_end(eager) == b""


def test_a_refused_body_that_dribbles_on_is_not_listened_to_for_ever(strict: Service) -> None:
    with raw(strict.port, post("recommend", b" " * 2_000_000)[:-2_000_000]) as slow:
        answer = parsed(slow)
        refused(answer, 413, "body-too-large", setting="HARMONIUM_MAX_BODY_BYTES")
        dribble(slow, b" ")
        assert to_the_end(slow) == b""


@pytest.mark.parametrize("more", [b"XYZ", b"\x00\xff\r\n\r\n", b"x" * 70_000], ids=["letters", "bytes", "much"])
def test_a_body_longer_than_it_says_is_answered_and_the_connection_closed(
    strict: Service, more: bytes, figure: Figure
) -> None:
    body = b'{"users": [{}]}'
    with raw(strict.port, post("recommend", body) + more) as connection:
        answer = to_the_end(connection)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    first, _, rest = answer.partition(b"\r\n\r\n")
    length = int(first.partition(b"content-length: ")[2].split(b"\r\n")[0])
    assert json.loads(rest[:length])["model"] == "movies-rbm"
    assert rest[length:] == b"" or rest[length:].startswith(b"HTTP/1.1 400 ")
    figure("answers to a request with bytes behind its body", [200, *([400] if rest[length:] else [])])


def test_pipelined_requests_are_answered_in_their_order(strict: Service) -> None:
    """The first takes longer than the others."""
    slow = post("denoise", png(256, 256, 3), "x-request-id: first", kind="image/png")
    fast = post("generate", b'{"seed": 7}', "x-request-id: second")
    last = GET.replace(b"\r\n\r\n", b"\r\nx-request-id: third\r\nconnection: close\r\n\r\n")
    with raw(strict.port, slow + fast + last) as connection:
        answers = to_the_end(connection)
    ids = [line.split(b": ")[1] for line in answers.split(b"\r\n") if line.startswith(b"x-request-id")]
    assert ids == [b"first", b"second", b"third"]
    assert answers.count(b"HTTP/1.1 200 OK") == 3


def test_expectations(strict: Service) -> None:
    body = b'{"users": [{}]}'
    whole = post("recommend", body, "expect: 100-continue")
    with raw(strict.port, whole[: -len(body)]) as polite:
        go_on = b"HTTP/1.1 100 Continue\r\n\r\n"
        assert polite.recv(len(go_on), socket.MSG_WAITALL) == go_on
        polite.sendall(body)
        assert parsed(polite).status_code == 200
    with raw(strict.port, post("recommend", b" " * 2_000_000, "expect: 100-continue")[:-2_000_000]) as polite:
        refused(parsed(polite), 413, "body-too-large", setting="HARMONIUM_MAX_BODY_BYTES")
    with raw(strict.port, post("recommend", body, "expect: the-unexpected")) as odd:
        assert parsed(odd).status_code == 200


def test_a_caller_that_closes_its_half_has_left(strict: Service, figure: Figure) -> None:
    """It cannot be told from one that is gone. It gets the whole answer or none, and nothing of it stays."""
    with raw(strict.port, post("denoise", png(256, 256, 3), kind="image/png")) as half:
        half.shutdown(socket.SHUT_WR)
        began = time.monotonic()
        found = to_the_end(half)
    figure(
        "bytes of its answer, and s until the connection was closed", (len(found), round(time.monotonic() - began, 3))
    )
    assert not found or (found.startswith(b"HTTP/1.1 200 ") and found.endswith(b"IEND\xaeB`\x82"))
    assert httpx.get(f"http://127.0.0.1:{strict.port}/readyz").status_code == 200
