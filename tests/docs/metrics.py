"""The table of metrics in docs/operate.md."""

import re
from typing import NamedTuple

from tests.docs.pages import PAGES


class Row(NamedTuple):
    """What the page says of a metric."""

    kind: str
    labels: frozenset[str]


def listed() -> dict[str, Row]:
    """By name."""
    rows = re.findall(r"^\| `([a-z_]+)` \| (counter|gauge|histogram) \|([^|]*)\| \S", PAGES["operate.md"], re.M)
    return {name: Row(kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
