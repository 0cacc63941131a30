"""The arrows of the design: who may import whom. A folder that is missing or empty fails too."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WEB = ("fastapi", "starlette", "uvicorn", "service.api", "service.media", "service.app")
TORCH = ("torch", "torchvision", "torchaudio")

FORBIDDEN: dict[str, tuple[str, ...]] = {
    "models": ("service", "training", *TORCH),
    "service": ("training", *TORCH),
    "training": ("service",),
    "service/runtime": WEB,
    "service/media": ("models", "service.api", "service.app", "service.runtime"),
}
"""By folder: packages that no file below it may import."""

MAY_IMPORT_TORCH = ("training/learners/", "training/loop.py", "training/export.py")


def files(folder: str) -> list[Path]:
    """The Python files below `folder`, which must hold more than the mark of a package."""
    found = sorted((ROOT / folder).rglob("*.py"))
    assert [path for path in found if path.name != "__init__.py"], f"{folder}/ is missing or empty"
    return found


def imported(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything that `source`, a module of `package`, imports."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield node.lineno, alias.name
            case ast.ImportFrom(module=module, names=names, level=level):
                above = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                origin = ".".join([*above, *([module] if module else [])])
                for alias in names:
                    yield node.lineno, f"{origin}.{alias.name}"
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name


def uses(folder: str, forbidden: tuple[str, ...]) -> dict[str, list[str]]:
    """By file, the imports that `forbidden` names, or that lie inside what it names."""
    found: dict[str, list[str]] = {}
    for path in files(folder):
        where = path.relative_to(ROOT)
        for line, name in imported(path.read_text(encoding="utf-8"), ".".join(where.parent.parts)):
            if any(f"{name}.".startswith(f"{package}.") for package in forbidden):
                found.setdefault(where.as_posix(), []).append(f"line {line}: {name}")
    return found


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_arrows_point_one_way(folder: str) -> None:
    assert uses(folder, FORBIDDEN[folder]) == {}


@pytest.mark.parametrize("folder", ["service", "training"])
def test_both_sides_meet_at_the_contract(folder: str) -> None:
    assert uses(folder, ("models.manifest", "models.store"))


def test_only_learners_the_loop_and_the_export_import_torch() -> None:
    users = uses("training", TORCH)
    assert {file for file in users if not file.startswith(MAY_IMPORT_TORCH)} == set()
    assert {place for place in MAY_IMPORT_TORCH if any(file.startswith(place) for file in users)} == set(
        MAY_IMPORT_TORCH
    )


def test_the_code_stands_in_the_folders_that_the_arrows_name() -> None:
    for folder in (*FORBIDDEN, "service/api", "training/recipes", "training/learners", "training/data"):
        files(folder)
    with pytest.raises(AssertionError, match="models/nowhere/ is missing or empty"):
        files("models/nowhere")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import torch", "torch"),
        ("import numpy, torch.nn as nn", "torch.nn"),
        ("from torch import Tensor", "torch.Tensor"),
        ("from service import media", "service.media"),
        ("from .. import media", "service.media"),
        ("from ..media import pictures", "service.media.pictures"),
        ("from . import pool", "service.runtime.pool"),
        ("def f():\n    import torch", "torch"),
        ("if TYPE_CHECKING:\n    from models.store import Store", "models.store.Store"),
        ("import importlib\nimportlib.import_module('torch')", "torch"),
        ("__import__('torch')", "torch"),
    ],
)
def test_every_form_of_import_is_seen(source: str, name: str) -> None:
    assert name in [found for _, found in imported(source, "service.runtime")]
