import pytest
import torch
from torch import Tensor

from tests import tiny
from training.learners.gan import discriminator_loss, generator_loss
from training.learners.vanilla_gan import VanillaGan


def learner(*changes: str) -> VanillaGan:
    found = tiny.learner("digits-vanilla-gan", *changes)
    assert isinstance(found, VanillaGan)
    return found


def batch(gan: VanillaGan) -> tuple[Tensor, ...]:
    torch.manual_seed(0)
    return gan.draw()


def test_each_phase_follows_its_objective() -> None:
    gan = learner("dropout=0")
    image, latent = batch(gan)
    real, fake = gan.discriminator(image), gan.discriminator(gan.generator(latent))
    torch.testing.assert_close(
        gan.losses("discriminator", (image, latent), 0.0)["loss"], discriminator_loss(real, fake)
    )
    torch.testing.assert_close(gan.losses("generator", (image, latent), 0.0)["loss"], generator_loss(fake))


@pytest.mark.parametrize("phase", ["discriminator", "generator"])
def test_a_phase_changes_its_own_network_only(phase: str) -> None:
    gan = learner()
    before = {name: value.detach().clone() for name, value in gan.named_parameters()}
    gan.losses(phase, batch(gan), 0.0)["loss"].backward()
    gan.optimizers()[phase].step()
    changed = {name.split(".")[0] for name, value in gan.named_parameters() if not torch.equal(value, before[name])}
    assert changed == {phase}


def test_latents_become_pictures() -> None:
    gan = learner()
    with torch.no_grad():
        pictures = gan.generator(torch.randn(3, 4))
    assert pictures.shape == (3, 1, 28, 28)
    assert pictures.min() > 0
    assert pictures.max() < 1
    assert len(pictures.flatten(1).unique(dim=0)) == 3
