"""Convolutions in 8-bit integers, trained to bear it, as onnxruntime computes them.

Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", CVPR
2018: in training every value is rounded to what an integer can name, and gradients pass as though it were not
(straight-through). Activations have 8 bits and a range that follows what passes by. Weights have 7 bits, symmetric, and
a scale for each output channel: older processors add pairs of products in 16 bits, which hold 2 x 255 x 63.
"""

from __future__ import annotations

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
        # As it lies in memory, channels last; a stride without the factors 2 and 3 meets all channels.
        some = values.detach().movedim(1, -1).flatten()[:: values.numel() // SAMPLED // 6 * 6 + 1]
        self._follow(*some.float().aminmax())
        if not self.rounding:
            return values
        return torch.fake_quantize_per_tensor_affine(values.float(), self.scale, self.zero.int(), 0, 255)

    @torch.no_grad()
    def _follow(self, low: Tensor, high: Tensor) -> None:
        pace = PACE if self.low < self.high else 1.0
        self.low.lerp_(low.clamp(max=0), pace)
        self.high.lerp_(high.clamp(min=0), pace)
        self.scale.copy_(((self.high - self.low) / 255).clamp(min=torch.finfo(torch.float32).tiny))
        self.zero.copy_((-self.low / self.scale).round())


class QuantisedConv(nn.Conv2d):
    """A 3x3 convolution without bias, [B,C,H,W] -> [B,C,H,W], whose weights are integers times a scale."""

    steps: Tensor
    scale: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1, bias=False)
        self.rounding = True
        self.register_buffer("steps", torch.zeros(self.weight.shape, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(channels))

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            weight = from_steps(self.steps, self.scale)
        elif self.rounding:
            scale, origin = self._scale(), torch.zeros_like(self.scale, dtype=torch.int32)
            weight = torch.fake_quantize_per_channel_affine(self.weight, scale, origin, 0, -WIDEST, WIDEST)
        else:
            weight = self.weight
        return functional.conv2d(input, weight, padding=1)

    def settle(self) -> None:
        """Keep the weights as the integers that evaluation and export use."""
        with torch.no_grad():
            self.scale.copy_(self._scale())
            self.steps.copy_((self.weight / self.scale.view(-1, 1, 1, 1)).round())

    def _scale(self) -> Tensor:
        widest = self.weight.detach().abs().amax(dim=(1, 2, 3))
        return (widest / WIDEST).clamp(min=torch.finfo(torch.float32).tiny)


class QuantisedBlock(nn.Module):
    """x + conv(relu(conv(x))) like `unet.Block`, the convolutions in integers.

    If it is `exact` so is what it adds to: at the finest scale a rounded sum would be seen in the picture.
    """

    def __init__(self, channels: int, *, exact: bool) -> None:
        super().__init__()
        self.exact = exact
        self.first, self.second = QuantisedConv(channels), QuantisedConv(channels)
        self.before, self.between, self.after = Bytes(), Bytes(), Bytes()

    def forward(self, x: Tensor) -> Tensor:
        rounded = self.before(x)
        inner = self.between(functional.relu(self.first(rounded)))
        return (x if self.exact else rounded) + self.after(self.second(inner))
