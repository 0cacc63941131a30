"""Clients that generators make of the OpenAPI document compile, and make the four calls against a running service.

The one in TypeScript wants node 20 and `npm ci --prefix tests/docs/typescript`.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.docs.pages import ROOT
from tests.service.conftest import Served, png, served, zoo

__all__ = ["served", "zoo"]

DOCUMENT = ROOT / "docs" / "openapi.json"
TYPESCRIPT = Path(__file__).parent / "typescript"
MODULES = TYPESCRIPT / "node_modules"
PICTURE = base64.b64encode(png(28, 28, 3)).decode()
RIGHT = {"items": 3, "noise": 25.0, "numbers": 4, "pictures": 2, "refusal": "/problems/unknown-model", "models": 4}
PYTHON = """
import json, sys
from client import Client
from client.api.inference import denoise, encode, generate, recommend
from client.api.models import models
from client.models import DenoiseRequest, EncodeRequest, GenerateRequest, RecommendRequest, User

address, picture = sys.argv[1:]
client = Client(base_url=address, headers={"Accept": "application/json"}, raise_on_unexpected_status=True)
likes = [User(liked=["260"])]
found = recommend.sync(client=client, body=RecommendRequest(users=likes, count=3))
clean = denoise.sync(client=client, body=DenoiseRequest(images=[picture], strength=25.0))
latents = encode.sync(client=client, body=EncodeRequest(images=[picture]))
drawn = generate.sync(client=client, body=GenerateRequest(seed=7, count=2))
wrong = recommend.sync(client=client, body=RecommendRequest(users=likes, model="nowhere"))
print(json.dumps({
    "items": [item.item for item in found.users[0].items],
    "noise": clean.images[0].noise_level,
    "numbers": len(latents.encodings[0].mean),
    "pictures": len(drawn.images),
    "refusal": wrong.type_,
    "models": len(models.sync(client=client).to_dict()["models"]),
}))
"""


def ran(*command: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def told(printed: str) -> dict[str, Any]:
    """What a client found, with the number of its items."""
    found: dict[str, Any] = json.loads(printed)
    assert "260" not in found["items"]
    return found | {"items": len(found["items"])}


def test_in_python(served: tuple[Served, httpx.Client], tmp_path: Path) -> None:
    tools = Path(sys.executable).parent
    command = "generate", "--path", DOCUMENT, "--meta", "none", "--output-path", "client"
    ran(tools / "openapi-python-client", *command, cwd=tmp_path, PATH=f"{tools}{os.pathsep}{os.environ['PATH']}")
    ran(sys.executable, "-m", "compileall", "-q", "client", cwd=tmp_path)
    (tmp_path / "calls.py").write_text(PYTHON)
    printed = ran(sys.executable, "calls.py", f"http://127.0.0.1:{served[0].port}", PICTURE, cwd=tmp_path)
    assert told(printed) == RIGHT


@pytest.mark.skipif(shutil.which("node") is None or not MODULES.is_dir(), reason="no node, or no modules for it")
def test_in_typescript(served: tuple[Served, httpx.Client], tmp_path: Path) -> None:
    (tmp_path / "node_modules").symlink_to(MODULES)
    shutil.copy(TYPESCRIPT / "package.json", tmp_path)
    shutil.copy(TYPESCRIPT / "calls.ts", tmp_path)
    tools = MODULES / ".bin"
    ran(tools / "openapi-ts", "-i", DOCUMENT, "-o", "client", "-c", "@hey-api/client-fetch", cwd=tmp_path)
    options = (
        *("--strict", "--noUncheckedIndexedAccess", "--skipLibCheck", "--lib", "es2023,dom,dom.iterable"),
        *("--target", "es2022", "--module", "commonjs", "--moduleResolution", "node10"),
    )
    ran(tools / "tsc", *options, "--outDir", "built", "calls.ts", cwd=tmp_path)
    address = f"http://127.0.0.1:{served[0].port}"
    assert told(ran("node", "built/calls.js", address, PICTURE, cwd=tmp_path)) == RIGHT
