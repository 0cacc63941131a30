"""The model card: what a person should know about a version, from its manifest."""

from __future__ import annotations

from models.manifest import Manifest, Metric


def card(manifest: Manifest, not_for: str) -> str:
    """The card as Markdown."""
    made = manifest.made_by
    settings = "\n".join(f"| `{key}` | {value} |" for key, value in sorted(made.settings.items()))
    packages = ", ".join(f"{name} {version}" for name, version in sorted(made.packages.items()))
    return f"""# {manifest.name}

{manifest.summary}

Family: {manifest.family}. Does: {", ".join(task.task for task in manifest.tasks)}.

## How good it is

{_table(manifest.metrics)}

`±` is the standard error. Everything was measured on the exported graphs, by onnxruntime.

## Not for

{not_for}

## How it was made

`python -m training run {made.recipe}`: {made.steps:,} steps in {made.seconds / 60:.0f} minutes on {made.device}, \
seed {made.seed}, code {made.code_revision}, {packages}. Data hash `{made.data_sha256}`.

| setting | value |
|---|---|
{settings}

## Data and licence

- Data: {manifest.credit.data}
- Source: {manifest.credit.source}
- Licence: {manifest.credit.licence}
- Citation: {manifest.credit.citation}
"""


def _table(metrics: tuple[Metric, ...]) -> str:
    lines = ["| measure | this model | beside it | data | how |", "|---|---|---|---|---|"]
    for metric in metrics:
        beside = "; ".join(
            f"{baseline.name} {_figure(baseline.value, baseline.standard_error)}" for baseline in metric.baselines
        )
        lines.append(
            f"| {metric.name} ({metric.better} is better) | **{_figure(metric.value, metric.standard_error)}** "
            f"| {beside} | {metric.data}, {metric.samples:,} | {metric.protocol} |"
        )
    return "\n".join(lines)


def _figure(value: float, error: float | None) -> str:
    return f"{value:.4g}" if error is None else f"{value:.4g} ± {error:.2g}"
