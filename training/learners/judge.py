"""A small classifier that the project trains itself, whose features compare real and generated pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from training.data.labelled import Images, Split


class Classifier(nn.Module):
    """image [B,C,H,W] in 0..1 -> class logits [B,K] and features [B,64]. H and W are multiples of 4."""

    def __init__(self, classes: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width = shape
        self.body = nn.Sequential(
            nn.Conv2d(channels, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * (height // 4) * (width // 4), 64),
            nn.ReLU(),
        )
        self.head = nn.Linear(64, classes)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(image)
        return self.head(features), features


@dataclass(frozen=True)
class Judge:
    """A trained classifier that looks at uint8 pictures [N,C,H,W]."""

    network: Classifier

    @torch.no_grad()
    def look(self, images: Images) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """Predicted classes [N] and features [N,64]."""
        parts = [self.network(torch.from_numpy(part.copy()).float() / 255) for part in _parts(images)]
        classes = torch.cat([logits.argmax(dim=1) for logits, _ in parts])
        return classes.numpy(), torch.cat([features for _, features in parts]).double().numpy()


def train_judge(train: Split, classes: int, steps: int = 2_000, seed: int = 0) -> Judge:
    """Cross-entropy on batches of 128, Adam 1e-3 falling to zero; about 20 seconds on two cores.

    Forty passes over the pictures are enough, however few they are.
    """
    steps = min(steps, 40 * -(-len(train.images) // 128))
    torch.manual_seed(seed)
    network = Classifier(classes, (train.images.shape[1], *train.images.shape[2:]))
    images, labels = torch.from_numpy(train.images.copy()), torch.from_numpy(train.labels.copy()).long()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=steps)
    for _ in range(steps):
        rows = torch.randint(len(images), (128,))
        logits, _ = network(images[rows].float() / 255)
        optimizer.zero_grad()
        functional.cross_entropy(logits, labels[rows]).backward()
        optimizer.step()
        schedule.step()
    return Judge(network.eval())


def _parts(images: Images) -> list[Images]:
    return [images[start : start + 1000] for start in range(0, len(images), 1000)]
