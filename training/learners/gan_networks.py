"""The two networks of a class-conditional GAN: residual blocks at a quarter and at half of the picture's side.

Full size is only shuffled to and from: on a processor most of the time would go there.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

Shape = tuple[int, int, int]


class SelfModulation(nn.Module):
    """Batch normalisation whose scale and shift follow from the style: latent and class (Chen et al. 2019); ReLU."""

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.affine = nn.Linear(style, 2 * channels)
        nn.init.normal_(self.affine.weight, std=0.02)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = self.affine(style)[:, :, None, None].chunk(2, dim=1)
        return functional.relu(self.norm(x) * (1 + scale) + shift)


class GeneratorBlock(nn.Module):
    """x + two modulated convolutions, of which the second begins at zero."""

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.before, self.first = SelfModulation(channels, style), nn.Conv2d(channels, channels, 3, padding=1)
        self.between, self.second = SelfModulation(channels, style), nn.Conv2d(channels, channels, 3, padding=1)
        _begin_at_zero(self.second)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return x + self.second(self.between(self.first(self.before(x, style)), style))


class Twice(nn.Module):
    """[B,C,H,W] -> [B,D,2H,2W]: a modulated convolution, whose channels become 2x2 pixels."""

    def __init__(self, channels: int, out: int, window: int, style: int) -> None:
        super().__init__()
        self.modulation = SelfModulation(channels, style)
        self.convolution = nn.Conv2d(channels, 4 * out, window, padding=window // 2)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return functional.pixel_shuffle(self.convolution(self.modulation(x, style)), 2)


class Generator(nn.Module):
    """latent [B,Z] and label int64 [B] -> image [B,C,H,W] in 0..1. H and W are multiples of 4.

    `channels` are those at a quarter and at half of the side.
    """

    def __init__(self, latent_size: int, embedding: int, channels: tuple[int, int], classes: int, shape: Shape) -> None:
        super().__init__()
        coarse, fine = channels
        style = latent_size + embedding
        self.begin_shape = coarse, shape[1] // 4, shape[2] // 4
        self.embedding = nn.Embedding(classes, embedding)
        self.dense = nn.Linear(style, math.prod(self.begin_shape))
        self.coarse, self.grow = GeneratorBlock(coarse, style), Twice(coarse, fine, 1, style)
        self.fine, self.paint = GeneratorBlock(fine, style), Twice(fine, shape[0], 3, style)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]: torch's stub lacks it

    def hidden(self) -> list[nn.Parameter]:
        """The convolutions before the last layer."""
        return _filters(self.coarse, self.grow, self.fine)

    def forward(self, latent: Tensor, label: Tensor) -> Tensor:
        style = torch.cat((latent, self.embedding(label)), dim=1)
        x = self.dense(style).reshape(-1, *self.begin_shape).contiguous(memory_format=torch.channels_last)
        x = self.grow(self.coarse(x, style), style)
        x = self.paint(self.fine(x, style), style)
        return (torch.tanh(x) + 1) / 2


class DiscriminatorBlock(nn.Module):
    """x + two convolutions without normalisation, of which the second begins at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        _begin_at_zero(self.second)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(_leaky(self.first(_leaky(x))))


class Discriminator(nn.Module):
    """image [B,C,H,W] in 0..1 and label int64 [B] -> logit [B] that the picture is real. H and W are multiples of 4.

    `channels` are those at half and at a quarter of the side. The class enters by projection (Miyato and Koyama 2018).
    """

    def __init__(self, channels: tuple[int, int], classes: int, shape: Shape) -> None:
        super().__init__()
        fine, coarse = channels
        self.head = nn.Conv2d(4 * shape[0], fine, 3, padding=1)
        self.fine, self.shrink = DiscriminatorBlock(fine), nn.Conv2d(fine, coarse, 1)
        self.coarse = DiscriminatorBlock(coarse)
        features = 2 * coarse
        self.dense = nn.Linear(coarse * (shape[1] // 4) * (shape[2] // 4) + 1, features)
        self.output = nn.Linear(features, 1)
        self.classes = nn.Embedding(classes, features)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]: torch's stub lacks it

    def hidden(self) -> list[nn.Parameter]:
        """The convolutions after the first layer."""
        return _filters(self.fine, self.shrink, self.coarse)

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        x = functional.pixel_unshuffle(image * 2 - 1, 2).contiguous(memory_format=torch.channels_last)
        x = functional.avg_pool2d(_leaky(self.fine(self.head(x))), 2)
        x = _leaky(self.coarse(self.shrink(x)))
        # Minibatch standard deviation (Karras et al. 2018): sameness within a batch betrays a collapsed generator.
        # Where a whole batch agrees, the standard deviation alone has no second derivative, which R1 asks for.
        spread = (x.var(dim=0, unbiased=False) + 1e-8).sqrt().mean().expand(len(x), 1)
        features = _leaky(self.dense(torch.cat((x.flatten(1), spread), dim=1)))
        return self.output(features)[:, 0] + (features * self.classes(label)).sum(dim=1)


def _filters(*modules: nn.Module) -> list[nn.Parameter]:
    return [weight for module in modules for weight in module.parameters() if weight.ndim == 4]


def _leaky(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, 0.2)


def _begin_at_zero(layer: nn.Conv2d) -> None:
    assert layer.bias is not None
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
