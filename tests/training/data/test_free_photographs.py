import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training.data import free_photographs
from training.data.free_photographs import Entry, inventory
from training.data.source import DataError, digest

SLOPE = (np.add.outer(np.arange(200), np.arange(300)) // 2).astype(np.uint8)[..., None].repeat(3, axis=2)


def entry(folder: Path, file: str, pixels: np.ndarray[Any, Any], **options: Any) -> Entry:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return Entry(file, hashlib.sha256(path.read_bytes()).hexdigest(), "CC0-1.0", "somebody")


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """A folder with two photographs that the inventory names and one that it does not."""
    entries = [
        entry(tmp_path, "usr/share/sky.jpg", SLOPE, quality=95),
        entry(tmp_path, "train/leaf.png", SLOPE[:90, :80]),
    ]
    entry(tmp_path, "train/other.png", SLOPE)
    entry(tmp_path, "validation/v.png", SLOPE)
    monkeypatch.setattr(free_photographs, "inventory", lambda: tuple(entries))
    return entries


def test_the_photographs_of_the_inventory_are_read_and_no_others(tmp_path: Path, chosen: list[Entry]) -> None:
    found = free_photographs.SOURCE.load(tmp_path)
    halved, as_it_is = found.train
    assert halved.shape == (100, 150, 3), "a JPEG is taken at half its size"
    wanted = SLOPE.reshape(100, 2, 150, 2, 3).mean(axis=(1, 3))[5:-5, 5:-5]  # away from where Lanczos meets an edge
    assert np.abs(halved[5:-5, 5:-5].astype(int) - wanted).max() <= 3
    assert np.array_equal(as_it_is, SLOPE[:90, :80])
    assert [picture.shape for picture in found.validation] == [SLOPE.shape]
    assert found.test == []
    assert found.sha256 == digest((tmp_path / one.file).read_bytes() for one in chosen)


def test_a_large_jpeg_is_scaled_to_1800_pixels(tmp_path: Path, chosen: list[Entry]) -> None:
    chosen[:] = [entry(tmp_path, "usr/share/wide.jpg", np.zeros((500, 4500, 3), np.uint8))]
    assert free_photographs.SOURCE.load(tmp_path).train[0].shape == (200, 1800, 3)


def test_another_photograph_under_the_same_name_is_refused(tmp_path: Path, chosen: list[Entry]) -> None:
    chosen[1] = replace(chosen[1], sha256="0" * 64)
    with pytest.raises(DataError, match=r"leaf\.png is not the photograph that was chosen: its hash is another"):
        free_photographs.SOURCE.load(tmp_path)


def test_a_missing_photograph_is_named_with_where_to_get_it(tmp_path: Path, chosen: list[Entry]) -> None:
    (tmp_path / chosen[0].file).unlink()
    with pytest.raises(DataError, match=r"sky\.jpg is not there\. .*\n.*endless-sky-high-dpi"):
        free_photographs.SOURCE.load(tmp_path)


def test_the_credit_counts_and_names_what_the_inventory_lists() -> None:
    credit = free_photographs.SOURCE.credit
    licences = Counter(one.licence for one in inventory())
    assert all(f"{licence} ({count})" in credit.licence for licence, count in licences.items())
    assert len({one.sha256 for one in inventory()}) == len({one.file for one in inventory()}) == len(inventory())
    people = {one.credit.split(",")[0].split(" (")[0] for one in inventory()} - {"various", "CLIC 2025"}
    assert all(name in credit.citation for name in people)


def test_no_test_picture_and_no_research_picture_is_in_the_inventory() -> None:
    names = {Path(one.file).name for one in inventory()}
    assert "fields6@2x.jpg" not in names, "the photograph of validation/clic_1b4ad095795a.webp"
    assert not any(name.startswith("bsds_") for name in names)
