"""A small convolutional classifier, whose features compare real and generated pictures.

Trained with cutout (DeVries and Taylor 2017) and dropout, which hold for pictures of any kind as shifts and
reflections do not, by Muon (see `muon.py`) at a rate that falls to zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from training.data.labelled import Images, Split
from training.learners.learner import Export
from training.learners.muon import Muon, others

FEATURES = 64
STEPS, BATCH, PASSES = 6_000, 128, 40
"""Steps with many pictures; with few, no more than so many passes over them."""
RATE, ADAM_RATE, WARMUP = 2e-2, 4e-3, 100
GRID = 14
"""The first convolution brings any side to about this, so that large pictures cost what small ones do."""
ROWS = 1000
"""Pictures looked at in one run."""
SEEN = 10_000
"""Training pictures from which the unit of the features is taken."""
CUT = 3
"""One in so many rows and columns, side by side, are cut out."""


class Classifier(nn.Module):
    """image [B,C,H,W] in 0..1 -> class logits [B,K] and features [B,64]."""

    def __init__(self, classes: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width = shape
        stride = max(1, min(height, width) // GRID)
        self.body = nn.Sequential(
            *_convolution(channels, 32, 2 * stride + 1, stride),
            *_convolution(32, 64, 3, 1),
            nn.MaxPool2d(2, ceil_mode=True),
            *_convolution(64, 96, 3, 1),
            *_convolution(96, 96, 3, 1),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Flatten(),
        )
        self.drop = nn.Dropout(0.3)
        cells = (-(-side // (4 * stride)) for side in (height, width))
        self.hidden = nn.Linear(96 * next(cells) * next(cells), FEATURES)
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = functional.relu(self.hidden(self.drop(self.body(image))))
        return self.head(features), features

    def fold(self) -> None:
        """Make every normalisation a part of the convolution before it; the network learns no more."""
        self.eval()
        layers = list(self.body)
        for place, (before, layer) in enumerate(pairwise(layers)):
            if isinstance(before, nn.Conv2d) and isinstance(layer, nn.BatchNorm2d):
                layers[place : place + 2] = fuse_conv_bn_eval(before, layer), nn.Identity()
        self.body = nn.Sequential(*(layer for layer in layers if not isinstance(layer, nn.Identity)))

    @torch.no_grad()
    def scale(self, factor: float) -> None:
        """Multiply the features by a positive factor and change no logit, as a ReLU passes factors on."""
        self.hidden.weight.mul_(factor)
        self.hidden.bias.mul_(factor)
        self.head.weight.div_(factor)


def _convolution(channels: int, out: int, window: int, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, out, window, stride=stride, padding=window // 2, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )


@dataclass(frozen=True)
class Judge:
    """A trained classifier that looks at uint8 pictures [N,C,H,W]."""

    network: Classifier

    @torch.no_grad()
    def look(self, images: Images) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Predicted classes [N] and features [N,64]."""
        parts = [self.network(part.float() / 255) for part in torch.from_numpy(images.copy()).split(ROWS)]
        classes = torch.cat([logits.argmax(dim=1) for logits, _ in parts])
        return classes.numpy(), torch.cat([features for _, features in parts]).double().numpy()


def enough(pictures: int) -> int:
    """The steps that a judge of so many training pictures is given."""
    return min(STEPS, PASSES * -(-pictures // BATCH))


def train_judge(train: Split, classes: int, steps: int, seed: int = 0) -> Judge:
    """Cross-entropy on batches of 128, in bfloat16 but for the loss and the weights; minutes on one core.

    The features have a root mean square of about 1.
    """
    torch.manual_seed(seed)
    network = Classifier(classes, (train.images.shape[1], *train.images.shape[2:])).train()
    # With bfloat16, twice the speed of float32 as it lies.
    network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    images, labels = torch.from_numpy(train.images.copy()), torch.from_numpy(train.labels.copy()).long()
    grey = float(train.images.mean()) / 255
    optimizer = _optimizer(network)
    warmup = min(WARMUP, -(-steps // 10))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / warmup) * (1 - step / steps)
    )
    for _ in range(steps):
        rows = torch.randint(len(images), (BATCH,))
        picture = _cut(images[rows].float() / 255, grey).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            logits, _ = network(picture)
        optimizer.zero_grad()
        functional.cross_entropy(logits.float(), labels[rows]).backward()
        optimizer.step()
        schedule.step()
    network.fold()
    judge = Judge(network)
    network.scale(unit(judge.look(train.images[:SEEN])[1]))
    return judge


def unit(features: NDArray[np.float64]) -> float:
    """What brings the root mean square of features [N,D] to about 1: a power of two, of which rounding takes no notice.

    It is the unit of all distances, and a kernel (x.y / D + 1)^3 then weighs moments of all its orders.
    """
    return 2.0 ** -round(np.log2(max(np.sqrt(np.square(features).mean()), 2.0**-10)))


def exports(judge: Judge, shape: tuple[int, int, int]) -> Export:
    """The graph: image [B,C,H,W] -> logits [B,K], features [B,64]."""
    images = [torch.rand(rows, *shape) for rows in (3, 1, 8)]
    return Export(judge.network, [(image,) for image in images], {"logits": 1e-3, "features": 1e-3})


def _optimizer(network: Classifier) -> Muon:
    """Muon for what lies between the first and the last layer."""
    first, last = network.body[0], network.head
    outer = {id(weight) for layer in (first, last) for weight in layer.parameters()}
    hidden = [weight for weight in network.parameters() if weight.ndim > 1 and id(weight) not in outer]
    return Muon(hidden, others(network, hidden), rate=RATE, adam_rate=ADAM_RATE)


def _cut(image: Tensor, grey: float) -> Tensor:
    """Pictures [B,C,H,W] with a patch each, anywhere and partly outside, made even `grey`."""
    inside = torch.ones(len(image), 1, 1, 1, dtype=torch.bool)
    for axis in (2, 3):
        side = image.shape[axis]
        centre = torch.randint(side, (len(image), 1, 1, 1))
        place = torch.arange(side).view([-1 if one == axis else 1 for one in range(4)])
        inside = inside & ((place - centre).abs() <= side // CUT // 2)
    return image.masked_fill(inside, grey)
