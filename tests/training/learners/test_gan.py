import json
import math
import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests import tiny
from training import loop
from training.learners.gan import SETTLED, Gan, discriminator_loss, generator_loss


def learner(*changes: str) -> Gan:
    found = tiny.learner("digits-gan", *changes)
    assert isinstance(found, Gan)
    return found


def batch(gan: Gan) -> tuple[Tensor, ...]:
    torch.manual_seed(0)
    return gan.draw()


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_the_objectives_are_those_of_the_paper() -> None:
    real, fake = [0.3, -1.2, 4.0], [0.7, -2.0]
    d = torch.tensor(real, dtype=torch.float64), torch.tensor(fake, dtype=torch.float64)
    of_real = sum(-math.log(sigmoid(x)) for x in real) / 3
    of_fake = sum(-math.log(1 - sigmoid(x)) for x in fake) / 2
    assert discriminator_loss(*d).item() == pytest.approx(of_real + of_fake, abs=1e-12)
    assert generator_loss(d[1]).item() == pytest.approx(sum(-math.log(sigmoid(x)) for x in fake) / 2, abs=1e-12)


def test_the_objectives_bear_logits_of_any_size() -> None:
    far = torch.tensor([200.0, -200.0])
    assert discriminator_loss(far, far).item() == pytest.approx(200)
    assert generator_loss(far).item() == pytest.approx(100)


def test_the_penalty_is_the_squared_slope_at_real_pictures() -> None:
    gan = learner("batch_size=2", "r1_gamma=0.7").double()
    image, label, latent = (part.double() if part.is_floating_point() else part for part in batch(gan))
    losses = gan.losses("discriminator", (image, label, latent), 0.0)

    def logit(shift: Tensor) -> Tensor:
        return gan.discriminator(image + shift.view_as(image), label).sum()

    step = 1e-6
    shifts = torch.eye(image.numel(), dtype=torch.float64) * step
    with torch.no_grad():
        ends = [torch.stack([logit(sign * shift) for shift in shifts]) for sign in (1, -1)]
    # Pixels count in -1..1, twice as wide as 0..1: the slope is half as steep.
    slope = (ends[0] - ends[1]) / (2 * step) / 2
    penalty = 0.7 / 2 * slope.square().sum().item() / len(image)
    assert losses["r1"].item() == pytest.approx(penalty, rel=1e-5)
    with torch.no_grad():
        bare = gan.losses("discriminator", (image, label, latent), 0.0)
    assert "r1" not in bare
    assert losses["loss"].item() == pytest.approx(bare["loss"].item() + 16 * penalty, rel=1e-6)


def test_the_penalty_has_a_gradient_where_all_pictures_agree() -> None:
    gan = learner()
    image, label, latent = batch(gan)
    losses = gan.losses("discriminator", (image[:1].expand_as(image), label, latent), 0.0)
    assert "r1" in losses
    losses["loss"].backward()
    assert all(parameter.grad.isfinite().all() for parameter in gan.discriminator.parameters())  # type: ignore[union-attr]


def test_the_penalty_comes_every_sixteenth_step_also_after_a_resume(tmp_path: Path) -> None:
    class Stopping(Gan):
        """Sets `stop` in its fifth step."""

        stop = threading.Event()

        def draw(self) -> tuple[Tensor, ...]:
            if self.turn == 4:
                self.stop.set()
            return super().draw()

    settings, data = learner("steps=34").settings, tiny.twin("digits-gan")
    with pytest.raises(loop.Stopped):
        loop.train(Stopping(settings, data), tmp_path, stop=Stopping.stop, quiet=True)
    loop.train(Gan(settings, data), tmp_path, resume=True, quiet=True)
    lines = [json.loads(line) for line in (tmp_path / loop.LOG).read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 35))
    assert [line["step"] for line in lines if "discriminator/r1" in line] == [1, 17, 33]


@pytest.mark.parametrize("phase", ["discriminator", "generator"])
def test_a_phase_changes_its_own_network_only(phase: str) -> None:
    gan = learner()
    optimizers = gan.optimizers()
    assert list(optimizers) == ["discriminator", "generator"]
    before = {name: value.detach().clone() for name, value in gan.named_parameters()}
    gan.losses(phase, batch(gan), 0.0)["loss"].backward()
    optimizers[phase].step()
    changed = {name.split(".")[0] for name, value in gan.named_parameters() if not torch.equal(value, before[name])}
    assert changed == {phase}


def test_the_discriminator_is_not_led_by_the_generator() -> None:
    gan = learner()
    gan.losses("discriminator", batch(gan), 0.0)["loss"].backward()
    assert all(parameter.grad is None for parameter in gan.generator.parameters())


def test_settling_takes_the_statistics_of_the_weights_in_place() -> None:
    gan = learner()
    norms = [module for module in gan.generator.modules() if isinstance(module, nn.BatchNorm2d)]
    gan.losses("generator", batch(gan), 0.0)
    with torch.no_grad():
        gan.generator.dense.weight.mul_(3)
        gan.generator.grow.convolution.weight.mul_(2)
    stale = [norm.running_mean.clone() for norm in norms]  # type: ignore[union-attr]
    torch.manual_seed(9)
    gan.settle()
    settled = [(norm.running_mean.clone(), norm.running_var.clone()) for norm in norms]  # type: ignore[union-attr]
    seen: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {norm: [] for norm in norms}

    def note(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[norm].append((inputs[0].mean(dim=(0, 2, 3)), inputs[0].var(dim=(0, 2, 3))))

    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    torch.manual_seed(9)
    with torch.no_grad():
        for _ in range(-(-SETTLED // gan.settings.batch_size)):  # in training, so by the statistics of the batch
            _, label, latent = gan.draw()
            gan.generator(latent, label)
    for hook in hooks:
        hook.remove()
    assert len(norms) == 6
    for norm, (mean, variance), old in zip(norms, settled, stale, strict=True):
        means, variances = zip(*seen[norm], strict=True)
        torch.testing.assert_close(mean, torch.stack(means).mean(dim=0), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(variance, torch.stack(variances).mean(dim=0), atol=1e-4, rtol=1e-4)
        assert norm.momentum == nn.BatchNorm2d(1).momentum
        assert not torch.allclose(mean, old, atol=1e-3)


def test_the_class_changes_the_picture() -> None:
    gan = tiny.exported("digits-gan").learner
    assert isinstance(gan, Gan)
    torch.manual_seed(0)
    latent = torch.randn(1, 4).expand(10, -1)
    with torch.no_grad():
        pictures = gan.generator(latent, torch.arange(10))
    assert pictures.shape == (10, 1, 28, 28)
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    assert len(pictures.flatten(1).unique(dim=0)) == 10
