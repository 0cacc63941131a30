"""docs/operate.md lists the metrics that the service has, with their types and labels."""

from pathlib import Path

import httpx
import pytest

from tests.docs.metrics import Row, listed
from tests.exposition import Scrape, scrape
from tests.processes import running
from tests.robustness.conftest import calls
from tests.service.conftest import zoo

__all__ = ["zoo"]


def exposed(found: Scrape) -> dict[str, Row]:
    """Every family; one without a series shows no labels."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): Row(
            family.type, frozenset(name for sample in family.samples for name in sample.labels) - {"le"}
        )
        for family in found.families.values()
    }


@pytest.mark.parametrize("workers", ["1", "2"])
def test_every_metric_is_listed(zoo: Path, tmp_path: Path, workers: str) -> None:
    with running(zoo, tmp_path, workers=workers) as service:
        calls(service.port)
        httpx.get(f"http://127.0.0.1:{service.port}/nothing")
        found = scrape(f"http://127.0.0.1:{service.port}")
    assert exposed(found) == listed()
