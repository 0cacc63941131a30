"""The generative adversarial network of Goodfellow et al. 2014: two perceptrons, no classes.

The generator G maps z ~ N(0, I) to a picture, the discriminator D a picture to the logit d of the
probability that it is real, D(x) = sigmoid(d(x)). With m pictures and m latents a step,

    J_D = -1/m sum log D(x_i) - 1/m sum log(1 - D(G(z_i)))
    J_G = -1/m sum log D(G(z_i))

the second being the paper's non-saturating form (section 3), which gives slopes while D is ahead.
Dropout in the discriminator is the paper's. Later are Adam (Kingma and Ba 2015), with the first decay at one half and
leaky ReLUs as Radford et al. (2015) have them, and the average of the generator's weights, which ships. Nothing
holds the discriminator back.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from models.manifest import Generate
from training.data.labelled import Pictures
from training.learners.gan import discriminator_loss, generator_loss
from training.learners.learner import Batch, Export, Learner, Losses
from training.settings import Settings

ABOUT = """\
The generative adversarial network of Goodfellow et al. (2014): two perceptrons with leaky ReLUs, dropout in the
discriminator, the non-saturating loss, Adam; what ships is the running average of the generator's weights. Nothing
holds the discriminator back, so many kinds of pictures are missing."""
"""For the card of the recipe."""


class VanillaGanSettings(Settings):
    latent_size: Annotated[int, Field(ge=1, description="length of the latent vector")] = 100
    hidden: Annotated[tuple[int, ...], Field(min_length=1, description="of the generator, latent to picture")] = (
        256,
        512,
    )
    judge_hidden: Annotated[
        tuple[int, ...], Field(min_length=1, description="of the discriminator, picture to logit")
    ] = (512, 256)
    dropout: Annotated[float, Field(ge=0, lt=1, description="share of the discriminator's units left out")] = 0.3


class Generator(nn.Module):
    """latent [B,Z] -> image [B,C,H,W] in 0..1."""

    def __init__(self, settings: VanillaGanSettings, shape: tuple[int, int, int]) -> None:
        super().__init__()
        widths = (settings.latent_size, *settings.hidden)
        layers = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.LeakyReLU(0.2))]
        channels, height, width = shape
        self.body = nn.Sequential(*layers, nn.Linear(widths[-1], channels * height * width))
        self.shape = shape

    def forward(self, latent: Tensor) -> Tensor:
        return torch.sigmoid(self.body(latent)).reshape(-1, *self.shape)


class Discriminator(nn.Module):
    """image [B,C,H,W] in 0..1 -> logit [B] that the picture is real."""

    def __init__(self, settings: VanillaGanSettings, shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width = shape
        widths = (channels * height * width, *settings.judge_hidden)
        layers = [
            layer
            for a, b in pairwise(widths)
            for layer in (nn.Linear(a, b), nn.LeakyReLU(0.2), nn.Dropout(settings.dropout))
        ]
        self.body = nn.Sequential(nn.Flatten(), *layers, nn.Linear(widths[-1], 1))

    def forward(self, image: Tensor) -> Tensor:
        return self.body(image * 2 - 1)[:, 0]


class VanillaGan(Learner[VanillaGanSettings]):
    """Trains the pair in two phases a step; the averaged generator is what ships."""

    family = "vanilla-generative-adversarial-network"

    def __init__(self, settings: VanillaGanSettings, data: Pictures) -> None:
        super().__init__(settings, data.sha256)
        self.data = data
        self.generator = Generator(settings, data.shape)
        self.discriminator = Discriminator(settings, data.shape)
        self.images = torch.from_numpy(data.train.images.copy())

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {
            name: torch.optim.Adam(module.parameters(), lr=self.settings.learning_rate, betas=(0.5, 0.999))
            for name, module in (("discriminator", self.discriminator), ("generator", self.generator))
        }

    def draw(self) -> Batch:
        """Real pictures [B,C,H,W] in 0..1 and latents [B,Z]."""
        rows = torch.randint(len(self.images), (self.settings.batch_size,))
        batch = self.images[rows].float() / 255, torch.randn(len(rows), self.settings.latent_size)
        return tuple(part.to(self.device) for part in batch)

    def losses(self, phase: str, batch: Batch, progress: float) -> Losses:
        """J_D or J_G."""
        image, latent = batch
        if phase == "generator":
            return {"loss": generator_loss(self.discriminator(self.generator(latent)))}
        with torch.no_grad():
            fake = self.generator(latent)
        return {"loss": discriminator_loss(self.discriminator(image), self.discriminator(fake))}

    def exports(self) -> dict[str, Export]:
        examples = [(torch.randn(rows, self.settings.latent_size),) for rows in (3, 1, 12)]
        return {"decode": Export(self.generator, examples, {"image": 1e-4})}

    def tasks(self) -> tuple[Generate, ...]:
        channels, height, width = self.data.shape
        size = self.settings.latent_size
        facts = {"channels": channels, "height": height, "width": width, "latent_size": size}
        return (Generate.declare({"decode": 64}, classes=(), directions={}, **facts),)
