"""Where a model of one's own ratings is behind what is simpler, which the command line tells when it is published."""

import pytest

from models.manifest import Baseline, Metric
from training.__main__ import behind


@pytest.mark.parametrize(
    ("better", "value", "popularity", "error", "told"),
    [
        ("higher", 0.3, 0.36, 0.02, ["M 0.3, popularity 0.36"]),
        ("higher", 0.3, 0.36, 0.04, []),
        ("higher", 0.3, 0.1, 0.02, []),
        ("lower", 0.9, 0.88, 0.009, ["M 0.9, popularity 0.88"]),
        ("lower", 0.9, 0.88, 0.011, []),
        ("lower", 0.9, 1.2, 0.01, []),
        ("higher", 0.3, 0.36, None, []),
    ],
)
def test_behind_is_by_more_than_two_paired_standard_errors(
    better: str, value: float, popularity: float, error: float | None, told: list[str]
) -> None:
    difference = None if error is None else value - popularity
    simpler = Baseline(name="popularity", value=popularity, paired_difference=difference, paired_error=error)
    other = simpler.model_copy(update={"name": "another version"})
    metric = Metric(
        name="M", value=value, standard_error=0.01, better=better,  # type: ignore[arg-type]
        samples=9, data="own", protocol="ours", baselines=(simpler, other),
    )  # fmt: skip
    ahead = metric.model_copy(update={"baselines": ()})
    assert behind((ahead, metric), {"another version"}) == told
