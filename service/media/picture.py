"""What a picture is, whatever it was read from, and what is known of it before it is decoded."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Picture:
    """`pixels` [H,W], [H,W,1] or [H,W,3]: uint8, uint16, or floats, of which 0..1 is what can be shown.

    `alpha` is [H,W], uint8. `exif` is a TIFF structure, as it stands in PNG; its orientation is upright.
    """

    pixels: NDArray[Any]
    alpha: NDArray[np.uint8] | None = None
    icc: bytes | None = None
    exif: bytes | None = None

    @classmethod
    def of_image(cls, image: NDArray[np.float32]) -> "Picture":
        """What a graph drew: `image` [1 or 3,H,W], 0..1."""
        return cls(image[0] if len(image) == 1 else image.transpose(1, 2, 0))

    @property
    def height(self) -> int:
        """In pixels."""
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        """In pixels."""
        return self.pixels.shape[1]

    def with_pixels(self, pixels: NDArray[Any]) -> "Picture":
        """The same picture otherwise."""
        return replace(self, pixels=pixels)

    def beside(self, other: "Picture") -> "Picture":
        """This picture and, to its right, `other`, which has its size, its type and its alpha."""
        alpha = None if self.alpha is None else np.concatenate([self.alpha, self.alpha], axis=1)
        return replace(self, pixels=np.concatenate([self.pixels, other.pixels], axis=1), alpha=alpha)

    def levels(self) -> NDArray[Any]:
        """The pixels as integers: floats are cut to 0..1 and rounded to 8 bit."""
        if self.pixels.dtype.kind == "u":
            return self.pixels
        return np.clip(self.pixels * np.float32(255) + np.float32(0.5), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Header:
    """What is known of a body before it is decoded: of one picture, or of `count` that are alike.

    `shape` and `dtype` are those that its pixels will have, turned upright; `clear` tells whether it has
    alpha, `stacked` whether it has an axis of pictures, which it may have for a single one.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: type[np.generic] = np.uint8
    clear: bool = False
    count: int = 1
    stacked: bool = False

    @property
    def channels(self) -> int:
        """Of colour: 1 or 3."""
        return 1 if len(self.shape) == 2 else self.shape[2]

    @property
    def pixels(self) -> int:
        """Of all its pictures."""
        return self.shape[0] * self.shape[1] * self.count

    def beside(self) -> "Header":
        """That of two such pictures side by side."""
        return replace(self, shape=(self.shape[0], 2 * self.shape[1], *self.shape[2:]))
