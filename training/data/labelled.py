"""Pictures of one size, in classes or not: what an encoder or a generator learns from."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
"""[N,C,H,W]; C is 1 (grey) or 3."""
MOST_MEASURED = 20_000_000
"""Values (pixels times channels) of the pictures that a version is measured on."""


@dataclass(frozen=True)
class Split:
    """`images` [N,C,H,W] and `labels` uint8 [N]; without classes every label is 0."""

    images: Images
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class Stranger:
    """Pictures of another kind, of the same size and number of channels: what should look odd."""

    name: str
    images: Images


@dataclass(frozen=True)
class Pictures:
    """Validation is for choosing; versions are measured on `test`.

    `attributes` are the names of those of `training.metrics.latents` that mean something here.
    `stranger` is another data set, where one is at hand.
    `showable` says that these very pictures may be shown to anybody, in a model card say.
    """

    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    attributes: tuple[str, ...]
    name: str
    sha256: str
    showable: bool = False
    stranger: Stranger | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a picture."""
        _, channels, height, width = self.train.images.shape
        return channels, height, width

    @property
    def measured(self) -> Split:
        """The test pictures on which a version is measured: all, or the first of them where they are many and large."""
        most = MOST_MEASURED // math.prod(self.shape)
        return Split(self.test.images[:most], self.test.labels[:most])
