"""What is wrong with model folders: that it is told, and tried again when it may have gone."""

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from models.store import Store
from service.metrics import Metrics
from service.problems import UnknownModel
from service.runtime.library import Library
from service.settings import Settings
from tests.versions import generate


async def test_each_time_what_has_become_wrong_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A link to itself is a folder that nobody can read, not even root."""
    disk, root = tmp_path / "disk", tmp_path / "models"
    Store([disk]).publish(*generate())
    root.symlink_to(disk)
    library = Library(Settings(models=str(root), device="cpu"), Metrics())

    async def look() -> list[str]:
        caplog.clear()
        for _ in range(3):
            with contextlib.suppress(UnknownModel):
                await library.load("digits-gan")
        return [message for message in caplog.messages if message != "an operator loads digits-gan"]

    def mount(target: Path) -> None:
        root.unlink()
        root.symlink_to(target)

    with caplog.at_level(logging.INFO, "service"):
        told = await look()
        assert "loaded digits-gan version 1 on cpu" in told
        assert "denoise has no model to answer calls that name none: photo-dae is not loaded" in told
        for _ in range(2):
            mount(root)
            assert await look() == [f"{root} cannot be read: Too many levels of symbolic links"]
            assert library.resolve("digits-gan", 1)
            mount(disk)
            assert await look() == [], "nothing was lost, and nothing is loaded anew"
        shutil.rmtree(disk / "digits-gan")
        assert await look() == [
            "dropped digits-gan version 1: its folder is gone",
            "generate has no model to answer calls that name none: digits-gan is not loaded",
            f"not ready: no model is loaded from {root}",
        ]


@contextlib.contextmanager
def nobody_special() -> Generator[Path]:
    """A folder, as long as this process is one that may not read every file."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    finally:
        os.seteuid(before)


async def test_a_version_that_nobody_might_read_is_tried_again_once_they_may(tmp_path: Path) -> None:
    Store([tmp_path]).publish(*generate())
    Library(Settings(models=str(tmp_path), device="cpu"), Metrics()).scan()  # what this imports, not all may read
    with nobody_special() as root:
        graph = Store([root]).publish(*generate()) / "decode.onnx"
        graph.chmod(0)
        library = Library(Settings(models=str(root), device="cpu"), Metrics())
        with pytest.raises(UnknownModel, match="Permission denied"):
            await library.load("digits-gan")
        graph.chmod(0o600)
        library.shelf = library.scan()
        assert library.resolve("digits-gan", 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes one who may read more, with no file changed")
async def test_what_was_refused_is_tried_again_when_an_operator_loads_it(tmp_path: Path) -> None:
    Store([tmp_path]).publish(*generate())
    Library(Settings(models=str(tmp_path), device="cpu"), Metrics()).scan()
    with nobody_special() as root:
        graph = Store([root]).publish(*generate()) / "decode.onnx"
        os.seteuid(0)
        os.chown(graph, 0, 0)
        graph.chmod(0o600)
        os.seteuid(65534)
        library = Library(Settings(models=str(root), device="cpu"), Metrics())
        library.shelf = library.scan()
        os.seteuid(0)
        library.shelf = library.scan()
        assert library.shelf.refused("digits-gan"), "nothing has changed that the service sees"
        await library.load("digits-gan")
        assert library.resolve("digits-gan", 1)
