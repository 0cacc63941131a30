"""Models come, go and change while many call: who called first is answered by what was there first."""

import hashlib
import shutil
import time
from pathlib import Path

import httpx
import pytest

from models.store import Store
from tests.processes import running
from tests.robustness.conftest import Figure, calls
from tests.robustness.hammer import hammering
from tests.versions import generate

OPERATOR = {"Authorization": "Bearer secret"}


@pytest.fixture
def folder(zoo: Path, tmp_path: Path) -> Path:
    """A copy of the models, to change."""
    return Path(shutil.copytree(zoo, tmp_path / "models"))


def longest(outcomes: list[float]) -> float:
    return round(max(outcomes), 3)


@pytest.mark.parametrize("workers", [1, 2])
def test_no_call_fails_while_versions_are_published(folder: Path, tmp_path: Path, workers: int, figure: Figure) -> None:
    with running(folder, tmp_path, workers=str(workers), scan_seconds="0.2") as service:
        with hammering(service.port, calls(service.port), clients=6) as hammer:
            hammer.more(100)
            before = len(hammer.outcomes)
            for number in (2, 3, 4):
                manifest, files = generate()
                Store([folder]).publish(manifest, files)
                service.until(f"loaded digits-gan version {number} on", times=workers)
                hammer.more(30)
            after = len(hammer.outcomes)
            hammer.more(100)
        with httpx.Client(base_url=f"http://127.0.0.1:{service.port}") as client:
            assert client.post("/v1/generate", json={}).headers["x-model-version"] == "4"
            pinned = client.post("/v1/generate", json={"version": 2})
            assert pinned.headers["x-model-version"] == "2"
    assert set(hammer.summary()) == {"right"}
    took = [outcome.ended - outcome.began for outcome in hammer.outcomes]
    figure("calls, none of them failed", len(took))
    figure("s of the longest before, while three versions came, after", [
        longest(took[:before]), longest(took[before:after]), longest(took[after:])
    ])  # fmt: skip


def test_all_processes_learn_that_a_model_was_unloaded(folder: Path, tmp_path: Path) -> None:
    (keys := tmp_path / "keys").write_text(f"ops infer,admin {hashlib.sha256(b'secret').hexdigest()}")
    with running(folder, tmp_path, workers="2", scan_seconds="0.1", keys=str(keys)) as service:
        address = f"http://127.0.0.1:{service.port}"

        def answered(status: int) -> None:
            """Wait until forty new connections in a row, which two processes share, get this answer."""
            alike, until = 0, time.monotonic() + 30
            while alike < 40:
                assert time.monotonic() < until
                found = httpx.post(f"{address}/v1/generate", json={}, headers=OPERATOR).status_code
                assert found in (200, 404)
                alike = alike + 1 if found == status else 0

        for name in (".x", "..%2Fmodels", "a" * 300, "digits-gan%00"):  # no model has it, and no file gets it
            for act in ("load", "unload"):
                asked = httpx.post(f"{address}/v2/repository/models/{name}/{act}", headers=OPERATOR)
                assert asked.status_code == 404, asked.text
        for act, status in (("unload", 404), ("load", 200)):
            done = httpx.post(f"{address}/v2/repository/models/digits-gan/{act}", headers=OPERATOR)
            assert done.status_code == 200
            answered(status)
