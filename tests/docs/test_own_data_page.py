"""docs/own-data.md: the pictures that it makes are read as it says. The ratings are tried as a whole in test_pages."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES
from training.data.own import pictures

PAGE = PAGES["own-data.md"]


def test_the_pictures_are_read_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = (block for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.S | re.M) if "ImageDraw" in block)
    exec(compile(code, "shapes.py", "exec"), {})
    ((command, shown),) = re.findall(r"^```text\n\$ ([^\n]*)\n(.*?)^Training ", PAGE, re.S | re.M)
    side = re.search(r"--pictures shapes --side (\d+) ", command)
    assert side is not None
    assert shown.splitlines() == list(pictures.read(Path("shapes"), int(side[1])).told)
