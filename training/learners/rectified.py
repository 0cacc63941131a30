"""A ReLU that lets no channel die for good.

A channel that no value passes has no gradient, so neither its filter nor what is made of it ever changes again (Lu et
al., "Dying ReLU and initialization", 2020). Large steps kill many: in a U-Net trained without this, all but a few of
the channels at the coarsest scale were dead.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

PATIENCE = 100
"""Batches without a value above zero after which a channel is dead."""


class Rectified(nn.Module):
    """relu(x), [B,C,H,W], which in training keeps in mind the channels that any value has passed."""

    passed: Tensor
    batches: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("passed", torch.zeros(channels, dtype=torch.bool))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        rectified = functional.relu(x)
        if self.training:
            self.passed |= rectified.detach().amax(dim=(0, 2, 3)) > 0
            self.batches += 1
        return rectified

    @torch.no_grad()
    def revive(self, before: Tensor, after: Tensor) -> None:
        """Every `PATIENCE` batches draw the filters of dead channels anew; what the network computes stays as it is.

        The channels are the first axis of the weight `before` and the second of `after`, which becomes zero for them:
        in the next step that has a gradient, and then the filter has. He et al. (2015) say how large it begins.
        """
        if not self.training:
            return
        batches = int(self.batches)
        if batches == 0 or batches % PATIENCE:
            return
        dead = ~self.passed
        draw = torch.Generator().manual_seed(batches)  # networks may learn at the same time, so not the common one
        drawn = torch.randn(before.shape, generator=draw) * (2 / before[0].numel()) ** 0.5
        before[dead] = drawn.to(before)[dead]
        after[:, dead] = 0
        self.passed.zero_()
