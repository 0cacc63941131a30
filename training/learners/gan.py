"""A class-conditional convolutional GAN.

Goodfellow et al. 2014, with the generator's non-saturating loss, in logits d:

    J_D = mean softplus(-d(x)) + mean softplus(d(G(z)))      (-log D(x) - log(1 - D(G(z))))
    J_G = mean softplus(-d(G(z)))                            (-log D(G(z)))

The discriminator pays for steep slopes at real pictures, R1 = gamma / 2 * |grad_x d(x)|^2 with x counted in -1..1
(Mescheder et al. 2018), taken every sixteenth step, times sixteen. `gan_networks.py` has the networks. Their hidden
convolutions learn by Muon (see `muon.py`) with little momentum, the rest by Adam without any: each network runs after
one that runs away from it.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from models.manifest import Generate
from training.data.labelled import Pictures
from training.learners.gan_networks import Discriminator, Generator
from training.learners.learner import Batch, Export, Learner, Losses
from training.learners.muon import Muon, others
from training.settings import NetworkSettings, TwoScales

ABOUT = """\
A class-conditional GAN of residual blocks: scales and shifts of the generator's normalisation follow from latent and
class, the discriminator has a projection of the class, the loss is the non-saturating one with an R1 penalty on slopes
at real pictures, and what ships is the running average of the generator's weights. One run; another seed may differ."""
"""For the cards of recipes."""
R1_EVERY = 16
SETTLED = 10_000
"""Pictures that the normalisation's statistics are taken from."""


class GanSettings(NetworkSettings):
    latent_size: Annotated[int, Field(ge=1, description="length of the latent vector")] = 128
    embedding: Annotated[int, Field(ge=1, description="length of the generator's class embedding")] = 32
    generator_channels: Annotated[TwoScales, Field(description="at 1/4 and 1/2 of the side")] = (128, 64)
    discriminator_channels: Annotated[TwoScales, Field(description="at 1/2 and 1/4 of the side")] = (64, 128)
    muon_rate: Annotated[
        float, Field(gt=0, description="as learning_rate, of the convolutions between the first and the last layer")
    ] = 0.02
    r1_gamma: Annotated[float, Field(ge=0, description="weight of the penalty on slopes at real pictures")] = 0.5


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """J_D from the logits of real and generated pictures."""
    return functional.softplus(-real).mean() + functional.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """J_G, non-saturating, from the logits of generated pictures."""
    return functional.softplus(-fake).mean()


class OneClass(nn.Module):
    """A generator of pictures without classes: latent [B,Z] -> image [B,C,H,W]."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, latent: Tensor) -> Tensor:
        return self.generator(latent, torch.zeros_like(latent[:, 0], dtype=torch.int64))


class Gan(Learner[GanSettings]):
    """Trains the pair in two phases a step; the averaged generator is what ships.

    Pictures without classes are all of one class, which the exported graph does not ask for.
    """

    family = "generative-adversarial-network"

    def __init__(self, settings: GanSettings, data: Pictures) -> None:
        super().__init__(settings, data.sha256)
        self.data = data
        self.classes = max(1, len(data.classes))
        self.generator = Generator(
            settings.latent_size, settings.embedding, settings.generator_channels, self.classes, data.shape
        )
        self.discriminator = Discriminator(settings.discriminator_channels, self.classes, data.shape)
        self.images = torch.from_numpy(data.train.images.copy())
        self.labels = torch.from_numpy(data.train.labels.copy()).long()
        self.register_buffer("turn", torch.zeros((), dtype=torch.int64))
        self.turn: Tensor

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"discriminator": self._optimizer(self.discriminator), "generator": self._optimizer(self.generator)}

    def _optimizer(self, network: Discriminator | Generator) -> Muon:
        hidden = network.hidden()
        return Muon(
            hidden,
            others(network, hidden),
            rate=self.settings.muon_rate,
            adam_rate=self.settings.learning_rate,
            momentum=0.5,
            betas=(0.0, 0.99),
            precision=torch.bfloat16 if self.settings.precision == "bfloat16" else torch.float32,
        )

    def draw(self) -> Batch:
        """Real pictures [B,C,H,W] in 0..1 with their labels [B], and latents [B,Z]."""
        rows = torch.randint(len(self.images), (self.settings.batch_size,))
        batch = self.images[rows].float() / 255, self.labels[rows], torch.randn(len(rows), self.settings.latent_size)
        return tuple(part.to(self.device) for part in batch)

    def losses(self, phase: str, batch: Batch, progress: float) -> Losses:
        """J_D with its penalty, or J_G. Generated pictures bear the labels of the real ones."""
        image, label, latent = batch
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            if phase == "generator":
                return {"loss": generator_loss(self.discriminator(self.generator(latent, label), label).float())}
            with torch.no_grad():
                fake = self.generator(latent, label)
            loss = discriminator_loss(self.discriminator(image, label).float(), self.discriminator(fake, label).float())
        losses = {"loss": loss}
        if self.turn % R1_EVERY == 0:
            penalty = self.settings.r1_gamma / 2 * self._slope(image, label)
            losses = {"loss": loss + R1_EVERY * penalty, "r1": penalty}
        self.turn += 1
        return losses

    def _slope(self, image: Tensor, label: Tensor) -> Tensor:
        """Mean squared norm of the logit's gradient, with pixels counted in -1..1."""
        image = image.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self.discriminator(image, label).sum(), image, create_graph=True)
        return (gradient / 2).square().sum(dim=(1, 2, 3)).mean()

    @torch.no_grad()
    def settle(self) -> None:
        """Take the normalisation's statistics again: those of training belong to weights that were not averaged."""
        norms = [module for module in self.generator.modules() if isinstance(module, nn.BatchNorm2d)]
        momentum = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over the batches that follow
        self.generator.train()
        for _ in range(-(-SETTLED // self.settings.batch_size)):
            _, label, latent = self.draw()  # classes as frequent, batches as large as those of training
            self.generator(latent, label)
        for norm, value in zip(norms, momentum, strict=True):
            norm.momentum = value

    def exports(self) -> dict[str, Export]:
        latents = [torch.randn(rows, self.settings.latent_size) for rows in (3, 1, 12)]
        if not self.data.classes:
            return {"decode": Export(OneClass(self.generator), [(latent,) for latent in latents], {"image": 1e-4})}
        examples = [(latent, torch.arange(len(latent)) % self.classes) for latent in latents]
        return {"decode": Export(self.generator, examples, {"image": 1e-4})}

    def tasks(self) -> tuple[Generate, ...]:
        channels, height, width = self.data.shape
        return (
            Generate.declare(
                {"decode": 64},
                classes=self.data.classes,
                directions={},
                channels=channels,
                height=height,
                width=width,
                latent_size=self.settings.latent_size,
            ),
        )
