"""The README's commands run and print what it shows; its tables are those of the code."""

import os
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.manifest import Manifest
from service.settings import Settings
from training import recipe
from training.__main__ import arguments_parser

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CONSOLE = [block.strip().partition("\n") for block in re.findall(r"```console\n(.*?)```", README, re.S)]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service as `make serve` starts it, on a free port and with an empty home."""
    if not (ROOT / ".venv").is_dir() or shutil.which("make") is None:
        pytest.skip("`make serve` needs make and would install: only tried where `make test` made .venv")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    kept = {key: os.environ[key] for key in os.environ if not key.startswith(("HARMONIUM_", "PYTEST"))}
    environment = kept | {"HARMONIUM_PORT": str(port), "HOME": str(tmp_path_factory.mktemp("home"))}
    server = subprocess.Popen(
        ["make", "serve"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert server.stdout is not None
    said: list[str] = []
    for line in server.stdout:
        said.append(line)
        if "/docs" in line:
            break
    else:
        pytest.fail("`make serve` ended: " + "".join(said))
    yield f"http://127.0.0.1:{port}"
    os.killpg(server.pid, 15)
    server.communicate(timeout=30)


def test_the_readme_shows_all_four_calls_and_a_refusal() -> None:
    shown = " ".join(command for command, _, _ in CONSOLE)
    for path in ("/v1/recommend", "/v1/denoise", "/v1/encode", "/v1/generate"):
        assert path in shown
    assert all(output for _, _, output in CONSOLE), "a command without its output"


@pytest.mark.parametrize("place", range(len(CONSOLE)))
def test_console_line_prints_what_the_readme_shows(place: int, address: str, tmp_path: Path) -> None:
    command, _, shown = CONSOLE[place]
    assert command.startswith("$ curl ")
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    line = command[2:].replace("http://127.0.0.1:8000", address).replace("@docs/", f"@{ROOT}/docs/")
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    # What is shown is broken into lines for the eye; `...` stands for what differs or goes on.
    pattern = ".*?".join(re.escape(re.sub(r"\n\s*", "", part)) for part in shown.strip().split("..."))
    assert re.fullmatch(pattern, done.stdout.strip(), re.S), f"the README shows\n{shown}\nbut it printed\n{done.stdout}"
    for name in re.findall(r"-o (\S+)", line):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_training_commands_parse_and_name_recipes() -> None:
    lines = re.findall(r"^\.venv/bin/python -m training (.*)$", README, re.M)
    assert len(lines) >= 3
    for line in lines:
        options = arguments_parser().parse_args(shlex.split(line))
        assert options.recipe in recipe.names()
        recipe.find(options.recipe).settings.changed(getattr(options, "set", None) or [])


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"^make ([a-z]+)$", README, re.M)) | set(re.findall(r"`make ([a-z]+)`", README))
    assert {"serve", "test"} <= named <= targets


def test_settings_table_is_the_code() -> None:
    rows = dict(re.findall(r"^\| `HARMONIUM_([A-Z_]+)` \| `(.*?)` \|", README, re.M))
    fields = {name.upper(): field for name, field in Settings.model_fields.items()}
    assert set(rows) == set(fields)
    for name, shown in rows.items():
        default = fields[name].get_default(call_default_factory=True)
        assert shown == str(default), name


def test_model_table_has_the_figures_of_the_manifests() -> None:
    shipped = sorted((ROOT / "models" / "zoo").glob("*/*/manifest.json"))
    assert {path.parent.parent.name for path in shipped} == set(recipe.names())
    for path in shipped:
        manifest = Manifest.from_bytes(path.read_bytes())
        row = re.search(rf"^\| `{manifest.name}` .*$", README, re.M)
        assert row is not None, manifest.name
        figures = {f"{metric.value:.4g}" for metric in manifest.metrics}
        assert figures & set(re.findall(r"-?\d+(?:\.\d+)?", row[0])), (
            f"{manifest.name}: none of {figures} is in the row"
        )


def test_zoo_keeps_to_its_budget() -> None:
    limits = {"movies-rbm": 16, "photo-dae": 10, "digits-vae": 3, "digits-gan": 3}
    for folder in filter(Path.is_dir, (ROOT / "models" / "zoo").iterdir()):
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        assert size <= limits[folder.name] * 1_000_000, f"{folder.name} has {size} bytes"
