"""A ReLU that knows its dead channels.

A channel that no value passes has no gradient, so neither its filter nor what is made of it ever changes again (Lu et
al., "Dying ReLU and initialization", 2020). Large steps kill many: a U-Net trained without help had two channels of 192
alive at its coarsest scale.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Rectified(nn.Module):
    """relu(x), [B,C,H,W], which in training keeps in mind the channels that any value has passed."""

    passed: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("passed", torch.zeros(channels, dtype=torch.bool))

    def forward(self, x: Tensor) -> Tensor:
        rectified = functional.relu(x)
        if self.training:
            self.passed |= rectified.detach().amax(dim=(0, 2, 3)) > 0
        return rectified

    def dead(self) -> Tensor:
        """The channels [C] that nothing has passed since it was last asked."""
        dead = ~self.passed
        self.passed.zero_()
        return dead
