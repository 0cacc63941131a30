"""The one training loop: seeds, schedule, averaged weights, checkpoints, budget, progress, log.

Every step seeds torch anew from the run's seed and the step's number. So a resumed run draws
what the uninterrupted one would have drawn, and on the CPU ends bit for bit where it does.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import threading
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor
from tqdm import tqdm

from training.learners.learner import Learner, SettingsT, mean_losses
from training.revision import revision

CHECKPOINT = "checkpoint.pt"
LOG = "metrics.jsonl"
PACE_STEPS = 20
"""Steps that are timed before a budget in seconds becomes a number of steps."""
PREPARE = -2
"""Numbers the draws of `Learner.prepare` as a step's number does those of a step; -1 are those of a fresh learner."""


Each = Callable[[Callable[[str], dict[str, Tensor]], Iterable[str]], Iterable[dict[str, Tensor]]]
"""Calls the function with every name."""


class Diverged(Exception):
    """A loss or a gradient is not finite; the last checkpoint is from before."""


class Stopped(Exception):
    """The run was asked to stop; its checkpoint resumes it."""


class NoDevice(Exception):
    """The device that was asked for is not usable here."""


class NoCheckpoint(Exception):
    """There is no run to go on from, or none that fits."""


class BudgetError(Exception):
    """The budget is gone before the first step, or comes too late to set the number of steps."""


class Unfinished(Exception):
    """A new run would overwrite one that is not at its end."""


@dataclass
class Run:
    """Where a run stands. `seconds` counts training only, over all its sittings.

    `device` and `code_revision` are those of the last.

    `prepared` of these seconds went before the first step.
    """

    steps: int
    device: str
    code_revision: str
    step: int = 0
    seconds: float = 0.0
    prepared: float = 0.0
    average: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    rows: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    """Figures of the steps since the last line of the log."""


def train(
    learner: Learner[Any],
    folder: Path,
    *,
    resume: bool = False,
    budget: float | None = None,
    stop: threading.Event | None = None,
    checkpoint_seconds: float = 60.0,
    quiet: bool = False,
) -> Run:
    """Train until the last step and leave the averaged weights in `learner`.

    `folder` receives the checkpoint and the log. `budget` is in seconds: the number of steps
    is then set, once, from the pace of the first twenty. Setting `stop` ends the run after the
    step in hand, with a checkpoint.

    Raises:
        Diverged: a loss or a gradient became infinite or not a number.
        Stopped: `stop` was set before the last step.
        BudgetError: preparing took the whole `budget`, or a resumed run is past its first steps. The checkpoint
            holds what was prepared.
        NoCheckpoint: `resume` without one, or with one of other data.
        Unfinished: no `resume`, and `folder` holds a run that was stopped.
    """
    settings = learner.settings
    folder.mkdir(parents=True, exist_ok=True)
    optimizers = learner.optimizers()
    rates = {name: [group["lr"] for group in optimizer.param_groups] for name, optimizer in optimizers.items()}
    run = Run(settings.steps, describe(learner.device), revision())
    if resume:
        run = _load(folder / CHECKPOINT, learner, optimizers)
        run.device, run.code_revision = describe(learner.device), revision()
        _trim(folder / LOG, run.step)
    else:
        _no_other_run(folder / CHECKPOINT)
        begun = time.monotonic()
        seed(settings.seed, PREPARE)
        learner.prepare()
        run.seconds = run.prepared = time.monotonic() - begun
        run.average = {name: value.detach().clone() for name, value in _averaged(learner)}
        (folder / LOG).unlink(missing_ok=True)
        _save(folder / CHECKPOINT, learner, optimizers, run)
    if budget and run.step >= PACE_STEPS:
        raise BudgetError(f"this run has set its number of steps, {run.steps}, already: leave --budget out")
    if budget and run.prepared >= budget:
        raise BudgetError(
            f"preparing took {run.prepared:.0f} s, and the budget is {budget:.0f}: go on with --resume and more of it"
        )
    learner.train()
    saved = started = time.monotonic()
    before, paced = run.seconds, not budget or run.step >= PACE_STEPS
    bar = tqdm(total=run.steps, initial=run.step, unit="step", disable=quiet, smoothing=0.05)
    with bar, _phases(learner, len(optimizers)) as each:
        while run.step < run.steps:
            if stop is not None and stop.is_set():
                _save(folder / CHECKPOINT, learner, optimizers, run)
                raise Stopped(f"stopped at step {run.step} of {run.steps}; --resume goes on from there")
            progress = run.step / run.steps
            for name, optimizer in optimizers.items():
                for group, rate in zip(optimizer.param_groups, rates[name], strict=True):
                    group["lr"] = rate * _schedule(run.step, run.steps, settings.warmup_steps, settings.final_rate)
            run.rows.append(_step(learner, optimizers, each, run.step, progress))
            renewed = learner.revive(run.step + 1)
            _average(learner, run, settings.ema, renewed)
            run.step += 1
            now = time.monotonic()
            run.seconds = before + now - started
            if not paced and run.step == PACE_STEPS and budget:
                pace = (run.seconds - run.prepared) / run.step
                run.steps = max(PACE_STEPS, round((budget - run.prepared) / pace))
                bar.total, paced = run.steps, True
            bar.update()
            if len(run.rows) >= max(1, run.steps // 200) or run.step == run.steps:
                means = mean_losses(run.rows)
                bar.set_postfix({name: f"{value:.4g}" for name, value in means.items()})
                with (folder / LOG).open("a") as log:
                    log.write(json.dumps({"step": run.step, "seconds": round(run.seconds, 2), **means}) + "\n")
                run.rows.clear()
            if run.step == run.steps or now - saved > checkpoint_seconds:
                _save(folder / CHECKPOINT, learner, optimizers, run)
                saved = now
    adopt_average(learner, run)
    return run


def restore(learner: Learner[Any], folder: Path) -> Run:
    """Put the averaged weights of the run in `folder` into `learner`.

    Raises:
        NoCheckpoint: there is none, or it is of other data or of another release.
    """
    run = _load(folder / CHECKPOINT, learner, {})
    adopt_average(learner, run)
    return run


def stored_settings(folder: Path, kind: type[SettingsT]) -> SettingsT:
    """The settings of the run in `folder`.

    Raises:
        NoCheckpoint: there is none, or its settings are not those of this release.
    """
    try:
        return kind.model_validate_json(_stored(folder / CHECKPOINT, torch.device("cpu"))["settings"])
    except ValidationError as error:
        raise NoCheckpoint(f"the run in {folder} has settings of another release: train anew") from error


def adopt_average(learner: Learner[Any], run: Run) -> None:
    """Replace the weights by their running average and let the learner settle on them."""
    with torch.no_grad():
        for name, value in _averaged(learner):
            value.copy_(run.average[name])
    seed(learner.settings.seed, run.step)
    learner.settle()
    learner.eval()


def device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        NoDevice: CUDA was asked for and torch finds none that works.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise NoDevice("--device cuda: torch finds no usable CUDA device here")
    return torch.device(name)


def describe(device: torch.device) -> str:
    """A device in words, for the manifest."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' * (threads > 1)} of a CPU ({platform.machine()})"


def seed(run_seed: int, step: int) -> None:
    """Seed torch's generators, on every device, for one step of one run."""
    mixed = hashlib.sha256(f"{run_seed}/{step}".encode()).digest()
    torch.manual_seed(int.from_bytes(mixed[:8], "big") >> 1)


@contextmanager
def _phases(learner: Learner[Any], count: int) -> Generator[Each]:
    """Phases one after the other or, where they share nothing, at the same time, each with its share of the threads.

    A step of small convolutions gains more from that than from threads within each.
    """
    threads = torch.get_num_threads()
    together = min(count, threads)
    if together == 1 or not learner.independent or learner.device.type != "cpu":
        yield map
        return
    with ThreadPoolExecutor(together, initializer=torch.set_num_threads, initargs=(-(-threads // count),)) as pool:
        yield pool.map


def _step(
    learner: Learner[Any], optimizers: dict[str, torch.optim.Optimizer], each: Each, step: int, progress: float
) -> dict[str, float]:
    seed(learner.settings.seed, step)
    batch = learner.draw()

    def go(phase: str) -> dict[str, Tensor]:
        optimizer = optimizers[phase]
        losses = learner.losses(phase, batch, progress)
        optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        owned = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        losses["gradient"] = torch.nn.utils.clip_grad_norm_(owned, learner.settings.clip_norm)
        optimizer.step()
        return {f"{phase}/{name}": value.detach() for name, value in losses.items()}

    found = {name: float(value) for figures in each(go, optimizers) for name, value in figures.items()}
    for name, value in found.items():
        if not math.isfinite(value):
            raise Diverged(f"{name} is {value} at step {step}; try a lower learning_rate")
    return found


def _schedule(step: int, steps: int, warmup: int, final: float) -> float:
    """Linear rise, then a cosine to `final` (Loshchilov and Hutter, SGDR, 2017), as a share of the highest rate."""
    warmup = min(warmup, steps // 10)
    if step < warmup:
        return (step + 1) / warmup
    position = (step - warmup) / max(1, steps - warmup)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * position))


def _averaged(learner: Learner[Any]) -> list[tuple[str, Tensor]]:
    return list(learner.named_parameters())


@torch.no_grad()
def _average(learner: Learner[Any], run: Run, decay: float, renewed: dict[str, Tensor]) -> None:
    """Polyak averaging; the decay starts low, so that the first weights are soon forgotten.

    Entries that are `renewed` have no past.
    """
    decay = min(decay, (1 + run.step) / (10 + run.step))
    for name, value in _averaged(learner):
        average = run.average[name].lerp_(value, 1 - decay)
        if name in renewed:
            average.copy_(torch.where(renewed[name], value, average))


def _save(path: Path, learner: Learner[Any], optimizers: dict[str, torch.optim.Optimizer], run: Run) -> None:
    hidden = path.with_suffix(".new")
    torch.save(
        {
            "weights": learner.state_dict(),
            "average": run.average,
            "optimizers": {name: optimizer.state_dict() for name, optimizer in optimizers.items()},
            "settings": learner.settings.model_dump_json(),
            "data": learner.data_sha256,
            "steps": run.steps,
            "step": run.step,
            "seconds": run.seconds,
            "prepared": run.prepared,
            "device": run.device,
            "code_revision": run.code_revision,
            "rows": run.rows,
        },
        hidden,
    )
    os.replace(hidden, path)


def _load(path: Path, learner: Learner[Any], optimizers: dict[str, torch.optim.Optimizer]) -> Run:
    state = _stored(path, learner.device)
    if state["data"] != learner.data_sha256:
        raise NoCheckpoint(f"{path} is of other data: name the data it was trained on, or train anew")
    try:
        learner.load_state_dict(state["weights"])
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
    except (RuntimeError, ValueError) as error:  # of weights, and of optimizers
        raise NoCheckpoint(f"{path} is of another release: train anew") from error
    return Run(
        state["steps"], state["device"], state["code_revision"], state["step"], state["seconds"], state["prepared"],
        state["average"], state["rows"],
    )  # fmt: skip


def _no_other_run(path: Path) -> None:
    if path.is_file():
        state = _stored(path, torch.device("cpu"))
        if state["step"] < state["steps"]:
            raise Unfinished(
                f"{path.parent} holds a run that stopped at step {state['step']} of {state['steps']}: "
                "go on with --resume, or delete the folder"
            )


def _trim(log: Path, step: int) -> None:
    """Drop what a killed run wrote after its last checkpoint: those steps come again."""
    lines = log.read_text().splitlines(keepends=True) if log.is_file() else []
    log.write_text("".join(line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step))


def _stored(path: Path, device: torch.device) -> dict[str, Any]:
    if not path.is_file():
        raise NoCheckpoint(f"{path} is not there: train first, without --resume")
    return torch.load(path, map_location=device, weights_only=True)
