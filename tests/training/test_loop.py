import json
import math
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.manifest import Generate
from tests import tiny
from training import loop, recipe
from training.learners import colour_and_grey
from training.learners.learner import Export, Learner
from training.learners.movie_rbm import MovieRbm
from training.learners.rbm import Rated
from training.learners.vae import Vae, VaeSettings
from training.learners.vanilla_gan import VanillaGan
from training.loop import BudgetError, Diverged, NoCheckpoint, Run, Stopped, Unfinished
from training.settings import Settings


class Slope(Learner[Settings]):
    """One weight on a slope of 1: each step of SGD lowers it by exactly the rate.

    `path` is the weight before every step. At step `wrong` (counted by the learner) the loss is
    `value`; `stop` is set in step `stop_at`.
    """

    family = "slope"

    def __init__(
        self, settings: Settings, wrong: dict[int, float] | None = None, stop_at: int = -1, data: str = ""
    ) -> None:
        super().__init__(settings, data)
        self.weight = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.wrong, self.stop_at = wrong or {}, stop_at
        self.path: list[float] = []
        self.stop = threading.Event()

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"fall": torch.optim.SGD([self.weight], lr=self.settings.learning_rate)}

    def draw(self) -> tuple[Tensor, ...]:
        self.path.append(self.weight.item())
        if len(self.path) == self.stop_at:
            self.stop.set()
        return ()

    def losses(self, phase: str, batch: tuple[Tensor, ...], progress: float) -> dict[str, Tensor]:
        return {"loss": self.weight * self.wrong.get(len(self.path) - 1, 1.0)}

    def exports(self) -> dict[str, Export]:
        return {}

    def tasks(self) -> tuple[Generate, ...]:
        return ()


class Root(Slope):
    """Its loss is finite and its slope is not."""

    def losses(self, phase: str, batch: tuple[Tensor, ...], progress: float) -> dict[str, Tensor]:
        return {"loss": (self.weight * 0).sqrt() if len(self.path) == 4 else self.weight}


def settings(**changes: Any) -> Settings:
    return Settings(**{"steps": 100, "batch_size": 1, "learning_rate": 1.0, "warmup_steps": 10} | changes)


def train(learner: Learner[Any], folder: Path, **options: Any) -> Run:
    return loop.train(learner, folder, quiet=True, **options)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / loop.LOG).read_text().splitlines()]


def tick(monkeypatch: pytest.MonkeyPatch, seconds: float = 1.0) -> None:
    """A clock on which every look takes `seconds`."""
    now = [0.0]

    def monotonic() -> float:
        now[0] += seconds
        return now[0]

    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=monotonic))


# Schedule and average.


def test_the_rate_rises_and_falls_exactly_as_written(tmp_path: Path) -> None:
    slope = Slope(settings(final_rate=0.1, ema=0.0))
    train(slope, tmp_path)
    rates = -np.diff([*slope.path, slope.weight.item()])
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)], abs=1e-12)
    assert rates[10] == pytest.approx(1, abs=1e-12)
    assert rates[55] == pytest.approx((1 + 0.1) / 2, abs=1e-12)
    cosine = [0.1 + 0.9 * (1 + math.cos(math.pi * (step - 10) / 90)) / 2 for step in range(10, 100)]
    assert rates[10:] == pytest.approx(cosine, abs=1e-12)


@pytest.mark.parametrize(("warmup", "first"), [(0, 1.0), (1000, 0.1)])
def test_the_rise_takes_a_tenth_of_the_run_at_most(tmp_path: Path, warmup: int, first: float) -> None:
    slope = Slope(settings(warmup_steps=warmup))
    train(slope, tmp_path)
    assert -slope.path[1] == pytest.approx(first, abs=1e-12)
    assert slope.path[10] - slope.path[11] == pytest.approx(1.0, abs=0.03)


def test_a_long_gradient_is_cut(tmp_path: Path) -> None:
    slope = Slope(settings(warmup_steps=0, final_rate=1.0, clip_norm=2.0), wrong={3: 50.0, 4: 1.5})
    train(slope, tmp_path)
    steps = -np.diff(slope.path)[:6]
    assert steps == pytest.approx([1, 1, 1, 2, 1.5, 1], abs=1e-5)
    assert [line["fall/gradient"] for line in lines(tmp_path)[:6]] == pytest.approx([1, 1, 1, 50, 1.5, 1])


@pytest.mark.parametrize("steps", [6, 100])
def test_the_averaged_weights_are_those_of_a_hand_made_loop(tmp_path: Path, steps: int) -> None:
    slope = Slope(settings(ema=0.6, steps=steps))
    run = train(slope, tmp_path)
    state = torch.load(tmp_path / loop.CHECKPOINT, weights_only=True)
    weights = [*slope.path[1:], state["weights"]["weight"].item()]
    average = 0.0
    for step, weight in enumerate(weights):
        decay = min(0.6, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * weight
    assert run.average["weight"].item() == pytest.approx(average, abs=1e-12)
    assert slope.weight.item() == run.average["weight"].item()
    assert slope.weight.item() != pytest.approx(weights[-1])


class Renewed(Slope):
    """In the tenth step its weight begins anew, at 5."""

    @torch.no_grad()
    def revive(self, step: int) -> dict[str, Tensor]:
        if step != 10:
            return {}
        self.weight.fill_(5)
        return {"weight": torch.ones((), dtype=torch.bool)}


def test_the_average_of_a_weight_that_begins_anew_begins_anew(tmp_path: Path) -> None:
    assert train(Renewed(settings(ema=0.6, steps=10)), tmp_path / "at once").average["weight"] == 5
    one_more = train(Renewed(settings(ema=0.6, steps=11)), tmp_path / "one more")
    last = torch.load(tmp_path / "one more" / loop.CHECKPOINT, weights_only=True)["weights"]["weight"].item()
    decay = (1 + 10) / (10 + 10)
    assert one_more.average["weight"].item() == pytest.approx(decay * 5 + (1 - decay) * last)


# The log, the budget, the end.


def test_the_log_is_json_and_its_steps_rise(tmp_path: Path) -> None:
    slope = Slope(settings(steps=450))
    train(slope, tmp_path)
    found = lines(tmp_path)
    assert [line["step"] for line in found] == list(range(2, 451, 2)), "about 200 lines a run"
    assert all(set(line) == {"step", "seconds", "fall/loss", "fall/gradient"} for line in found)
    assert found[0]["fall/loss"] == pytest.approx((slope.path[0] + slope.path[1]) / 2), "a mean over the steps"
    assert [line["seconds"] for line in found] == sorted(line["seconds"] for line in found)


def test_a_new_run_starts_a_new_log(tmp_path: Path) -> None:
    for _ in range(2):
        train(Slope(settings(steps=3)), tmp_path)
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 3]


@pytest.mark.parametrize(("budget", "steps"), [(51.0, 50), (2.0, 20), (411.0, 410)])
def test_a_budget_in_seconds_sets_the_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: float, steps: int
) -> None:
    tick(monkeypatch)
    slope = Slope(settings(steps=8000))
    run = train(slope, tmp_path, budget=budget)
    assert (run.steps, run.step, len(slope.path), run.seconds) == (steps, steps, steps, steps + 1)
    assert run.prepared == 1
    found = [line["step"] for line in lines(tmp_path)]
    assert found[:2] == [20, 20 + max(1, steps // 200)] if steps > 20 else [20]
    assert found[-1] == steps


def test_a_budget_holds_for_a_run_that_is_stopped_before_its_pace_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick(monkeypatch)
    first = Slope(settings(steps=8000), stop_at=5)
    with pytest.raises(Stopped):
        train(first, tmp_path, budget=31.0, stop=first.stop)
    assert train(Slope(settings(steps=8000)), tmp_path, budget=31.0, resume=True).steps == 30
    with pytest.raises(BudgetError, match="its number of steps, 30, already"):
        train(Slope(settings(steps=8000)), tmp_path, budget=99.0, resume=True)


def test_a_budget_that_preparing_uses_up_is_refused_and_what_was_prepared_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick(monkeypatch)
    with pytest.raises(BudgetError, match="preparing took 1 s"):
        train(Prepared(settings(steps=8000)), tmp_path, budget=0.5)
    resumed = Prepared(settings(steps=8000))
    assert train(resumed, tmp_path, budget=31.0, resume=True).steps == 30
    assert resumed.calls == 0


def test_a_stop_while_preparing_keeps_what_was_prepared(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped, match="step 0 of"):
        train(Prepared(settings()), tmp_path, stop=stop)
    whole, resumed = Prepared(settings()), Prepared(settings())
    train(whole, tmp_path / "whole")
    train(resumed, tmp_path, resume=True)
    assert resumed.calls == 0
    assert resumed.path == whole.path


class Prepared(Slope):
    """Starts where a draw says, and keeps a second draw in a buffer."""

    def __init__(self, settings: Settings, stop_at: int = -1) -> None:
        super().__init__(settings, stop_at=stop_at)
        self.register_buffer("kept", torch.zeros(()))
        self.kept: Tensor
        self.calls = 0

    @torch.no_grad()
    def prepare(self) -> None:
        self.calls += 1
        self.weight.copy_(torch.rand(()))
        self.kept.copy_(torch.rand(()))


def test_a_new_run_is_prepared_once_and_a_resumed_one_is_not(tmp_path: Path) -> None:
    whole, stopped, resumed = (Prepared(settings(), stop_at) for stop_at in (-1, 7, -1))
    train(whole, tmp_path / "whole")
    with pytest.raises(Stopped):
        train(stopped, tmp_path / "stopped", stop=stopped.stop)
    train(resumed, tmp_path / "stopped", resume=True)
    assert [learner.calls for learner in (whole, stopped, resumed)] == [1, 1, 0]
    assert whole.path[0] == stopped.path[0] != 0
    assert whole.kept == stopped.kept == resumed.kept != 0
    assert torch.equal(whole.weight, resumed.weight)


def test_preparation_is_seeded_and_the_average_starts_from_it(tmp_path: Path) -> None:
    starts: list[float] = []
    for place, seed in enumerate((0, 0, 1)):
        torch.manual_seed(place)
        learner = Prepared(settings(steps=1, seed=seed, learning_rate=1e-9, ema=0.999))
        run = train(learner, tmp_path / str(place))
        starts.append(learner.path[0])
        assert run.average["weight"].item() == pytest.approx(learner.path[0], abs=1e-8)
    assert starts[0] == starts[1] != starts[2]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_run_and_leaves_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    tick(monkeypatch)
    with pytest.raises(Diverged, match=r"fall/loss is (nan|-inf) at step 30; try a lower learning_rate"):
        train(Slope(settings(), wrong={30: value}), tmp_path, checkpoint_seconds=8)
    healed = Slope(settings())
    run = loop.restore(healed, tmp_path)
    assert run.step == 27, "every ninth second"
    assert healed.weight.isfinite()
    undisturbed = Slope(settings())
    resumed = train(Slope(settings()), tmp_path, resume=True)
    assert resumed.average["weight"].item() == train(undisturbed, tmp_path / "other").average["weight"].item()


def test_a_gradient_that_is_not_finite_ends_the_run_before_it_spoils_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick(monkeypatch)
    with pytest.raises(Diverged, match="fall/gradient is nan at step 3"):
        train(Root(settings()), tmp_path, checkpoint_seconds=0)
    kept = Root(settings())
    assert loop.restore(kept, tmp_path).step == 3
    assert kept.weight.isfinite()


def test_a_stop_on_the_last_step_is_no_stop(tmp_path: Path) -> None:
    slope = Slope(settings(steps=7), stop_at=7)
    assert train(slope, tmp_path, stop=slope.stop).step == 7


def test_what_a_killed_run_logged_after_its_checkpoint_is_logged_once(tmp_path: Path) -> None:
    first = Slope(settings(steps=450), stop_at=101)
    with pytest.raises(Stopped, match="stopped at step 101 of 450; --resume goes on from there"):
        train(first, tmp_path / "killed", stop=first.stop)
    with (tmp_path / "killed" / loop.LOG).open("a") as log:
        log.write('{"step": 102, "seconds": 9.0, "fall/loss": 1.0}\n{"step": 104, "seco')
    train(Slope(settings(steps=450)), tmp_path / "killed", resume=True)
    train(Slope(settings(steps=450)), tmp_path / "whole")
    for folder in ("killed", "whole"):
        shutil.move(tmp_path / folder / loop.LOG, tmp_path / f"{folder}.jsonl")
    found, expected = (
        [json.loads(line) for line in (tmp_path / f"{folder}.jsonl").read_text().splitlines()]
        for folder in ("killed", "whole")
    )
    assert [line | {"seconds": 0} for line in found] == [line | {"seconds": 0} for line in expected]


def test_without_a_checkpoint_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    for attempt in (
        lambda: train(Slope(settings()), tmp_path, resume=True),
        lambda: loop.restore(Slope(settings()), tmp_path),
        lambda: loop.stored_settings(tmp_path, Settings),
    ):
        with pytest.raises(NoCheckpoint, match=r"checkpoint\.pt is not there: train first, without --resume"):
            attempt()


def test_a_run_keeps_its_settings(tmp_path: Path) -> None:
    kept = settings(steps=3, seed=9, ema=0.5)
    train(Slope(kept), tmp_path)
    assert loop.stored_settings(tmp_path, Settings) == kept


# Every recipe.


class Watch:
    """A stop event that is set in step `step`: it is asked before each."""

    def __init__(self, step: int) -> None:
        self.left = step + 1

    def is_set(self) -> bool:
        self.left -= 1
        return self.left <= 0


def state(folder: Path) -> dict[str, Any]:
    found = torch.load(folder / loop.CHECKPOINT, weights_only=True)
    del found["seconds"], found["prepared"]
    return found


def same(first: Any, second: Any) -> bool:
    """Bit for bit."""
    if isinstance(first, Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return bool(first == second)


@pytest.mark.parametrize("name", recipe.names())
def test_equal_seeds_and_stopped_runs_end_bit_for_bit_alike(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve steps, twelve again, and five, a stop and seven more; another seed ends elsewhere."""
    monkeypatch.setattr(colour_and_grey, "PATIENCE", 4)  # so that dead channels are looked for in so few steps
    ends = [train(tiny.learner(name, "steps=12"), tmp_path / folder) for folder in ("once", "again")]
    with pytest.raises(Stopped, match="stopped at step 5 of 12"):
        train(tiny.learner(name, "steps=12"), tmp_path / "stopped", stop=Watch(5))
    assert state(tmp_path / "stopped")["step"] == 5
    resumed = tiny.learner(name, "steps=12")
    with torch.no_grad():
        for parameter in resumed.parameters():
            parameter.add_(1)  # nothing of the fresh learner may survive
    ends.append(train(resumed, tmp_path / "stopped", resume=True))
    logs = [[line | {"seconds": 0} for line in lines(tmp_path / folder)] for folder in ("once", "again", "stopped")]
    assert [line["step"] for line in logs[0]] == list(range(1, 13))
    assert logs[1] == logs[0]
    assert logs[2] == logs[0]
    for folder, end in (("again", ends[1]), ("stopped", ends[2])):
        assert same(state(tmp_path / "once"), state(tmp_path / folder))
        assert same(ends[0].average, end.average)
    train(tiny.learner(name, "steps=12", "seed=1"), tmp_path / "other")
    assert not same(state(tmp_path / "once")["average"], state(tmp_path / "other")["average"])


@pytest.mark.parametrize("name", recipe.names())
def test_a_restored_run_is_the_trained_one(name: str, tmp_path: Path) -> None:
    trained, restored = tiny.learner(name, "steps=3"), tiny.learner(name, "steps=3")
    run = train(trained, tmp_path)
    assert loop.restore(restored, tmp_path).step == run.step == 3
    assert same(dict(trained.state_dict()), dict(restored.state_dict()))
    assert not trained.training
    assert not restored.training


def elbo(learner: Learner[Any]) -> float:
    """The VAE's loss on a fixed batch with fixed noise."""
    assert isinstance(learner, Vae)
    loop.seed(7, 7)
    return -learner.losses("elbo", learner.draw(), 1.0)["elbo"].item()


def restoration(learner: Learner[Any]) -> float:
    loop.seed(7, 7)
    return learner.losses("colour", learner.draw(), 1.0)["loss"].item()


EAGER = 3
"""Nats by which an item that hidden units are sure of is more probable than one that they rule out."""


def expectation(learner: Learner[Any]) -> float:
    """Nats of a hidden rating of a fixed batch, among what is not told, if the hidden units' expectation says which.

    Every third rating is hidden. A fresh machine knows nothing: the logarithm of the number of items is its surprise.
    """
    assert isinstance(learner, MovieRbm)
    machine = learner.machine
    loop.seed(7, 7)
    row, item, liked = learner.draw()
    hidden = torch.arange(len(row)) % 3 == 0
    told = Rated(learner.settings.batch_size, row[~hidden], item[~hidden], liked[~hidden])
    expected = machine.posterior(told)[2] @ machine.weight.T
    expected[told.user, told.item] = -math.inf
    share = expected.mul(EAGER).log_softmax(dim=1)
    return -share[row[hidden], item[hidden]].mean().item()


def distance(learner: Learner[Any]) -> float:
    """Of the mean generated picture from the mean real one."""
    loop.seed(7, 7)
    labels = () if isinstance(learner, VanillaGan) else (torch.arange(200) % 10,)
    generated = learner.generator(torch.randn(200, 4), *labels)
    return (generated.mean(dim=0) - learner.images.float().mean(dim=0) / 255).square().mean().item()


def gaps(learner: Learner[Any]) -> float:
    """What both autoencoders of a recommender lose on a fixed batch."""
    loop.seed(7, 7)
    batch = learner.draw()
    return sum(learner.losses(phase, batch, 1.0)["loss"].item() for phase in ("ranking", "rating"))


FALLS: dict[str, tuple[Callable[[Learner[Any]], float], list[str], float]] = {
    "variational-autoencoder": (elbo, ["steps=60", "learning_rate=5e-3"], 0.75),
    "denoising-autoencoder": (restoration, ["steps=60", "learning_rate=5e-3"], 0.8),
    "restricted-boltzmann-machine": (expectation, ["steps=100", "learning_rate=0.02"], 0.9),
    "autoencoder": (gaps, ["steps=200", "learning_rate=5e-3", "rating_learning_rate=5e-3"], 0.95),
    "vanilla-generative-adversarial-network": (distance, ["steps=200", "learning_rate=5e-3"], 0.75),
    "generative-adversarial-network": (distance, ["steps=60", "learning_rate=5e-3"], 0.5),
}
"""By family: what must fall on the synthetic twin, with which settings, and to which share at least."""


@pytest.mark.parametrize("name", recipe.names())
def test_every_family_learns_something_true(name: str, tmp_path: Path) -> None:
    family = recipe.find(name).learner.family  # type: ignore[attr-defined]
    assert family in FALLS, f"add a row for {family} to this test"
    measure, changes, share = FALLS[family]
    learner = tiny.learner(name, "ema=0.5", *changes)
    with torch.no_grad():
        before = measure(learner)
    train(learner, tmp_path)
    with torch.no_grad():
        after = measure(learner)
    assert after < share * before, f"{before:.4g} -> {after:.4g}"


def test_a_run_goes_on_with_no_other_data(tmp_path: Path) -> None:
    train(Slope(settings(), data="one"), tmp_path)
    for use in (lambda: train(Slope(settings(), data="two"), tmp_path, resume=True),
                lambda: loop.restore(Slope(settings(), data="two"), tmp_path)):  # fmt: skip
        with pytest.raises(NoCheckpoint, match="other data"):
            use()
    assert loop.restore(Slope(settings(), data="one"), tmp_path).step == 100


def test_a_new_run_overwrites_a_finished_one_only(tmp_path: Path) -> None:
    stopped = Slope(settings(), stop_at=7)
    with pytest.raises(Stopped):
        train(stopped, tmp_path, stop=stopped.stop)
    with pytest.raises(Unfinished, match="step 7 of 100: go on with --resume, or delete"):
        train(Slope(settings()), tmp_path)
    train(Slope(settings()), tmp_path, resume=True)
    assert train(Slope(settings()), tmp_path).step == 100


def test_a_stored_run_of_another_release_is_refused_in_words(tmp_path: Path) -> None:
    train(Slope(VaeSettings(steps=1, batch_size=1, learning_rate=1.0)), tmp_path)
    assert loop.stored_settings(tmp_path, VaeSettings).latent_size == 24
    with pytest.raises(NoCheckpoint, match="another release"):
        loop.stored_settings(tmp_path, Settings)  # to which `latent_size` is unknown


def test_a_stored_network_of_another_release_is_refused_in_words(tmp_path: Path) -> None:
    train(Slope(settings(steps=1)), tmp_path)
    other = Slope(settings(steps=1))
    other.register_buffer("further", torch.zeros(()))
    with pytest.raises(NoCheckpoint, match="another release: train anew"):
        loop.restore(other, tmp_path)


def test_a_run_of_another_optimizer_ends_as_it_is_but_goes_no_further(tmp_path: Path) -> None:
    class Otherwise(Slope):
        def optimizers(self) -> dict[str, torch.optim.Optimizer]:
            groups = [{"params": [self.weight]}, {"params": [nn.Parameter(torch.zeros(()))]}]
            return {"fall": torch.optim.SGD(groups, lr=self.settings.learning_rate)}

    train(Slope(settings(steps=1)), tmp_path)
    assert loop.restore(Otherwise(settings(steps=1)), tmp_path).step == 1
    with pytest.raises(NoCheckpoint, match="another release: train anew"):
        train(Otherwise(settings(steps=1)), tmp_path, resume=True)


@pytest.mark.parametrize("name", ["photo-dae", "digits-vae", "digits-gan"])
def test_half_precision_runs_the_forward_pass_only(name: str, tmp_path: Path) -> None:
    whole, half = (tiny.learner(name, "steps=3", f"precision={kind}") for kind in ("float32", "bfloat16"))
    figures: list[dict[str, float]] = []
    for place, learner in enumerate((whole, half)):
        train(learner, tmp_path / str(place))
        assert all(parameter.dtype == torch.float32 for parameter in learner.parameters())
        lines = (tmp_path / str(place) / loop.LOG).read_text().splitlines()
        figures.append({key: value for key, value in json.loads(lines[0]).items() if key.endswith("/loss")})
    assert figures[0] != figures[1], "the setting changes nothing"
    for key, value in figures[0].items():
        assert figures[1][key] == pytest.approx(value, rel=0.02)
