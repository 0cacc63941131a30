"""Calls of one endpoint that wait for threads, in a real service."""

import asyncio
import contextlib
import select
import threading
from pathlib import Path

from PIL import Image

from service.runtime.clock import Clock
from tests.service.conftest import encoded, parsed, raw, refused, serving

THREADS = 12
"""More than a burst has calls."""


def test_calls_in_threads_are_let_in_until_every_thread_has_one(zoo: Path) -> None:
    picture = encoded(Image.new("L", (400, 400), 90))
    head = f"POST /v1/encode HTTP/1.1\r\nhost: a\r\ncontent-type: image/png\r\ncontent-length: {len(picture)}\r\n\r\n"
    go_on = threading.Event()
    with serving(zoo, queue_seconds=1e-6, denoise_threads=THREADS) as (server, _), contextlib.ExitStack() as callers:
        callers.callback(go_on.set)
        pool = server.state.pool
        for _ in range(THREADS):
            asyncio.run_coroutine_threadsafe(pool.run(lambda: go_on.wait(30), 0, Clock(60)), server.loop)
        waiting = {callers.enter_context(raw(server.port, head.encode() + picture)) for _ in range(THREADS + 5)}
        while len(waiting) > THREADS:
            for connection in select.select(waiting, [], [], 20)[0]:
                refused(parsed(connection), 503, "overloaded", setting="HARMONIUM_QUEUE_SECONDS")
                waiting.remove(connection)
        go_on.set()
        assert [parsed(connection).status_code for connection in waiting] == [200] * THREADS
