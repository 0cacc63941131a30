"""`UNet` with all but its ends in 8-bit integers: its first layer, its first block and its last layer are in float.

Layers have the names of those of a `UNet`, so that either may begin with a version of the other. What the last layer
takes is in float too: the first block's outputs plus the rounded sum of all that is added to them at the finest scale.
Were those outputs themselves rounded, that would be seen in the picture. What is seen of the rest is what the last
layer takes of it: where a network in floats becomes one in integers, its finest scale is put into the basis in which
rounding changes that layer's output least.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor, nn

from training.learners.basis import least_seen
from training.learners.quantised import Bytes, QuantisedBlock, QuantisedConv, QuantisedGrow
from training.learners.unet import Block, UNet, UNetSettings

SHRUNK_FROM = 25 / 255
"""Sigma, in 0..1, from which on what is rounded is made smaller: by sqrt(1 + (sigma / SHRUNK_FROM)^2).

From 50 / 255 on, integers cost .02 dB more at sigma 15."""
EXAMPLES = 6
"""Batches by which a basis is found."""


class QuantisedUNet(UNet):
    """As `UNet`. What is `rounded` has 8 bits."""

    def __init__(self, planes: int, settings: UNetSettings, *, told: bool) -> None:
        super().__init__(planes, settings, told=told)
        coarser = range(len(settings.channels) - 1)
        first = Block(settings.channels[0])
        self.finest[0] = first.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]: not in its stub
        self.entered = Bytes()
        self.shrunk, self.grown, self.joined = (nn.ModuleList(Bytes() for _ in coarser) for _ in range(3))
        additions = 2 * settings.blocks if coarser else settings.blocks - 1
        self.sums = nn.ModuleList(Bytes() for _ in range(additions - 1))

    def make_stage(self, channels: int) -> nn.Sequential:
        return nn.Sequential(*(QuantisedBlock(channels) for _ in range(self.settings.blocks)))

    def make_shrink(self, inputs: int, outputs: int) -> nn.Module:
        return QuantisedConv(inputs, outputs, 2, stride=2)

    def make_grow(self, inputs: int, outputs: int) -> nn.Module:
        return QuantisedGrow(inputs, outputs)

    def noise(self, x: Tensor, sigma: Tensor | None) -> Tensor:
        """Under strong noise x is made smaller: its larger values would leave weak noise few steps of the range."""
        if sigma is None:
            return super().noise(x, sigma)
        smaller = (1 + (sigma / SHRUNK_FROM).square()).rsqrt().view(-1, 1, 1, 1)
        return super().noise(x * smaller, sigma) / smaller

    @property
    def finest(self) -> nn.Sequential:
        """The blocks before the scale is left for a coarser one."""
        return cast(nn.Sequential, self.down[0]) if len(self.down) else self.bottom

    def inner(self, x: Tensor) -> Tensor:
        first, *blocks = self.finest
        x = first(x)
        _, (added, *others) = self._from_scale(0, self.entered(x), blocks)
        for another, rounded_sum in zip(others, self.sums, strict=True):
            added = rounded_sum(added + another)
        return x + added

    def _from_scale(self, scale: int, rounded: Tensor, blocks: Iterable[nn.Module]) -> tuple[Tensor, list[Tensor]]:
        """What these `blocks` of a scale, and all after them, make of what is `rounded`, and all that was added there.

        Added at this scale, in order; what coarser scales come to is one addition.
        """
        fine, added = _through(blocks, rounded)
        if scale == len(self.down):
            return fine, added
        coarser = (*self.down, self.bottom)[scale + 1]
        coarse, _ = self._from_scale(scale + 1, self.shrunk[scale](self.shrink[scale](fine)), coarser.children())
        grown = self.grown[scale](self.grow[scale](coarse))
        fine, added_last = _through(self.up[scale].children(), self.joined[scale](fine + grown))
        return fine, [*added, grown, *added_last]

    @torch.no_grad()
    def turn(self, see: Callable[[], object]) -> None:
        """Put the finest scale into the basis in which rounding is seen least; `see` shows this network a batch.

        What the network computes stays what it was, but for rounding.
        """
        stages = (self.finest, *self.up[:1])
        blocks = [block for stage in stages for block in stage.children() if isinstance(block, (Block, QuantisedBlock))]
        added = (block.added for block in blocks if isinstance(block, QuantisedBlock))
        summands = [*self.sums, *added, *self.grown[:1]]
        products: list[Tensor] = []
        hooks = [summand.register_forward_pre_hook(_noting(products)) for summand in summands]
        for _ in range(EXAMPLES):
            see()
        for hook in hooks:
            hook.remove()
        tail = self.tail.weight
        basis = least_seen(torch.stack(products).mean(dim=0), torch.einsum("oihw,ojhw->ij", tail, tail)).to(tail.device)
        inverse = torch.linalg.inv(basis)
        _turn(self.head, "bias", 0, basis)
        for writer in (self.head, *(block.second for block in blocks)):
            _turn(writer, "weight", 0, basis)
        for writer in self.grow[:1]:
            _turn(writer, "weight", 1, basis)
        for reader in (self.tail, *self.shrink[:1], *(block.first for block in blocks)):
            _turn(reader, "weight", 1, inverse.T)
        for module in self.modules():
            if isinstance(module, Bytes):
                module.forget()

    def settle(self) -> None:
        for module in self.modules():
            if isinstance(module, QuantisedConv):
                module.settle()

    def overlap(self, multiple: int, noise: float, sigma: Tensor | None) -> int:
        """A difference however small may become a step, so all that it reaches counts."""
        return self.furthest(multiple)


def _through(blocks: Iterable[nn.Module], rounded: Tensor) -> tuple[Tensor, list[Tensor]]:
    """What the blocks make of it one after the other, and what each has added."""
    added: list[Tensor] = []
    for block in blocks:
        rounded, change = block(rounded)
        added.append(change)
    return rounded, added


def _noting(products: list[Tensor]) -> Callable[[nn.Module, tuple[Tensor]], None]:
    """A hook that appends the mean of v v^T over all pixels v [C] of what a module takes."""

    def note(module: nn.Module, taken: tuple[Tensor]) -> None:
        pixels = taken[0].movedim(1, -1).flatten(0, -2).double()  # which autocast leaves as it is
        products.append(pixels.T @ pixels / len(pixels))

    return note


def _turn(layer: nn.Module, name: str, axis: int, basis: Tensor) -> None:
    weight = layer.get_parameter(name)
    turned = torch.einsum("ij,j...->i...", basis, weight.movedim(axis, 0).double())
    weight.copy_(turned.movedim(0, axis))
