import json
from typing import Any

import matplotlib.style
import pytest

from models.manifest import MadeBy
from tests.versions import MADE_BY
from training.figures import learning, plot
from training.figures.figure import Figure

MADE = MadeBy.model_validate(MADE_BY | {"steps": 40, "seconds": 12.3})


def log(steps: int = 40, seconds: float = 12.34, **figures: float) -> bytes:
    figures = figures or {"draw/loss": 1.0, "draw/gradient": 2.0, "judge/loss": 3.0}
    rows: list[dict[str, Any]] = [
        {"step": step, "seconds": seconds * step / steps, **{name: value / step for name, value in figures.items()}}
        for step in range(2, steps + 1, 2)
    ]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def draw(data: bytes) -> list[Figure]:
    with matplotlib.style.context(["default", plot.STYLE]):
        return learning.figures(data, MADE)


def test_the_losses_of_the_run_are_drawn_and_gradients_are_not() -> None:
    (figure,) = draw(log())
    assert figure.name == "learning"
    assert figure.alt == "Line plots over the steps of the run: draw loss, judge loss"


@pytest.mark.parametrize("other", [b"", log(steps=38), log(seconds=12.9), log()[:-20]])
def test_the_log_of_another_run_or_of_none_is_left_out(other: bytes) -> None:
    assert draw(other) == []


def test_a_figure_that_comes_seldom_and_one_that_never_moves_are_drawn() -> None:
    rows = [json.loads(line) for line in log(a=1.0).splitlines()]
    for place, row in enumerate(rows):
        row["b/still"] = 5.0
        if place % 5 == 0:
            row["b/seldom"] = 0.1 * place
    (figure,) = draw(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    assert figure.alt == "Line plots over the steps of the run: b still, b seldom"
