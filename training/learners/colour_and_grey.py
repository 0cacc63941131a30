"""What learners of whole photographs share: a network for colour, one for grey, and crops to train them on."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from training.data.photographs import Photographs
from training.learners.crops import Crops
from training.learners.learner import Batch, Export, Learner
from training.learners.quantised_unet import QuantisedUNet
from training.learners.start import begin
from training.learners.unet import PATIENCE, Block, UNet, UNetSettings
from training.settings import SettingError

UNetSettingsT = TypeVar("UNetSettingsT", bound=UNetSettings)
SIZES = (2, 4, 5), (1, 1, 2), (3, 9, 4)
"""Rows, and height and width in multiples, of the examples that prove an export."""


class ColourAndGrey(Learner[UNetSettingsT]):
    """Grey pictures have a network of their own: in three equal channels their noise would look like detail."""

    family = "denoising-autoencoder"
    independent = True

    def __init__(self, settings: UNetSettingsT, data: Photographs, *, told: bool) -> None:
        """`told` is whether the networks take sigma."""
        super().__init__(settings, data.sha256)
        network = QuantisedUNet if settings.quantised else UNet
        self.colour, self.grey = (network(planes, settings, told=told) for planes in (3, 1))
        self.crops = Crops(data.train, settings.crop, settings.smallest_scale)

    def prepare(self) -> None:
        if self.settings.start is None:
            return
        in_integers = begin(self, Path(self.settings.start))
        for name, network in (("colour", self.colour), ("grey", self.grey)):
            if isinstance(network, QuantisedUNet) and not in_integers:  # where they are, a new basis would round anew
                if name not in self.settings.learn:
                    raise SettingError(f"learn={name} too, or start from integers: their ranges are learnt in training")
                network.turn(lambda phase=name: self.losses(phase, self.draw(), progress=0.0))

    def settle(self) -> None:
        self.colour.settle()
        self.grey.settle()

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {name: network.optimizer(self.settings) for name, network in self._learning().items()}

    def _learning(self) -> dict[str, UNet]:
        networks = {"colour": self.colour, "grey": self.grey}
        return {name: network for name, network in networks.items() if name in self.settings.learn}

    def revive(self, step: int) -> dict[str, Tensor]:
        """Dead channels of the networks that learn, now and then."""
        if step % PATIENCE:
            return {}
        return {
            f"{network}.{block}.{weight}": new
            for network, module in self._learning().items()
            for block, found in module.named_modules()
            if isinstance(found, Block)
            for weight, new in found.revive().items()
        }

    def clean_exports(self, sigma: float | None = None) -> dict[str, Export]:
        """The graphs `clean` and `clean_grey`; `sigma` is the strongest noise in 0..1 that they may be told."""
        multiple = self.settings.multiple

        def example(planes: int, rows: int, height: int, width: int) -> Batch:
            shade = torch.linspace(0.2, 0.8, width * multiple)
            image = shade + 0.1 * torch.randn(rows, planes, height * multiple, width * multiple)
            return (image,) if sigma is None else (image, torch.linspace(0.01, sigma, rows))

        # A value halfway between two steps may be rounded either way, and others follow: of 15,000 pixels one was .010
        # off with 64 channels, and all .002 in the mean.
        tolerance = 2e-2 if self.settings.quantised else 1e-4
        return {
            name: Export(network, [example(planes, *size) for size in SIZES], {"clean": tolerance})
            for name, network, planes in (("clean", self.colour, 3), ("clean_grey", self.grey, 1))
        }

    def size_facts(self, noise: float, sigma: float | None = None) -> dict[str, int]:
        """What the manifest says of sizes; `noise` is the strongest in pictures, `sigma` what the networks are told."""
        multiple = self.settings.multiple
        told = None if sigma is None else torch.tensor([sigma], device=self.device)
        overlaps = [network.overlap(multiple, noise, told) for network in (self.colour, self.grey)]
        return {"channels": 3, "size_multiple": multiple, "overlap": max(overlaps)}
