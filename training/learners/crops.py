"""Square crops of photographs for training: more of them where there is detail, turned, mirrored, some scaled down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

BLOCK = 32
"""Side of the squares by which detail is known, pixels."""


class Crops:
    """Draws crops around squares of `BLOCK` pixels, each with the weight sqrt(1 + detail).

    Detail is the mean step between neighbours in levels of 255: 0 in an even sky, 20 to 40 in leaves. So leaves come
    about five times as often as the sky. All randomness comes from torch's global generator.
    """

    def __init__(self, pictures: Sequence[NDArray[np.uint8]], size: int, smallest_scale: float) -> None:
        """`pictures` [H,W,3] are copied. A crop has `size` pixels a side.

        Every other crop is scaled down by a factor between `smallest_scale` and 1, which rids it of grain and of
        what JPEG left.
        """
        self.size, self.smallest_scale = size, smallest_scale
        self.pictures = [torch.from_numpy(picture.copy()) for picture in pictures]
        weights = [(1 + _detail(picture)).sqrt() for picture in self.pictures]
        self.weights = torch.cat([weight.flatten() for weight in weights])
        self.places = [
            (index, row, column)
            for index, weight in enumerate(weights)
            for row in range(weight.shape[0])
            for column in range(weight.shape[1])
        ]

    def draw(self, rows: int) -> Tensor:
        """`rows` crops [rows,3,size,size], float, 0..255."""
        chosen = torch.multinomial(self.weights, rows, replacement=True).tolist()
        return torch.stack([self._crop(*self.places[place]) for place in chosen])

    def _crop(self, index: int, row: int, column: int) -> Tensor:
        picture = self.pictures[index]
        height, width, _ = picture.shape
        scaled, along, turns = torch.rand(2), torch.rand(2), int(torch.randint(8, ()))
        scale = 1.0 if scaled[0] < 0.5 else self.smallest_scale + (1 - self.smallest_scale) * float(scaled[1])
        side = round(self.size / scale)
        top, left = (
            _start(place, float(share), min(side, length), length)
            for place, share, length in ((row, along[0], height), (column, along[1], width))
        )
        crop = picture[top : top + side, left : left + side].permute(2, 0, 1).float()
        crop = _mirrored(crop, side)
        if side > self.size:
            crop = functional.interpolate(crop[None], self.size, mode="bilinear", antialias=True)[0]
        crop = torch.rot90(crop, turns % 4, (1, 2))
        return crop.flip(2) if turns >= 4 else crop


def _detail(picture: Tensor) -> Tensor:
    """Mean step between neighbours of every square of `BLOCK` pixels; those at the far edges may be smaller."""
    grey = picture.float().mean(dim=2)
    down = functional.pad((grey[1:] - grey[:-1]).abs(), (0, 0, 0, 1))
    right = functional.pad((grey[:, 1:] - grey[:, :-1]).abs(), (0, 1))
    steps = ((down + right) / 2)[None, None]
    return functional.avg_pool2d(steps, BLOCK, ceil_mode=True, count_include_pad=False)[0, 0]


def _start(place: int, share: float, side: int, length: int) -> int:
    """Where a crop of `side` begins that is centred on a random point of the square number `place`."""
    centre = (place + share) * BLOCK
    return min(max(round(centre - side / 2), 0), length - side)


def _mirrored(crop: Tensor, side: int) -> Tensor:
    """`crop` continued by its mirror image at the right and the lower edge until it has `side` pixels each way."""
    while crop.shape[1] < side or crop.shape[2] < side:
        below, beside = (min(side - length, length - 1) for length in crop.shape[1:])
        crop = functional.pad(crop[None], (0, beside, 0, below), mode="reflect")[0]
    return crop
