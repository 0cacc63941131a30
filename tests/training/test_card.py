import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.manifest import Baseline, Manifest, Metric
from tests import versions
from training import recipe
from training.card import card, comparison
from training.figures.figure import Figure

ROOT = Path(__file__).parents[2]
PLAIN = replace(recipe.find("digits-vae"), not_for="Nothing.", about="")


def test_the_card_tells_what_the_manifest_holds() -> None:
    manifest, _ = versions.recommend(
        summary="Ranks films.",
        metrics=(
            Metric(
                name="NDCG@10",
                value=0.31416,
                standard_error=0.0123,
                better="higher",
                samples=1234,
                data="held-out users",
                protocol="fold-in",
                baselines=(
                    Baseline(name="popularity", value=0.1760, standard_error=0.02),
                    Baseline(name="chance", value=0.01),
                ),
            ),
        ),
    )
    text = card(manifest, replace(PLAIN, not_for="Commercial use.", about="Two parts."))
    assert text.startswith("# movies-rbm\n\nRanks films.\n")
    assert (
        "On held-out users, 1,234 samples: fold-in.\n\n"
        "| measure | this model | popularity | chance |\n|---|--:|--:|--:|\n"
        "| NDCG@10 (higher is better) | **0.3142 ± 0.012** | 0.176 ± 0.02 | 0.01 |\n"
    ) in text
    assert "\n## Not for\n\nCommercial use.\n" in text
    assert "\n## What it is\n\nTwo parts.\n" in text
    assert "`python -m training run by-hand`: 3 steps" in text
    for value in (manifest.credit.data, manifest.credit.source, manifest.credit.licence, manifest.credit.citation):
        assert f": {value}\n" in text
    for key, value in manifest.made_by.settings.items():
        shown = "1, 2" if value == [1, 2] else value
        assert f"| `{key}` | {shown} |" in text
    assert manifest.made_by.data_sha256 in text


def test_the_card_s_command_makes_what_was_made() -> None:
    manifest, _ = versions.recommend(settings={"steps": 5, "channels": [8, 16], "start": "photo-dae/6", "seed": 0})
    fast = recipe.find("photo-dae-fast")
    told = "--set channels=8,16 --set start=.../photo-dae/6 --set steps=5"
    assert f"`python -m training run by-hand {told}`: 3 steps" in card(manifest, fast)


def metric(name: str, protocol: str, *baselines: str, **facts: Any) -> Metric:
    return Metric(
        name=name,
        value=0.5,
        better="lower",
        samples=10,
        data="photographs",
        protocol=protocol,
        baselines=tuple(Baseline(name=baseline, value=float(place)) for place, baseline in enumerate(baselines, 1)),
        **facts,
    )


def test_measures_of_one_protocol_share_a_table_with_a_column_for_each_baseline() -> None:
    manifest, _ = versions.denoise(
        metrics=(
            metric("a", "by day", "none", "median"),
            metric("b", "by day", "median", "best"),
            metric("c", "by day"),
            metric("d", "by night", standard_error=3.9e-05),
        )
    )
    text = card(manifest, PLAIN)
    assert (
        "On photographs, 10 samples: by day.\n\n"
        "| measure | this model | none | median | best |\n|---|--:|--:|--:|--:|\n"
        "| a (lower is better) | **0.5** | 1 | 2 |  |\n"
        "| b (lower is better) | **0.5** |  | 1 | 2 |\n"
        "| c (lower is better) | **0.5** |  |  |  |\n"
        "\nOn photographs, 10 samples: by night.\n\n"
        "| measure | this model |\n|---|--:|\n"
        "| d (lower is better) | **0.5 ± 0.000039** |\n"
    ) in text


def test_bold_is_the_best_of_a_row() -> None:
    manifest, _ = versions.denoise(
        metrics=(
            metric("a", "by day", "worse"),
            Metric(
                name="b",
                value=0.5,
                better="higher",
                samples=10,
                data="photographs",
                protocol="by day",
                baselines=(Baseline(name="worse", value=0.75, standard_error=0.01), Baseline(name="equal", value=0.75)),
            ),
        )
    )
    assert (
        "| a (lower is better) | **0.5** | 1 |  |\n| b (higher is better) | 0.5 | **0.75 ± 0.01** | **0.75** |\n"
    ) in card(manifest, PLAIN)


def test_what_is_paired_stands_in_one_table() -> None:
    def measured(name: str, value: float, protocol: str, *baselines: Baseline, better: Any = "higher") -> Metric:
        return Metric(
            name=name, value=value, standard_error=0.0111, better=better, samples=499, data="users", protocol=protocol,
            baselines=baselines,
        )  # fmt: skip

    def baseline(name: str, value: float, difference: float | None, seconds: float | None = None) -> Baseline:
        error = None if difference is None else 0.00567
        return Baseline(
            name=name, value=value, standard_error=0.01, paired_difference=difference, paired_error=error,
            seconds=seconds,
        )  # fmt: skip

    metrics = (
        measured("gain", 0.41, "lists", baseline("EASE", 0.4, 0.01, 4.7), baseline("a|b", 0.42, -0.00012345)),
        measured("recall", 0.5, "lists", baseline("EASE", 0.4, 0.1, 4.7), baseline("a|b", 0.42, 0.08)),
        measured("coverage", 0.25, "shown", baseline("EASE", 0.5, None, 4.7)),
        measured("error", 0.8, "ratings", baseline("biases", 0.9, -0.1, 0.0), better="lower"),
    )
    manifest, _ = versions.recommend(metrics=metrics)
    table, _, below = comparison(metrics).partition("\n\n")
    assert comparison(metrics) in card(manifest, PLAIN)
    lines = table.splitlines()
    assert len({len(line) for line in lines}) == 1, "it can be read as it is"
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    head, rule, *body = rows
    minus = "this model minus it"
    assert head == ["", "gain", minus, "recall", minus, "coverage", "error", minus, "seconds of fitting"]
    assert re.fullmatch(r"-+(-+:)+", "".join(rule))
    assert body == [
        ["this model", "0.41 ± 0.011", "", "**0.5 ± 0.011**", "", "0.25 ± 0.011", "**0.8 ± 0.011**", "", ""],
        ["EASE", "0.4 ± 0.01", "+0.01 ± 0.0057", "0.4 ± 0.01", "+0.1 ± 0.0057", "**0.5 ± 0.01**", "", "", "4.7"],
        [r"a\|b", "**0.42 ± 0.01**", "-0.000123 ± 0.0057", "0.42 ± 0.01", "+0.08 ± 0.0057", "", "", "", ""],
        ["biases", "", "", "", "", "", "0.9 ± 0.01", "-0.1 ± 0.0057", "0"],
    ]
    assert below.splitlines()[:3] == [
        "- gain, recall (higher is better), on users, 499 samples: lists.",
        "- coverage (higher is better), on users, 499 samples: shown.",
        "- error (lower is better), on users, 499 samples: ratings.",
    ]


def test_tables_are_whole() -> None:
    for build in (versions.recommend, versions.denoise, versions.encode_and_generate):
        manifest, _ = build(metrics=(metric("a | b", "p", "x|y", "two\nlines"),), settings={"words": "a|b", "n": 1})
        tables: list[list[str]] = [[]]
        for line in card(manifest, PLAIN).splitlines():
            if line.startswith("|"):
                tables[-1].append(line)
            elif tables[-1]:
                tables.append([])
        for rows in filter(None, tables):
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
        assert [len(rows) for rows in tables if rows] == [3, 4]


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (versions.recommend, "- `recommend`: people who rated some of 40 items from 0.5 to 5, up to 64 ratings each."),
        (versions.denoise, "- `denoise`: colour and grey pictures of any size with noise of sigma up to 75 of 255."),
        (versions.encode, "- `encode`: 28x28 grey pictures on a dark background, as 4 numbers with their uncertainty."),
        (versions.generate, "- `generate`: 28x28 grey pictures of 10 classes from 4 random numbers."),
    ],
)
def test_what_it_is_made_for_is_what_the_manifest_allows(build: Callable[[], versions.Built], told: str) -> None:
    assert f"\n## Made for\n\n{told}\n\n## Not for\n" in card(build()[0], PLAIN)


def test_figures_are_shown_with_their_words_and_none_leave_no_heading() -> None:
    manifest, _ = versions.generate()
    drawn = [Figure("samples", b"", "Rows of digits", "Look at them."), Figure("errors", b"", "Bars", "Look again.")]
    assert (
        "\n\n![Rows of digits](figures/samples.png)\n\nLook at them."
        "\n\n![Bars](figures/errors.png)\n\nLook again.\n\n## Made for\n"
    ) in card(manifest, PLAIN, drawn)
    assert "What to look at" not in card(manifest, PLAIN)
    assert "What it is" not in card(manifest, PLAIN)


@pytest.mark.parametrize("name", recipe.names())
def test_every_number_in_words_and_tables_is_the_manifest_s(name: str) -> None:
    """Of the shipped cards: what was measured beside the manifest is drawn, never written."""
    (path,) = (ROOT / "models" / "zoo" / name).glob("*/manifest.json")
    manifest = Manifest.from_bytes(path.read_bytes())
    figures = {
        f"{number:.4g}"
        for metric in manifest.metrics
        for number in (metric.value, *(baseline.value for baseline in metric.baselines))
    } | {
        np.format_float_positional(float(f"{error:.2g}"), trim="-")
        for metric in manifest.metrics
        for error in (metric.standard_error, *(baseline.standard_error for baseline in metric.baselines))
        if error is not None
    }
    figures |= {
        np.format_float_positional(float(f"{abs(number):.{digits}g}"), trim="-")
        for metric in manifest.metrics
        for baseline in metric.baselines
        for number, digits in ((baseline.paired_difference, 3), (baseline.paired_error, 2))
        if number is not None
    }
    card = (path.parent / "card.md").read_text()
    about = recipe.find(name).about  # has what others published
    assert about in card
    measured = card.replace(about, "")
    for number in re.findall(r"(?<![\w.])-?\d+\.\d+(?![\w.])", measured):
        assert {number, number.lstrip("-")} & figures or number in manifest.to_bytes().decode(), number
    assert card.startswith(f"# {name}\n\n{manifest.summary}\n")
    assert set(re.findall(r"\(figures/(.+)\)", card)) == {path.name for path in (path.parent / "figures").iterdir()}
