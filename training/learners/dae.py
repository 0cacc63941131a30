"""A denoising autoencoder: noisy picture and noise level in, clean picture out.

Vincent, Larochelle, Bengio, Manzagol, "Extracting and composing robust features with denoising
autoencoders", ICML 2008: corrupt x to x~ and minimise the distance of g(f(x~)) to x. Here f and
g are the two halves of a U-Net. Grey pictures have one of their own: in three equal channels
their noise would look like detail.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from models.manifest import Denoise
from training.data.photographs import Photographs
from training.learners.crops import Crops
from training.learners.learner import Batch, Export, Learner, Losses
from training.learners.noise_level import NoiseLevel
from training.learners.unet import UNet, UNetSettings
from training.start import begin


class DaeSettings(UNetSettings):
    contrast: Annotated[float, Field(ge=1, description="by which half of the crops are stretched at most")] = 2.0
    sigma_max: Annotated[float, Field(gt=0, description="strongest noise, on the 0..255 scale")] = 75.0
    sigma_power: Annotated[
        float, Field(gt=0, description="sigma is sigma_max times a uniform number to this power: more draws weak noise")
    ] = 1.5
    level_error: Annotated[float, Field(ge=0, lt=1, description="share by which the told sigma is off at most")] = 0.1
    clipped_share: Annotated[float, Field(ge=0, le=1, description="share of crops rounded and clipped to 8 bit")] = 0.5


class Dae(Learner[DaeSettings]):
    """Trains a `UNet` for colour and one for grey, on random crops with fresh Gaussian noise."""

    family = "denoising-autoencoder"

    def __init__(self, settings: DaeSettings, data: Photographs) -> None:
        super().__init__(settings, data.sha256)
        self.colour, self.grey = (UNet(planes, settings, told=True) for planes in (3, 1))
        self.noise_level = NoiseLevel()
        self.crops = Crops(data.train, settings.crop, settings.smallest_scale)

    def prepare(self) -> None:
        if self.settings.start is not None:
            begin(self, Path(self.settings.start))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        settings = self.settings
        return {
            "colour": self.colour.optimizer(settings),
            "grey": self.grey.optimizer(settings),
            "estimate": torch.optim.Adam(self.noise_level.parameters(), lr=settings.learning_rate),
        }

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
        _, colour, colour_sigma, _, _, grey, grey_sigma, _ = batch
        rows = torch.arange(len(colour), device=colour.device)
        planes = torch.cat((colour[rows, rows % 3].unsqueeze(1), grey))  # one channel of each crop
        sigma = torch.cat((colour_sigma, grey_sigma))
        off = (255 * self.noise_level(planes) + 1).log() - (255 * sigma + 1).log()
        return {"loss": off.abs().mean()}

    def exports(self) -> dict[str, Export]:
        multiple = self.settings.multiple

        def example(rows: int, channels: int, height: int, width: int) -> Batch:
            image = torch.rand(rows, channels, height * multiple, width * multiple)
            return image, torch.linspace(0.01, self.settings.sigma_max / 255, rows)

        planes = [torch.rand(rows, 1, height, width) for rows, height, width in ((2, 40, 61), (1, 16, 16), (3, 33, 24))]
        return {
            **{
                name: Export(
                    network,
                    [example(rows, channels, *size) for rows, size in ((2, (4, 5)), (1, (1, 2)), (3, (9, 4)))],
                    {"clean": 1e-4},
                )
                for name, network, channels in (("clean", self.colour, 3), ("clean_grey", self.grey, 1))
            },
            "estimate": Export(self.noise_level, [(image,) for image in planes], {"sigma": 1e-4}),
        }

    def tasks(self) -> tuple[Denoise, ...]:
        multiple, sigma = self.settings.multiple, self.settings.sigma_max / 255
        told = torch.tensor([sigma], device=self.device)
        facts = {
            "channels": 3,
            "estimator": "graph",
            "sigma_max": self.settings.sigma_max,
            "size_multiple": multiple,
            "overlap": max(network.overlap(multiple, sigma, told) for network in (self.colour, self.grey)),
        }
        return (Denoise.declare({"clean": 4, "clean_grey": 4, "estimate": 4}, **facts),)
