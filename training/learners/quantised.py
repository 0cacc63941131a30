"""Convolutions in 8-bit integers, trained to bear it, as onnxruntime computes them.

Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", CVPR
2018: in training every value is rounded to what an integer can name, and gradients pass as though it were not
(straight-through). Activations have 8 bits and a range that follows what passes by. Weights have 7 bits, symmetric, and
a scale for each output channel: older processors add pairs of products in 16 bits, which hold 2 x 255 x 63.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.learners.operators import from_steps, in_bytes

PACE = 0.01
"""Share by which a range moves towards that of the batch at hand."""
SAMPLED = 5_000
"""Values of a batch whose extremes are its range: what one in so many exceeds becomes that, and the steps are finer."""
WIDEST = 63
"""The largest weight in steps."""


class Bytes(nn.Module):
    """Rounds float values of any shape to 256 even steps, zero among them, over the range seen in training."""

    low: Tensor
    high: Tensor
    scale: Tensor
    zero: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.rounding = True
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("zero", torch.zeros((), dtype=torch.uint8))

    def forward(self, values: Tensor) -> Tensor:
        if not self.training:
            return in_bytes(values, self.scale, self.zero)
        self._follow(*_sampled(values.detach()).float().aminmax())
        if not self.rounding:
            return values
        return torch.fake_quantize_per_tensor_affine(values.float(), self.scale, self.zero.int(), 0, 255)

    @torch.no_grad()
    def forget(self) -> None:
        """Take the range of the next batch, whatever was seen before."""
        self.low.zero_()
        self.high.zero_()

    @torch.no_grad()
    def _follow(self, low: Tensor, high: Tensor) -> None:
        pace = PACE if self.low < self.high else 1.0
        self.low.lerp_(low.clamp(max=0), pace)
        self.high.lerp_(high.clamp(min=0), pace)
        self.scale.copy_(((self.high - self.low) / 255).clamp(min=torch.finfo(torch.float32).tiny))
        self.zero.copy_((-self.low / self.scale).round())


def _sampled(values: Tensor) -> Tensor:
    """About `SAMPLED` values of [B,C,...], of all channels: the stride has no factor that their number has."""
    stride = max(1, values.numel() // SAMPLED)
    while math.gcd(stride, values.shape[1]) > 1:
        stride += 1
    return values.movedim(1, -1).flatten()[::stride]  # as it lies in memory, channels last


class QuantisedConv(nn.Module):
    """A convolution without bias, [B,I,H,W] -> [B,O,H',W'], whose weights [O,I,K,K] are integers times a scale."""

    steps: Tensor
    scale: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.stride, self.padding, self.rounding = stride, padding, True
        self.weight = nn.Conv2d(inputs, outputs, kernel, bias=False).weight
        self.register_buffer("steps", torch.zeros(self.weight.shape, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(outputs))

    def forward(self, values: Tensor) -> Tensor:
        if not self.training:
            weight = from_steps(self.steps, self.scale)
        elif self.rounding:
            scale, origin = self._scale(), torch.zeros_like(self.scale, dtype=torch.int32)
            weight = torch.fake_quantize_per_channel_affine(self.filters(), scale, origin, 0, -WIDEST, WIDEST)
        else:
            weight = self.filters()
        return functional.conv2d(values, weight, stride=self.stride, padding=self.padding)

    def filters(self) -> Tensor:
        """What `steps` are integers for."""
        return self.weight

    def settle(self) -> None:
        """Keep the weights as the integers that evaluation and export use."""
        with torch.no_grad():
            self.scale.copy_(self._scale())
            self.steps.copy_((self.filters() / self.scale.view(-1, 1, 1, 1)).round())

    def _scale(self) -> Tensor:
        widest = self.filters().detach().abs().amax(dim=(1, 2, 3))
        return (widest / WIDEST).clamp(min=torch.finfo(torch.float32).tiny)


class QuantisedGrow(QuantisedConv):
    """A transposed convolution [B,I,H,W] -> [B,O,2H,2W] with windows of 2x2 side by side, and weights [I,O,2,2].

    Integers have no such operator, and need none: every input makes four outputs of its own, and so does a
    convolution of 1x1 with four times the outputs, which only have to be put where they belong.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, 4 * outputs, 1)
        self.weight = nn.ConvTranspose2d(inputs, outputs, 2, stride=2, bias=False).weight

    def filters(self) -> Tensor:
        return self.weight.permute(2, 3, 1, 0).flatten(0, 2)[..., None, None]

    def forward(self, values: Tensor) -> Tensor:
        rows, _, height, width = values.shape
        four = super().forward(values).permute(0, 2, 3, 1)  # channels last, as integers are computed: all stay together
        placed = four.reshape(rows, height, width, 2, 2, -1).transpose(2, 3)
        return placed.reshape(rows, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)


def transposed(filters: Tensor) -> Tensor:
    """The weights [I,O,2,2] of a transposed convolution from the filters [4O,I,1,1] of `QuantisedGrow`."""
    return filters.view(2, 2, -1, filters.shape[1]).permute(3, 2, 0, 1)


class QuantisedBlock(nn.Module):
    """`unet.Block` in integers: rounded x -> x + conv(relu(conv(x))), rounded, and what was added, rounded."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = QuantisedConv(channels, channels, 3, padding=1)
        self.second = QuantisedConv(channels, channels, 3, padding=1)
        self.between, self.added, self.total = Bytes(), Bytes(), Bytes()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        added = self.added(self.second(self.between(functional.relu(self.first(x)))))
        return self.total(x + added), added
