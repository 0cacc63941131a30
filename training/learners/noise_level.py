"""A small network that reads the noise level off a picture, clipped noise included."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WINDOW = 8
"""Side of the squares that are judged one by one, pixels."""
FAINTEST = 1e-7
"""Added to an energy before its logarithm: that of noise of sigma 0.08 on the 0..255 scale."""


class NoiseLevel(nn.Module):
    """image [B,1,H,W] in 0..1, H and W at least 16 -> sigma [B] of its white noise, in the same units.

    Every square of the picture is judged by the logarithm of its energy behind learned 5x5 filters. Where noise was
    clipped it is weaker, so the square's brightness and its shares of black and of white count too. Out come the
    logarithm of sigma as the square has it and how much that is to be trusted: squares with texture are not.
    """

    def __init__(self, filters: int = 16, width: int = 32) -> None:
        super().__init__()
        self.filters = nn.Conv2d(1, filters, 5, bias=False)
        self.judge = nn.Sequential(
            nn.Conv2d(filters + 3, width, 1), nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, 2, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        energy = functional.avg_pool2d(self.filters(image).square(), WINDOW)
        inner = image[:, :, 2:-2, 2:-2]
        plain = torch.cat((inner, (inner <= 0).float(), (inner >= 1).float()), dim=1)
        seen = torch.cat((torch.log(energy + FAINTEST) / 4, functional.avg_pool2d(plain, WINDOW)), dim=1)
        level, trust = self.judge(seen).flatten(2).unbind(dim=1)
        return (4 * (level * trust.softmax(dim=1)).sum(dim=1)).exp()
