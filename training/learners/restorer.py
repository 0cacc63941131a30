"""A blind restorer: a damaged picture in, the picture in; nobody tells it what is wrong.

A denoising autoencoder (Vincent et al. 2008) whose corruption is what befalls photographs: see `training/data/damage`.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from models.manifest import Denoise
from training.data.damage import any_damage
from training.data.photographs import Photographs
from training.learners.colour_and_grey import ColourAndGrey
from training.learners.learner import Batch, Export, Losses
from training.learners.unet import UNetSettings

STRONGEST = 0.5
"""Of the noise, in 0..1, by which the overlap of tiles is measured: salt and pepper."""


class Restorer(ColourAndGrey[UNetSettings]):
    """Trains two `UNet` on random crops with fresh damage."""

    def __init__(self, settings: UNetSettings, data: Photographs) -> None:
        super().__init__(settings, data, told=False)

    def draw(self) -> Batch:
        """Crops [B,C,S,S] in 0..1 as they were and damaged: in colour, then grey."""
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        clean = self.crops.draw(self.settings.batch_size)
        grey = self.settings.grey_rows

        def pair(crops: Tensor) -> Batch:
            was = [crop.round().byte().permute(1, 2, 0).squeeze(2).numpy() for crop in crops]
            found = (np.stack(pictures) for pictures in (was, [any_damage(picture, rng) for picture in was]))
            tensors = (torch.from_numpy(stack.reshape(*stack.shape[:3], -1)) for stack in found)
            return tuple((tensor.permute(0, 3, 1, 2).float() / 255).to(self.device) for tensor in tensors)

        return *pair(clean[grey:]), *pair(clean[:grey].mean(dim=1, keepdim=True))

    def losses(self, phase: str, batch: Batch, progress: float) -> Losses:
        network, (clean, bad) = {"colour": (self.colour, batch[:2]), "grey": (self.grey, batch[2:])}[phase]
        return network.loss(clean, bad, None, half=self.settings.precision == "bfloat16")

    def exports(self) -> dict[str, Export]:
        return self.clean_exports()

    def tasks(self) -> tuple[Denoise, ...]:
        return (Denoise.declare({"clean": 4, "clean_grey": 4}, **self.size_facts(STRONGEST)),)
