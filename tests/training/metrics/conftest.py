from pathlib import Path

import pytest

from tests import tiny
from training.metrics import judges


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of judges with one, of the synthetic twin."""
    folder = tmp_path_factory.mktemp("judges")
    judges.make(tiny.twin("digits-gan"), folder / "bars", steps=60)
    return folder
