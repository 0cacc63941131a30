"""What load tests share: hand-made versions, the four calls with their right answers, and figures to show."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.robustness.hammer import Call
from tests.service.conftest import png
from tests.versions import publish_all

Figure = Callable[[str, object], None]
FIGURE = "figure: "


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zoo")
    publish_all(folder)
    return folder


@pytest.fixture
def figure(record_property: Figure) -> Figure:
    """Keep what was counted or timed: for the summary, and for whoever reads the report."""

    def keep(name: str, value: object) -> None:
        record_property(FIGURE + name, str(value))

    return keep


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    shown = [
        f"{report.nodeid.rpartition('::')[2]}: {name.removeprefix(FIGURE)}: {value}"
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name.startswith(FIGURE)
    ]
    if shown:
        terminalreporter.section("figures")
    for line in shown:
        terminalreporter.write_line(line)


def calls(port: int) -> list[Call]:
    """One call of each kind, with the answer that it gets while nothing else runs."""
    asked = [
        ("recommend", "application/json", b'{"users": [{"liked": ["1196"]}, {"liked": ["260", "2"]}]}'),
        ("denoise", "image/png", png(180, 220, 3)),
        ("encode", "image/png", png(28, 28)),
        ("generate", "application/json", b'{"seed": 7, "class": 3, "count": 4}'),
    ]
    made: list[Call] = []
    for name, kind, body in asked:
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/{name}", content=body, headers={"content-type": kind})
        assert answer.status_code == 200, answer.text
        made.append(Call("POST", f"/v1/{name}", kind, body, answer.content))
    return made
