"""A denoising autoencoder: noisy picture and noise level in, clean picture out.

Vincent, Larochelle, Bengio, Manzagol, "Extracting and composing robust features with denoising
autoencoders", ICML 2008: corrupt x to x~ and minimise the distance of g(f(x~)) to x. Here f and
g are the two halves of a U-Net.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from models.manifest import Denoise
from training.data.photographs import Photographs
from training.learners.colour_and_grey import ColourAndGrey
from training.learners.learner import Batch, Export, Losses
from training.learners.noise_level import NoiseLevel, defaced
from training.learners.unet import LEARN, Network, UNetSettings

ABOUT = """\
A U-Net of residual blocks on pictures whose 2x2 pixels were moved into channels, one for colour and one for grey, told
the level of the noise; a third, small network estimates it.

"""
IN_INTEGERS = """\
The U-Nets of photo-dae, one for colour and one for grey, trained on with weights and features rounded to 8-bit
integers. First layer, first block, the sum that the last layer takes and that layer are in float: there rounding would
be seen most. A third, small network estimates the level of the noise.

"""
"""For the cards of recipes."""


class DaeSettings(UNetSettings):
    contrast: Annotated[float, Field(ge=1, description="by which half of the crops are stretched at most")] = 2.0
    sigma_max: Annotated[float, Field(gt=0, description="strongest noise, on the 0..255 scale")] = 75.0
    sigma_power: Annotated[
        float, Field(gt=0, description="sigma is sigma_max times a uniform number to this power: more draws weak noise")
    ] = 1.5
    level_error: Annotated[float, Field(ge=0, lt=1, description="share by which the told sigma is off at most")] = 0.1
    learn: Annotated[tuple[Network, ...], LEARN] = ("colour", "grey", "estimate")
    clipped_share: Annotated[float, Field(ge=0, le=1, description="share of crops rounded and clipped to 8 bit")] = 0.5


class Dae(ColourAndGrey[DaeSettings]):
    """Trains two `UNet` and a `NoiseLevel` on random crops with fresh Gaussian noise."""

    def __init__(self, settings: DaeSettings, data: Photographs) -> None:
        super().__init__(settings, data, told=True)
        self.noise_level = NoiseLevel()

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        if "estimate" not in self.settings.learn:
            return super().optimizers()
        estimate = torch.optim.Adam(self.noise_level.parameters(), lr=self.settings.learning_rate)
        return super().optimizers() | {"estimate": estimate}

    def draw(self) -> Batch:
        """Clean crops [B,C,S,S] in 0..1, noisy ones, the sigma [B] of each and the one told: in colour, then grey."""
        clean = self._stretched(self.crops.draw(self.settings.batch_size) / 255)
        grey = self.settings.grey_rows
        drawn = (*self._noisy(clean[grey:]), *self._noisy(clean[:grey].mean(dim=1, keepdim=True)))
        return tuple(part.to(self.device) for part in drawn)

    def _stretched(self, clean: Tensor) -> Tensor:
        """Half of the crops with more contrast about a random level, so that parts are all black or all white.

        Photographs have such parts, where half of clipped noise is gone; crops that are drawn by detail have few.
        """
        chosen, level, gain = torch.rand(3, len(clean), 1, 1, 1)
        gain = torch.where(chosen < 0.5, 1 + (self.settings.contrast - 1) * gain, 1.0)
        return (level + gain * (clean - level)).clamp(0, 1)

    def _noisy(self, clean: Tensor) -> Batch:
        settings, rows = self.settings, len(clean)
        sigma = settings.sigma_max / 255 * torch.rand(rows) ** settings.sigma_power
        noisy = clean + sigma.view(-1, 1, 1, 1) * torch.randn_like(clean)
        eight_bit = torch.rand(rows, 1, 1, 1) < settings.clipped_share
        noisy = torch.where(eight_bit, (noisy * 255).round().clamp(0, 255) / 255, noisy)
        told = sigma * (1 + settings.level_error * (2 * torch.rand(rows) - 1))
        return clean, noisy, sigma, told

    def losses(self, phase: str, batch: Batch, progress: float) -> Losses:
        if phase == "estimate":
            return self._estimate(batch)
        network, (clean, noisy, _, told) = {
            "colour": (self.colour, batch[:4]),
            "grey": (self.grey, batch[4:]),
        }[phase]
        return network.loss(clean, noisy, told, half=self.settings.precision == "bfloat16")

    def _estimate(self, batch: Batch) -> Losses:
        """By which share the estimate is off, on a logarithmic scale; below one grey level it matters less."""
        clean_colour, colour, colour_sigma, _, clean_grey, grey, grey_sigma, _ = batch
        rows = torch.arange(len(colour), device=colour.device)
        clean, noisy = (  # one channel of each crop
            torch.cat((crops[rows, rows % 3].unsqueeze(1), greys))
            for crops, greys in ((clean_colour, clean_grey), (colour, grey))
        )
        sigma = torch.cat((colour_sigma, grey_sigma))
        defaced_planes, defaced_sigma = defaced(clean, noisy, sigma)
        planes, sigma = torch.cat((noisy, defaced_planes)), torch.cat((sigma, defaced_sigma))
        off = (255 * self.noise_level(planes) + 1).log() - (255 * sigma + 1).log()
        return {"loss": off.abs().mean()}

    def exports(self) -> dict[str, Export]:
        planes = [torch.rand(rows, 1, height, width) for rows, height, width in ((2, 40, 61), (1, 16, 16), (3, 33, 24))]
        estimate = Export(self.noise_level, [(image,) for image in planes], {"sigma": 1e-4})
        return self.clean_exports(self.settings.sigma_max / 255) | {"estimate": estimate}

    def tasks(self) -> tuple[Denoise, ...]:
        sigma = self.settings.sigma_max / 255
        facts = {"estimator": "graph", "sigma_max": self.settings.sigma_max} | self.size_facts(sigma, sigma)
        return (Denoise.declare({"clean": 4, "clean_grey": 4, "estimate": 4}, **facts),)
