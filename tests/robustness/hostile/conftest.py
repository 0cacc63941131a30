"""One service for all the hostile requests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.store import Store
from tests.robustness.hostile.target import Target, attacked
from tests.versions import denoise, encode_and_generate, generate, recommend


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models that do everything: reasons, grey, both sides of a VAE, classes."""
    folder = tmp_path_factory.mktemp("zoo")
    store = Store([folder])
    for manifest, files in (recommend(explains=True), denoise(grey=True), encode_and_generate(), generate()):
        store.publish(manifest, files)
    return folder


@pytest.fixture(scope="session")
def target(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with attacked(zoo, tmp_path_factory.mktemp("home")) as found:
        yield found
