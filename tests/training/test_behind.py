"""Where a model of one's own ratings is behind what is simpler, which the command line tells when it is published."""

import pytest

from models.manifest import Baseline, Metric
from training.__main__ import behind


@pytest.mark.parametrize(
    ("better", "value", "error", "popularity", "told"),
    [
        ("higher", 0.3, 0.05, 0.36, ["M 0.3, popularity 0.36"]),
        ("higher", 0.3, 0.05, 0.34, []),
        ("higher", 0.3, 0.05, 0.1, []),
        ("lower", 0.9, 0.01, 0.88, ["M 0.9, popularity 0.88"]),
        ("lower", 0.9, 0.05, 0.88, []),
        ("lower", 0.9, 0.01, 1.2, []),
        ("higher", 0.3, None, 0.31, ["M 0.3, popularity 0.31"]),
        ("higher", 0.3, None, 0.3, []),
    ],
)
def test_behind_is_by_more_than_the_standard_error(
    better: str, value: float, error: float | None, popularity: float, told: list[str]
) -> None:
    beside = (Baseline(name="nothing", value=value), Baseline(name="popularity", value=popularity))
    metric = Metric(
        name="M", value=value, standard_error=error, better=better,  # type: ignore[arg-type]
        samples=9, data="own", protocol="ours", baselines=beside,
    )  # fmt: skip
    ahead = metric.model_copy(update={"baselines": beside[:1]})
    assert behind((ahead, metric)) == told
