"""What the images are built from, without an engine: locks, what goes in, what is left out."""

import json
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from service import probe
from service.app import VERSION
from service.settings import Settings, variable
from tests.processes import ROOT, environment

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()
LOCKS = {"serve": ["cpu"], "gpu": ["gpu"], "train": ["training"], "dev": ["training", "dev"]}
"""The extras of each lock."""
PIN = re.compile(r"^([a-z0-9.-]+)(?:\[[a-z,]+\])?==([^ ;]+)(.*?) *\\?$", re.MULTILINE)
TORCH = ("torch", "2.13.0")


def locked(name: str) -> dict[str, set[tuple[str, str]]]:
    """By package, its versions, each with the Pythons and platforms that it is for."""
    found: dict[str, set[tuple[str, str]]] = {}
    for package, version, marker in PIN.findall((ROOT / "requirements" / f"{name}.txt").read_text()):
        found.setdefault(package, set()).add((version, marker))
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_the_project_asks_for(name: str) -> None:
    asked = [
        *PROJECT["dependencies"],
        *(each for extra in LOCKS[name] for each in PROJECT["optional-dependencies"][extra]),
    ]
    pins = {(package, version) for line in asked for package, version, _ in PIN.findall(line)}
    assert len(pins) == len(set(asked))
    versions = {(package, version) for package, found in locked(name).items() for version, _ in found}
    assert pins - versions == ({TORCH} if "training" in LOCKS[name] else set())


def test_what_two_locks_share_is_the_same_in_both() -> None:
    locks = [locked(name) for name in LOCKS]
    packages = {package for lock in locks for package in lock}
    assert len(packages) > 50
    for package in packages:
        assert len({frozenset(lock[package]) for lock in locks if package in lock}) == 1, package


def test_one_version_of_onnxruntime_serves_trains_and_runs_on_gpus() -> None:
    assert locked("gpu")["onnxruntime-gpu"] == locked("serve")["onnxruntime"] == locked("train")["onnxruntime"]


def test_one_version_of_torch_and_of_the_project() -> None:
    for file in ("docker/Dockerfile", "Makefile", "pyproject.toml"):
        assert set(re.findall(r"torch==([\d.]+)", (ROOT / file).read_text())) == {TORCH[1]}
    assert re.findall(r'image\.version="(.+?)"', DOCKERFILE) == [PROJECT["version"]] == [VERSION]


def test_nothing_enters_the_build_that_is_not_copied() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:].rstrip("/") for rule in rules if rule.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert allowed == {re.sub(r"^requirements/.*", "requirements", source.rstrip("/")) for source in copied}
    assert all((ROOT / path).exists() for path in allowed)


def test_the_probe_says_why_before_the_engine_ends_it() -> None:
    (timeout,) = re.findall(r"^HEALTHCHECK .*--timeout=(\d+)s ", DOCKERFILE, re.MULTILINE)
    assert int(timeout) > probe.SECONDS


def test_the_images_set_nothing_that_is_no_setting() -> None:
    told = set(re.findall(r"\b(HARMONIUM_[A-Z_]+)=", DOCKERFILE))
    assert {"HARMONIUM_HOST", "HARMONIUM_MODELS"} <= told
    assert told - {variable(field) for field in Settings.model_fields} == {"HARMONIUM_REVISION"}  # of training


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has loaded is read from /proc")
def test_what_is_left_out_of_the_images_is_not_loaded(tmp_path: Path) -> None:
    """Neither as a module nor as a library, with every shipped model loaded and replayed."""
    program = """
import json, sys
import service.server
from service.metrics import Metrics
from service.runtime.library import Library
from service.settings import read
shelf = Library(read(), Metrics()).scan()
assert shelf.names() and all(shelf.loaded(name) for name in shelf.names())
modules = [module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
libraries = [line.split()[-1] for line in open("/proc/self/maps") if line.rstrip().endswith(".so") or ".so." in line]
print(json.dumps(modules + libraries))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(tmp_path), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    modules = [PurePosixPath(file) for file in json.loads(done.stdout)]
    inside = [
        PurePosixPath(*file.parts[file.parts.index("site-packages") + 1 :])
        for file in modules
        if "site-packages" in file.parts
    ]
    assert {"onnxruntime", "onnx", "numpy", "numpy.libs"} <= {file.parts[0] for file in inside}
    left_out = [
        line for line in (ROOT / "docker/never-loaded.txt").read_text().splitlines() if not line.startswith("#")
    ]
    for file in inside:
        assert not [
            pattern for pattern in left_out for place in (file, *file.parents) if fnmatch(str(place), pattern)
        ], file
        assert "tests" not in file.parts
