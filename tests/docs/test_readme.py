"""The README's tables are those of the code, the manifests and the service."""

import json
import re
import shlex
from pathlib import Path

import httpx

from models.manifest import Manifest
from service.settings import Settings
from tests.docs.pages import PAGES, ROOT, steps
from training import recipe

README = PAGES["README.md"]
SHIPPED = [Manifest.from_bytes(path.read_bytes()) for path in sorted((ROOT / "models/zoo").glob("*/*/manifest.json"))]


def figures(manifest: Manifest) -> set[str]:
    """Every metric and baseline of a version to four digits, shares as per cent too."""
    values = [value for metric in manifest.metrics for value in (metric.value, *(b.value for b in metric.baselines))]
    return {f"{scaled:.4g}" for value in values for scaled in (value, 100 * value)}


def decimals(text: str) -> set[str]:
    """The numbers with a decimal point."""
    return set(re.findall(r"(?<![\w.])\d+\.\d+", text))


def test_settings_table_is_the_code() -> None:
    rows = dict(re.findall(r"^\| `HARMONIUM_([A-Z_]+)` \| `(.*?)` \|", README, re.M))
    fields = {name.upper(): field for name, field in Settings.model_fields.items()}
    assert set(rows) == set(fields)
    for name, shown in rows.items():
        default = fields[name].get_default(call_default_factory=True)
        assert shown == str(default), name


def test_model_table_has_the_figures_of_the_manifests() -> None:
    assert [manifest.name for manifest in SHIPPED] == recipe.names()
    for manifest in SHIPPED:
        row = re.search(rf"^\| `{manifest.name}` \|.*$", README, re.M)
        assert row is not None, manifest.name
        assert decimals(row[0])
        assert decimals(row[0]) <= figures(manifest), manifest.name


def test_figures_that_are_compared_are_those_of_the_manifests() -> None:
    models = PAGES["compare.md"].partition("## The service")[0]
    shown = decimals("\n".join(re.findall(r"^\|.*$", models, re.M)))
    assert len(shown) > 40
    assert shown <= set.union(*map(figures, SHIPPED))


def test_recommended_films_are_what_the_service_answers(shipped: httpx.Client) -> None:
    """The list in the table is the one that is asked for below it."""
    (line,) = [step.line for step in steps(README) if '"reasons": true' in step.line]
    ask = json.loads(shlex.split(line)[3])
    pages = [{"limit": 1000, "offset": offset} for offset in range(0, 4000, 1000)]
    catalogue = [shipped.get("/v1/models/movies-rbm/items", params=page).json()["items"] for page in pages]
    titles = {item["item"]: item["title"] for items in catalogue for item in items}
    rows: list[tuple[str, str, str]] = []
    for item in shipped.post("/v1/recommend", json=ask).json()["users"][0]["items"]:
        because = "; ".join(titles[reason["item"]] for reason in item["reasons"][:2])
        rows.append((item["title"], f"{item['rating']:.1f}", because))
    assert re.findall(r"^\| (.+?) \| (\d\.\d) \| (.+?) \|$", README, re.M) == rows


def test_own_data_are_as_the_page_that_is_tried_shows_them() -> None:
    (block,) = re.findall(r"^```text\n(.*?)^```", README, re.S | re.M)
    for line in block.splitlines():
        assert line == "..." or f"\n{line}\n" in PAGES["own-data.md"], line


def test_zoo_keeps_to_its_budget() -> None:
    limits = {"movies-rbm": 16, "photo-dae": 10, "photo-dae-fast": 6, "photo-restore": 10}
    for folder in filter(Path.is_dir, (ROOT / "models" / "zoo").iterdir()):
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        assert size <= limits.get(folder.name, 4) * 1_000_000, f"{folder.name} has {size} bytes"
