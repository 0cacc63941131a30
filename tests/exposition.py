"""What a service answers at /metrics, parsed."""

from collections.abc import Iterator

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, frozenset[tuple[str, str]]]


class Scrape:
    """One answer."""

    def __init__(self, text: str) -> None:
        self.families: dict[str, Metric] = {family.name: family for family in text_string_to_metric_families(text)}
        self.series: dict[Series, float] = {}
        for family in self.families.values():
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                assert key not in self.series, f"{key} is there twice"
                self.series[key] = sample.value

    def value(self, name: str, **labels: str) -> float:
        """Of the series with exactly these labels; 0 if it is not there."""
        return self.series.get((name, frozenset(labels.items())), 0.0)

    def labels(self, name: str) -> Iterator[dict[str, str]]:
        """Of every series of this name."""
        return (dict(labels) for found, labels in self.series if found == name)

    def counters(self) -> dict[Series, float]:
        """All that must never go down, without what the scrapes themselves add."""
        return {
            (name, labels): value
            for (name, labels), value in self.series.items()
            if name.endswith(("_total", "_bucket", "_count", "_sum")) and ("endpoint", "/metrics") not in labels
        }


def scrape(url: str | httpx.URL) -> Scrape:
    """Ask on a connection of its own, which any worker may get."""
    answer = httpx.get(f"{str(url).rstrip('/')}/metrics", timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(answer.text)
