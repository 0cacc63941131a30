"""README and docs/: every command runs in the order of its page and prints what is shown there."""

import re
import shlex
import shutil
import subprocess

import pytest

from tests.docs.conftest import Checkout
from tests.docs.pages import PAGES, ROOT, steps
from training import recipe
from training.__main__ import arguments_parser

TRIED = [name for name in PAGES if name != "add-a-model.md"]  # its recipe has a test of its own
MAGIC = {".png": b"\x89PNG", ".webp": b"RIFF", ".gif": b"GIF8", ".zip": b"PK", ".npy": b"\x93NUMPY"}


@pytest.mark.parametrize("name", TRIED)
def test_commands_print_what_the_page_shows(name: str, checkout: Checkout) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    for step in steps(PAGES[name]):
        line = step.line.replace("127.0.0.1:8000", checkout.address.removeprefix("http://"))
        done = subprocess.run(
            ["bash", "-c", line], cwd=checkout.folder, env=checkout.environment, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{step.line}\n{done.stderr}"
        assert step.matches(done.stdout), f"{name} shows\n\n{step.line}{step.shown}\nbut it printed\n{done.stdout}"
        for written in re.findall(r" -o (\S+)", line):
            path = checkout.folder / written
            assert path.read_bytes().startswith(MAGIC[path.suffix]), f"{step.line} wrote no {path.suffix}"


def test_every_call_is_shown() -> None:
    lines = " ".join(step.line for step in steps(PAGES["README.md"]))
    for path in ("/v1/recommend", "/v1/denoise", "/v1/encode", "/v1/generate"):
        assert path in lines


@pytest.mark.parametrize("name", PAGES)
def test_training_commands_parse_and_name_recipes(name: str) -> None:
    page = PAGES[name].replace("\\\n", " ")
    for line in re.findall(r"^(?:\$ )?\.venv/bin/python -m training (.*)$", page, re.M):
        options = arguments_parser().parse_args(shlex.split(line))
        if name != "add-a-model.md" and options.recipe:
            assert options.recipe in recipe.names()
            recipe.find(options.recipe).settings.changed(getattr(options, "set", None) or [])


@pytest.mark.parametrize("name", PAGES)
def test_make_targets_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    named = re.findall(r"^make ([a-z]+)|`make ([a-z]+)", PAGES[name], re.M)
    assert {first or second for first, second in named} <= targets


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    folder = ROOT if name == "README.md" else ROOT / "docs"
    links = re.findall(r"\]\(([^)#\s]+)|(?:src|href)=\"([^\"#]+)", PAGES[name])
    for link in (first or second for first, second in links):
        assert "://" in link or (folder / link).exists(), link


@pytest.mark.parametrize("name", PAGES)
def test_notes_are_there_and_name_tests(name: str) -> None:
    notes = re.findall(r"^\[\^([\w-]+)\]: ", PAGES[name], re.M)
    assert sorted(notes) == sorted(set(re.findall(r"\[\^([\w-]+)\](?!:)", PAGES[name])))
    for path, test in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGES[name]):
        assert f"def {test}(" in (ROOT / path).read_text() if test else (ROOT / path).is_file()
