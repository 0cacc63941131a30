"""A service to measure: a process of its own on a free port, and what the system tells of its memory (Linux)."""

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import models

ROOT = Path(models.__file__).parents[1]
OWN = {
    "HARMONIUM_HOST": "127.0.0.1",
    "HARMONIUM_PORT": "0",
    "HARMONIUM_WORKERS": "1",
    "HARMONIUM_LOG_LEVEL": "error",  # nobody reads on
    "HARMONIUM_DEADLINE_SECONDS": "3600",  # what is slow is measured, not refused
}
JSON = {"Content-Type": "application/json"}


class Served:
    """One process, asked over one connection, one call at a time."""

    def __init__(self, pid: int, connection: http.client.HTTPConnection) -> None:
        self._process = Path(f"/proc/{pid}")
        self._connection = connection
        self.port = connection.port

    def get(self, path: str) -> Any:
        """What a GET is answered with."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """What a POST of JSON is answered with."""
        return self._ask("POST", path, json.dumps(body).encode())

    def send(self, path: str, body: bytes) -> None:
        """POST ready JSON and take the answer in without reading what it says."""
        self._exchange("POST", path, body)

    def denoise(self, jpeg: bytes, accept: str, query: str = "") -> bytes:
        """The picture without its noise, as `accept` says."""
        return self._exchange("POST", f"/v1/denoise?{query}", jpeg, {"Content-Type": "image/jpeg", "Accept": accept})

    def generate(self, body: Mapping[str, Any], accept: str) -> bytes:
        """The pictures, as `accept` says."""
        return self._exchange("POST", "/v1/generate", json.dumps(body).encode(), {**JSON, "Accept": accept})

    def resident(self) -> float:
        """Memory that it takes now, in MB."""
        return self._memory("VmRSS")

    def peak(self) -> float:
        """The most memory that it took since `forget_peak`, in MB."""
        return self._memory("VmHWM")

    def forget_peak(self) -> None:
        """Let the peak be what is resident now."""
        (self._process / "clear_refs").write_text("5")

    def catalogue(self, model: str) -> list[str]:
        """The ids of a recommender's items."""
        ids: list[str] = []
        while True:
            page = self.get(f"/v1/models/{model}/items?limit=1000&offset={len(ids)}")
            ids += [item["item"] for item in page["items"]]
            if len(ids) >= page["total"]:
                return ids

    def recommender(self, model: str) -> dict[str, Any]:
        """What the manifest of a recommender tells of its task."""
        (task,) = [task for task in self.get(f"/v1/models/{model}")["tasks"] if task["task"] == "recommend"]
        return task

    def _ask(self, method: str, path: str, body: bytes | None) -> Any:
        return json.loads(self._exchange(method, path, body))

    def _exchange(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] = JSON) -> bytes:
        self._connection.request(method, path, body, headers if body else {})
        answer = self._connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {data.decode()}")
        return data

    def _memory(self, name: str) -> float:
        found = re.search(rf"^{name}:\s+(\d+) kB$", (self._process / "status").read_text(), re.M)
        assert found is not None
        return int(found[1]) * 1024 / 1e6


@contextmanager
def serving(**settings: object) -> Generator[Served]:
    """A service that has loaded its models, those of HARMONIUM_MODELS; `settings` are others, by field.

    Raises:
        RuntimeError: it ended before that; the message is what it said.
    """
    told = {f"HARMONIUM_{name.upper()}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "service"],
        env={**os.environ, **OWN, **told},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        said, port = "", 0
        for line in process.stdout:
            said += line
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/docs", line):
                port = int(found[1])
            if line.startswith("Models on "):
                break
        else:
            raise RuntimeError(said)
        with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
            yield Served(process.pid, connection)
    finally:
        process.terminate()
        process.communicate()
