"""The service as a reader of the README starts it."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.docs.pages import ROOT


@dataclass(frozen=True)
class Checkout:
    """A working tree of links in which `make serve` runs, and what a shell in it needs."""

    folder: Path
    environment: dict[str, str]
    address: str


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """The service as `make serve` starts it, on a free port and with an empty home."""
    if not (ROOT / ".venv").is_dir() or shutil.which("make") is None:
        pytest.skip("`make serve` needs make and would install: only tried where `make test` made .venv")
    folder = tmp_path_factory.mktemp("checkout")
    for name in (".venv", "Makefile", "docs", "models", "requirements", "service", "training"):
        (folder / name).symlink_to(ROOT / name)
    kept = {key: os.environ[key] for key in os.environ if not key.startswith(("HARMONIUM_", "PYTEST"))}
    environment = kept | {"HOME": str(tmp_path_factory.mktemp("home"))}
    server = subprocess.Popen(
        ["make", "serve"], cwd=folder, env=environment | {"HARMONIUM_PORT": "0"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    assert server.stdout is not None
    said: list[str] = []
    for line in server.stdout:
        said.append(line)
        if line.startswith("Models on "):
            break
    else:
        pytest.fail("`make serve` ended: " + "".join(said))
    (address,) = re.findall(r"^Harmonium: (http://\S+)/ and ", "".join(said), re.MULTILINE)
    # Training on small files gains nothing from threads, which spin for each other where cores are shared.
    yield Checkout(folder, environment | {"OMP_NUM_THREADS": "1"}, address)
    os.killpg(server.pid, 15)
    server.communicate(timeout=30)


@pytest.fixture(scope="session")
def shipped(checkout: Checkout) -> Iterator[httpx.Client]:
    """A client of the shipped models."""
    with httpx.Client(base_url=checkout.address, timeout=60) as client:
        yield client
