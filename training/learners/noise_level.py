"""A small network that reads the noise level off a picture, clipped noise included."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WINDOW = 8
"""Side of the squares that are judged one by one, pixels."""
FAINTEST = 1e-7
"""Added to an energy before its logarithm: that of noise of sigma 0.08 on the 0..255 scale."""
EXPOSED, COVERED, DRAWN = 0.4, 0.4, 0.1
"""Shares of the training pictures that are badly exposed, that are covered (twice), and that are drawings."""
MOST_COVERED = 0.8
STROKE = 0.04
"""What is darker than its surroundings by so much is a stroke of a drawing."""
LEVELS = 2, 7
"""Shades of a drawing, fewest and most."""


class NoiseLevel(nn.Module):
    """image [B,1,H,W] in 0..1, H and W at least 16 -> sigma [B] of its white noise, in the same units.

    Every square of the picture is judged by the logarithm of its energy behind learned 5x5 filters. Where noise was
    clipped it is weaker, so the square's brightness and its shares of black and of white count too. Where it is gone,
    in a frame, a stamp or what is overexposed, pixels are equal to their neighbours, and so their share does. Out come
    the logarithm of sigma as the square has it and how much that is to be trusted: squares with texture are not.
    """

    def __init__(self, filters: int = 16, width: int = 64) -> None:
        super().__init__()
        self.filters = nn.Conv2d(1, filters, 5, bias=False)
        self.judge = nn.Sequential(
            nn.Conv2d(filters + 4, width, 1), nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, 2, 1)
        )

    def forward(self, image: Tensor) -> Tensor:
        energy = functional.avg_pool2d(self.filters(image).square(), WINDOW)
        inner = image[:, :, 2:-2, 2:-2]
        even = (inner == image[:, :, 1:-3, 2:-2]) & (inner == image[:, :, 2:-2, 1:-3])
        plain = torch.cat((inner, (inner <= 0).float(), (inner >= 1).float(), even.float()), dim=1)
        seen = torch.cat((torch.log(energy + FAINTEST) / 4, functional.avg_pool2d(plain, WINDOW)), dim=1)
        level, trust = self.judge(seen).flatten(2).unbind(dim=1)
        return (4 * (level * trust.softmax(dim=1)).sum(dim=1)).exp()


def defaced(clean: Tensor, noisy: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Noisy planes [B,1,H,W] in 0..1 and their sigma [B], after what hides noise and does not take it off the rest.

    Some are brighter or darker, up to half of their pixels out of range, some have even rectangles on them. And some
    are drawings, made of the clean planes, which have no noise: sigma is 0.
    """
    rows, device = len(noisy), noisy.device
    middle = noisy.flatten(1).median(dim=1).values.view(-1, 1, 1, 1)
    exposed = torch.rand(rows, 1, 1, 1, device=device) < EXPOSED
    noisy = torch.where(exposed, (noisy + torch.rand_like(middle) - middle).clamp(0, 1), noisy)
    for _ in range(2):
        noisy = _covered(noisy)
    drawn = torch.rand(rows, device=device) < DRAWN
    return torch.where(drawn.view(-1, 1, 1, 1), _drawings(clean), noisy), sigma.masked_fill(drawn, 0.0)


def _drawings(clean: Tensor) -> Tensor:
    """Areas of a few shades, or strokes on even ground, with edges as sharp as pixels are or soft as those of type."""
    rows, device = len(clean), clean.device
    fine = functional.interpolate(clean, scale_factor=2, mode="bilinear")
    around = functional.avg_pool2d(fine, 9, stride=1, padding=4, count_include_pad=False)
    shades = torch.randint(*LEVELS, (rows, 1, 1, 1), device=device)
    paper, ink, areas, soft = torch.rand(4, rows, 1, 1, 1, device=device)
    strokes = torch.where(fine < around - STROKE, ink, paper)
    drawing = torch.where(areas < 0.5, (around * shades).round() / shades, strokes)
    return torch.where(soft < 0.5, drawing[..., ::2, ::2], functional.avg_pool2d(drawing, 2))


def _covered(planes: Tensor) -> Tensor:
    """Some of them with an even rectangle anywhere, partly outside, on less than `MOST_COVERED` of the picture."""
    rows = len(planes)
    inside = torch.ones_like(planes, dtype=torch.bool)
    for axis in (2, 3):
        side = planes.shape[axis]
        centre, half = torch.rand(2, rows, 1, 1, 1, device=planes.device) * side
        place = torch.arange(side, device=planes.device).view([-1 if one == axis else 1 for one in range(4)])
        inside = inside & ((place - centre).abs() <= half)
    little = inside.float().mean(dim=(1, 2, 3), keepdim=True) < MOST_COVERED
    shade, chosen = torch.rand(2, rows, 1, 1, 1, device=planes.device)
    return torch.where(inside & little & (chosen < COVERED), shade, planes)
