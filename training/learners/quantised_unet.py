"""`UNet` with all but its first and its last layer in 8-bit integers.

Layers have the names of those of a `UNet`, so that either may begin with a version of the other. What the last layer
takes is in float too: the first one's outputs plus the rounded sum of all that is added to them at the finest scale.
Were those outputs themselves rounded, that would be seen in the picture.
"""

from __future__ import annotations

from torch import Tensor, nn

from training.learners.learner import Losses
from training.learners.quantised import Bytes, QuantisedBlock, QuantisedConv, QuantisedGrow
from training.learners.unet import UNet, UNetSettings


class QuantisedUNet(UNet):
    """As `UNet`. What is `rounded` has 8 bits."""

    def __init__(self, planes: int, settings: UNetSettings, *, told: bool) -> None:
        super().__init__(planes, settings, told=told)
        coarser = range(len(settings.channels) - 1)
        self.entered = Bytes()
        self.shrunk, self.grown, self.joined = (nn.ModuleList(Bytes() for _ in coarser) for _ in range(3))
        additions = 2 * settings.blocks + 1 if coarser else settings.blocks
        self.sums = nn.ModuleList(Bytes() for _ in range(additions - 1))

    def make_stage(self, channels: int) -> nn.Sequential:
        return nn.Sequential(*(QuantisedBlock(channels) for _ in range(self.settings.blocks)))

    def make_shrink(self, inputs: int, outputs: int) -> nn.Module:
        return QuantisedConv(inputs, outputs, 2, stride=2)

    def make_grow(self, inputs: int, outputs: int) -> nn.Module:
        return QuantisedGrow(inputs, outputs)

    def inner(self, x: Tensor) -> Tensor:
        _, (added, *others) = self._from_scale(0, self.entered(x))
        for another, rounded_sum in zip(others, self.sums, strict=True):
            added = rounded_sum(added + another)
        return x + added

    def _from_scale(self, scale: int, rounded: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What that scale and all coarser ones make of what is `rounded`, and all that they added to it, in order."""
        if scale == len(self.down):
            return _through(self.bottom, rounded)
        fine, added = _through(self.down[scale], rounded)
        coarse, _ = self._from_scale(scale + 1, self.shrunk[scale](self.shrink[scale](fine)))
        grown = self.grown[scale](self.grow[scale](coarse))
        fine, added_last = _through(self.up[scale], self.joined[scale](fine + grown))
        return fine, [*added, grown, *added_last]

    def loss(self, clean: Tensor, bad: Tensor, told: Tensor | None, progress: float, *, half: bool) -> Losses:
        rounding = progress >= 1 - self.settings.rounded_share
        for module in self.modules():
            if isinstance(module, (Bytes, QuantisedConv)):
                module.rounding = rounding
        return super().loss(clean, bad, told, progress, half=half)

    def settle(self) -> None:
        for module in self.modules():
            if isinstance(module, QuantisedConv):
                module.settle()

    def overlap(self, multiple: int, noise: float, sigma: Tensor | None) -> int:
        """A difference however small may become a step, so all that it reaches counts."""
        return self.furthest(multiple)


def _through(stage: nn.Module, rounded: Tensor) -> tuple[Tensor, list[Tensor]]:
    """What the blocks make of it one after the other, and what each has added."""
    added: list[Tensor] = []
    for block in stage.children():
        rounded, change = block(rounded)
        added.append(change)
    return rounded, added
