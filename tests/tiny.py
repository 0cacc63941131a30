"""Every recipe in miniature: settings small enough for a test, trained a few steps on the synthetic twin.

What is costly (an export takes seconds) is made once a session. Treat it as read-only.
"""

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from models.sample import Recording
from training import loop, recipe
from training.export import export
from training.learners import judge
from training.learners.learner import Learner
from training.loop import Run
from training.recipe import Recipe

torch.set_num_threads(1)  # networks this small lose by sharing work, most of all on a busy machine
judge.PASSES = 5  # the twin's bars are told apart at a glance

SETTINGS = {
    "restricted-boltzmann-machine": [
        "hidden=4",
        "rating_hidden=3",
        "projections=3",
        "chains=1",
        "burn_in=2",
        "samples=2",
        "spacing=1",
        "frequent_least=10",
        "batch_size=16",
    ],
    "autoencoder": ["hidden=8", "rating_hidden=6", "batch_size=16"],
    "denoising-autoencoder": ["channels=4,8", "blocks=1", "crop=32", "batch_size=4"],
    "variational-autoencoder": ["latent_size=4", "channels=4,6", "hidden=16", "blocks=1", "batch_size=16"],
    "generative-adversarial-network": [
        "latent_size=4",
        "embedding=4",
        "generator_channels=4,4",
        "discriminator_channels=4,4",
        "batch_size=8",
    ],
    "vanilla-generative-adversarial-network": ["latent_size=4", "hidden=8", "judge_hidden=4", "batch_size=8"],
}
"""`--set` for each family: fewer than 20,000 weights."""


@dataclass(frozen=True)
class Exported:
    recipe: Recipe[Any]
    learner: Learner[Any]
    run: Run
    graphs: dict[str, bytes]
    recordings: dict[str, Recording]
    log: bytes


def overrides(name: str) -> list[str]:
    """The `--set` pairs that make recipe `name` tiny."""
    family = recipe.find(name).learner.family  # type: ignore[attr-defined]
    if family not in SETTINGS:
        pytest.fail(f"{name} is of the family {family!r}: add a row with tiny settings for it to tests/tiny.py")
    return SETTINGS[family]


@cache
def twin(name: str) -> Any:
    """The synthetic data of recipe `name`."""
    return recipe.find(name).source.synthetic(0)


def learner(name: str, *changes: str) -> Learner[Any]:
    """An untrained learner of recipe `name`, tiny, with further `key=value` changes."""
    found = recipe.find(name)
    settings = found.settings.changed([*overrides(name), *changes])
    loop.seed(settings.seed, -1)
    return found.learner(settings, twin(name))


@cache
def exported(name: str) -> Exported:
    """Recipe `name`, trained for 24 steps and exported."""
    tiny = learner(name, "steps=24")
    with tempfile.TemporaryDirectory() as folder:
        run = loop.train(tiny, Path(folder), quiet=True)
        log = (Path(folder) / loop.LOG).read_bytes()
    return Exported(recipe.find(name), tiny, run, *export(tiny), log)
