"""From a trained learner to a published version: export, prove, measure, write the manifest and the card."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models import sample
from models.manifest import AnyTask, MadeBy, Manifest, Sample
from models.sample import Recording
from models.store import Store
from training.card import prose
from training.graphs import Graphs
from training.learners.learner import Learner
from training.loop import Run
from training.recipe import Recipe

PACKAGES = ("numpy", "onnx", "onnxruntime", "onnxscript", "torch")
# Another processor adds in another order: what the proof allows on one machine gets this much room on all.
ELSEWHERE = 10


def publish(
    recipe: Recipe[Any],
    learner: Learner[Any],
    data: Any,
    run: Run,
    graphs: Mapping[str, bytes],
    recordings: Mapping[str, Recording],
    store: Store,
    log: bytes = b"",
) -> Path:
    """Measure the graphs on the held-out data and publish them with their card; the version's folder.

    `log` is the run's `metrics.jsonl`, for the learning curves.

    Raises:
        models.store.BrokenVersion: what was made does not verify; nothing is published.
    """
    files = {
        **{f"{name}.onnx": graph for name, graph in graphs.items()},
        **learner.files(),
        "sample.npz": sample.write(recordings),
    }
    tolerance = {
        name: {output: ELSEWHERE * limit for output, limit in plan.tolerance.items()}
        for name, plan in learner.exports().items()
    }
    tasks: tuple[AnyTask, ...] = learner.tasks()
    runner = Graphs(graphs)
    manifest = Manifest.model_construct(
        schema_version=1,
        name=recipe.version_name,
        version=1,
        family=learner.family,
        summary=recipe.summary,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        credit=recipe.source.credit,
        made_by=MadeBy(
            recipe=recipe.name,
            settings=learner.settings.model_copy(update={"steps": run.steps}).model_dump(mode="json"),
            seed=learner.settings.seed,
            data_sha256=learner.data_sha256,
            code_revision=run.code_revision,
            packages={package: version(package) for package in PACKAGES},
            device=run.device,
            steps=run.step,
            seconds=round(run.seconds, 1),
        ),
        metrics=tuple(recipe.evaluate(runner, data)),
        files={},
        tasks=tasks,
        sample=Sample(tolerance=tolerance),
    )
    return store.publish(manifest, files, prose(manifest, recipe, runner, data, log))
