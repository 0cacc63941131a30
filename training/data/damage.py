"""What befalls photographs: the noise of a sensor, dead pixels, JPEG, captions and watermarks.

Pictures are uint8, [H,W] or [H,W,3], as files are. Randomness comes from the generator that is given.
"""

from __future__ import annotations

import io
import string
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training.data.photographs import Picture

FONTS = "DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf"
SIZES = 8, 40
"""Of the font in pixels, smallest and largest."""
Damage = Callable[[Picture, np.random.Generator], Picture]


def sensor(clean: Picture, rng: np.random.Generator, *, gain: float, read: float) -> Picture:
    """Poisson-Gaussian noise (Foi et al., "Practical Poissonian-Gaussian noise modeling", 2008), rounded and clipped.

    A value x in 0..1 becomes gain P(x / gain) + N(0, read): its variance is gain x + read^2.
    """
    counted = gain * rng.poisson(clean / (255 * gain)) if gain else clean / 255
    return _eight_bit(255 * (counted + rng.normal(0, read, clean.shape)))


def salt_and_pepper(clean: Picture, rng: np.random.Generator, *, share: float) -> Picture:
    """That share of the pixels is black or white."""
    bad = rng.random(clean.shape[:2]) < share
    result = clean.copy()
    result[bad] = np.where(rng.random(int(bad.sum())) < 0.5, 0, 255).reshape(-1, *[1] * (clean.ndim - 2))
    return result


def jpeg(clean: Picture, rng: np.random.Generator, *, quality: int, shift: int = 0) -> Picture:
    """Stored as a JPEG of that quality; its blocks begin `shift` pixels above and left of the picture."""
    del rng
    margin = [(shift, 0), (shift, 0), (0, 0)][: clean.ndim]
    stored = io.BytesIO()
    Image.fromarray(np.pad(clean, margin, mode="symmetric")).save(stored, "JPEG", quality=quality)
    return np.asarray(Image.open(stored))[shift:, shift:]


def caption(clean: Picture, rng: np.random.Generator, *, lines: int = 0) -> Picture:
    """Opaque letters in one colour across the picture; 0 lines are one for about every 120 pixels of height."""
    return _written(clean, rng, lines or -(-clean.shape[0] // 120), opacity=1.0)


def watermark(clean: Picture, rng: np.random.Generator, *, lines: int = 0) -> Picture:
    """The same, half transparent, and twice as close."""
    return _written(clean, rng, lines or -(-clean.shape[0] // 60), opacity=float(rng.uniform(0.25, 0.6)))


CASES: Mapping[str, Damage] = {
    "sensor noise, weak": partial(sensor, gain=0.005, read=0.01),
    "sensor noise, strong": partial(sensor, gain=0.03, read=0.02),
    "salt and pepper, 5 %": partial(salt_and_pepper, share=0.05),
    "salt and pepper, 20 %": partial(salt_and_pepper, share=0.2),
    "JPEG of quality 10": partial(jpeg, quality=10),
    "JPEG of quality 20": partial(jpeg, quality=20),
    "JPEG of quality 40": partial(jpeg, quality=40),
    "caption": caption,
    "watermark": watermark,
}
"""What a restorer is measured on."""


def any_damage(clean: Picture, rng: np.random.Generator) -> Picture:
    """One or two kinds, drawn with their strength; one picture in twenty is left as it is."""
    kinds: tuple[Damage, ...] = (
        partial(sensor, gain=float(np.exp(rng.uniform(np.log(0.001), np.log(0.05)))), read=float(rng.uniform(0, 0.03))),
        partial(salt_and_pepper, share=float(rng.uniform(0.005, 0.3))),
        partial(caption, lines=1) if rng.random() < 0.5 else partial(watermark, lines=2),
        partial(jpeg, quality=int(rng.integers(5, 81)), shift=int(rng.integers(8)) if rng.random() < 0.3 else 0),
    )
    how_many = rng.choice(3, p=(0.05, 0.75, 0.2))
    chosen = sorted(rng.choice(len(kinds), how_many, replace=False, p=(0.3, 0.2, 0.25, 0.25)))
    for place in chosen:  # in the order in which they befall a picture
        clean = kinds[place](clean, rng)
    return clean


def _written(clean: Picture, rng: np.random.Generator, lines: int, opacity: float) -> Picture:
    height, width = clean.shape[:2]
    letters = Image.new("L", (width, height))
    draw = ImageDraw.Draw(letters)
    for _ in range(lines):
        words = "".join(rng.choice(list(string.ascii_letters + string.digits + "   "), 60))
        place = int(rng.integers(-100, 1)), int(rng.integers(-8, height))
        draw.text(place, words, fill=255, font=_font(str(rng.choice(FONTS)), int(rng.integers(*SIZES, endpoint=True))))
    cover = np.asarray(letters, np.float32)[..., None] / 255 * opacity
    ink = rng.choice([0.0, 255.0]) if rng.random() < 0.6 else rng.uniform(0, 255, clean.shape[2:] or 1)
    planes = clean if clean.ndim == 3 else clean[..., None]
    return _eight_bit(planes + cover * (ink - planes)).reshape(clean.shape)


@cache
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def _eight_bit(values: NDArray[np.floating]) -> Picture:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
