"""The pictures of the documents: the service makes them, a page shows each, and they are small."""

import io
import re

import httpx
import numpy as np
import pytest
from PIL import Image, ImageSequence

from tests.docs.pages import PAGES, ROOT
from tests.docs.screenshots import EXAMPLES, MADE, SCREENSHOTS

PICTURES = [path for folder in (EXAMPLES, SCREENSHOTS) for path in folder.iterdir() if path.suffix != ".md"]


def levels(data: bytes) -> np.ndarray:
    """Of every frame, in grey."""
    return np.stack(
        [np.asarray(frame.convert("L"), float) for frame in ImageSequence.Iterator(Image.open(io.BytesIO(data)))]
    )


@pytest.mark.parametrize("name", MADE)
def test_it_is_what_the_service_answers(name: str, shipped: httpx.Client) -> None:
    committed, made = levels((EXAMPLES / name).read_bytes()), levels(MADE[name](shipped))
    assert committed.shape == made.shape
    assert np.abs(committed - made).mean() < 0.5, "run `make screenshots` and look at them"


def test_a_page_shows_each() -> None:
    pages = "\n".join(PAGES.values())
    shown = {ROOT / "docs" / path for path in re.findall(r"(?:docs/)?((?:examples|screenshots)/[\w.-]+)", pages)}
    assert set(PICTURES) <= shown


def test_they_are_small() -> None:
    assert sum(path.stat().st_size for path in PICTURES) < 1_000_000
