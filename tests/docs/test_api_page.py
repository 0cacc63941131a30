"""docs/api.md: its tables are those of the code."""

import re

from service.api.denoise import DenoiseQuery
from service.api.encode import EncodeQuery
from service.api.generation import GenerateRequest
from service.api.recommend import RecommendRequest
from service.problems import KINDS
from tests.docs.pages import PAGES

PAGE = PAGES["api.md"]


def fields(heading: str) -> set[str]:
    """What the first table under a heading names that has a default."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (table,) = re.findall(r"^\| (?:field|parameter) \| default \| what \|\n\|[-|]+\|\n((?:\|.*\n)+)", section, re.M)
    return {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_every_refusal_is_listed() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \|", PAGE, re.M)
    assert sorted(rows) == sorted((str(kind.status), name) for name, kind in KINDS.items())


def test_every_field_is_listed() -> None:
    chosen = {"model", "version"}
    generate = {field.alias or name for name, field in GenerateRequest.model_fields.items()}
    assert fields("Recommend") == set(RecommendRequest.model_fields) - chosen
    assert fields("Denoise") == set(DenoiseQuery.model_fields) - chosen
    assert fields("Encode") == set(EncodeQuery.model_fields) - chosen
    assert fields("Generate") == generate - chosen
