"""The model card: what a person should know about a version, in words, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from models.manifest import AnyTask, Baseline, Denoise, Encode, Generate, MadeBy, Manifest, Metric, Recommend
from training import figures
from training.figures.figure import Figure
from training.graphs import Graphs
from training.recipe import Recipe


def prose(manifest: Manifest, recipe: Recipe[Any], graphs: Graphs, data: Any, log: bytes = b"") -> dict[str, bytes]:
    """`card.md` and `figures/...` of a version, the same bytes for the same arguments.

    `data` are those that it was trained and measured on; `log` is the run's `metrics.jsonl`.
    """
    drawn = figures.draw(manifest, graphs, data, log)
    text = card(manifest, recipe, drawn)
    return {"card.md": text.encode(), **{f"figures/{figure.name}.png": figure.png for figure in drawn}}


def card(manifest: Manifest, recipe: Recipe[Any], drawn: Sequence[Figure] = ()) -> str:
    """The card as Markdown."""
    sections = {
        "What it is": recipe.about,
        "How good it is": _tables(manifest.metrics)
        + "\n\n`±` is the standard error, bold the best. All was measured on the exported graphs, by onnxruntime.",
        "What to look at": "\n\n".join(
            f"![{figure.alt}](figures/{figure.name}.png)\n\n{figure.caption}" for figure in drawn
        ),
        "Made for": "\n".join(f"- `{task.task}`: {_intended(task)}" for task in manifest.tasks),
        "Not for": recipe.not_for,
        "How it was made": _making(manifest.made_by, recipe.settings.model_dump(mode="json")),
        "Data and licence": "\n".join(f"- {name.capitalize()}: {text}" for name, text in manifest.credit),
    }
    head = f"# {manifest.name}\n\n{manifest.summary}\n\nFamily: {manifest.family}.\n"
    return head + "".join(f"\n## {title}\n\n{text}\n" for title, text in sections.items() if text)


def _making(made: MadeBy, defaults: Mapping[str, Any]) -> str:
    """The command with what is not as in the recipe, and the circumstances."""
    changes = [(key, value) for key, value in sorted(made.settings.items()) if value != defaults.get(key, value)]
    told = "".join(f" --set {key}={_argument(key, value)}" for key, value in changes)
    packages = ", ".join(f"{name} {version}" for name, version in sorted(made.packages.items()))
    settings = "\n".join(f"| `{key}` | {_cell(_setting(value))} |" for key, value in sorted(made.settings.items()))
    return f"""\
`python -m training run {made.recipe}{told}`: {made.steps:,} steps in {made.seconds / 60:.0f} minutes \
on {made.device}, seed {made.seed}, code {made.code_revision}, {packages}. Data hash `{made.data_sha256}`.

| setting | value |
|---|---|
{settings}"""


def _argument(key: str, value: object) -> str:
    """A setting as the command line takes it; of the version that a run began with only its place is not known."""
    return f".../{value}" if key == "start" else ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _intended(task: AnyTask) -> str:
    """What may be sent, from the manifest."""
    match task:
        case Recommend():
            scale = f"from {task.rating_low:g} to {task.rating_high:g}"
            return f"people who rated some of {task.items:,} items {scale}, up to {task.max_ratings:,} ratings each."
        case Denoise():
            kind = "grey" if task.channels == 1 else "colour and grey"
            what = f"noise of sigma up to {task.sigma_max:g} of 255" if task.sigma_max else "damage that nobody names"
            return f"{kind} pictures of any size with {what}."
        case Encode():
            on = f"on a {task.background} background"
            return f"{_size(task)} pictures {on}, as {task.latent_size} numbers with their uncertainty."
        case Generate():
            of = f" of {len(task.classes)} classes" if task.classes else ""
            return f"{_size(task)} pictures{of} from {task.latent_size} random numbers."


def _size(task: Encode | Generate) -> str:
    return f"{task.width}x{task.height} {'grey' if task.channels == 1 else 'colour'}"


def _tables(metrics: Sequence[Metric]) -> str:
    paired = any(baseline.paired_difference is not None for metric in metrics for baseline in metric.baselines)
    return comparison(metrics) if paired else _by_protocol(metrics)


def comparison(metrics: Sequence[Metric]) -> str:
    """One table: this model and each baseline in the rows, a column for each measure, and below it what they are.

    It is padded, so that it can be read where it is not rendered.
    """
    names = list(dict.fromkeys(baseline.name for metric in metrics for baseline in metric.baselines))
    seconds = {
        one.name: _plain(one.seconds) for metric in metrics for one in metric.baselines if one.seconds is not None
    }
    columns = [["", "this model", *map(_cell, names)]]
    for metric in metrics:
        column = [_cell(metric.name), _bold(metric, metric.value, metric.standard_error)]
        differences = ["this model minus it", ""]
        found = {one.name: one for one in metric.baselines}
        for one in map(found.get, names):
            column.append("" if one is None else _bold(metric, one.value, one.standard_error))
            differences.append("" if one is None else _difference(one))
        columns += [column, differences] if any(differences[1:]) else [column]
    if seconds:
        columns.append(["seconds of fitting", "", *(seconds.get(name, "") for name in names)])
    widths = [max(3, *map(len, column)) for column in columns]
    rows = list(zip(*columns, strict=True))
    rows.insert(1, tuple("-" * (width - (place > 0)) + ":" * (place > 0) for place, width in enumerate(widths)))
    lines = [
        "| " + " | ".join(f"{cell:{'>' if place else '<'}{widths[place]}}" for place, cell in enumerate(row)) + " |"
        for row in rows
    ]
    measures = [
        f"- {', '.join(one.name for one in group)} ({better} is better), on {data}, {samples:,} samples: {protocol}."
        for (better, data, samples, protocol), group in groupby(
            metrics, lambda one: (one.better, one.data, one.samples, one.protocol)
        )
    ]
    return "\n".join((*lines, "", *measures, "", "Differences are paired: their errors are those within a user."))


def _difference(one: Baseline) -> str:
    if one.paired_difference is None:
        return ""
    shown = _plain(float(f"{one.paired_difference:.3g}"), sign=True)
    return shown if one.paired_error is None else f"{shown} ± {_plain(float(f'{one.paired_error:.2g}'))}"


def _by_protocol(metrics: Sequence[Metric]) -> str:
    """A table for each protocol: what was measured in the rows, this model and each baseline in the columns."""
    tables: list[str] = []
    for (data, samples, protocol), group in groupby(metrics, lambda one: (one.data, one.samples, one.protocol)):
        rows = list(group)
        beside = list(dict.fromkeys(baseline.name for metric in rows for baseline in metric.baselines))
        lines = [
            f"On {data}, {samples:,} samples: {protocol}.\n",
            "| " + " | ".join(_cell(head) for head in ("measure", "this model", *beside)) + " |",
            "|---|" + "--:|" * (1 + len(beside)),
        ]
        for metric in rows:
            found = {one.name: _bold(metric, one.value, one.standard_error) for one in metric.baselines}
            ours = _bold(metric, metric.value, metric.standard_error)
            head = f"{_cell(metric.name)} ({metric.better} is better)"
            lines.append("| " + " | ".join((head, ours, *(found.get(name, "") for name in beside))) + " |")
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def _bold(metric: Metric, value: float, error: float | None) -> str:
    """Bold if nothing that was measured with it is better."""
    values = (metric.value, *(baseline.value for baseline in metric.baselines))
    best = max(values) if metric.better == "higher" else min(values)
    return f"**{_number(value, error)}**" if value == best else _number(value, error)


def _number(value: float, error: float | None) -> str:
    return f"{value:.4g}" if error is None else f"{value:.4g} ± {_plain(float(f'{error:.2g}'))}"


def _plain(value: float, sign: bool = False) -> str:
    """Without an exponent: 0.000039."""
    return np.format_float_positional(value, trim="-", sign=sign)


def _setting(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _cell(text: str) -> str:
    """Words that stay in their cell."""
    return text.replace("|", "\\|").replace("\n", " ")
