"""Pictures in rows and columns, pixel for pixel, with words beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training.figures.figure import INK, encode

Picture = NDArray[np.uint8]
"""[C,H,W]; C is 1 (grey) or 3."""
SIDE = 60
"""Pixels that a picture is enlarged to, by the nearest whole factor."""
GAP = 2
TEXT = 15
LINE = 22
MOST_VALUES = 80_000
"""Values of all pictures of a sheet: what keeps its file small."""


def most(shape: tuple[int, int, int]) -> int:
    """How many pictures [C,H,W] a sheet may hold, one at least."""
    return max(1, MOST_VALUES // int(np.prod(shape)))


def middles(images: Sequence[NDArray[Any]], height: int, width: int) -> list[Picture]:
    """The middle pieces of photographs [H,W,C] of one size: uint8, or floats of which 0..1 is what can be shown."""
    top, left = (max(0, (size - part) // 2) for size, part in zip(images[0].shape, (height, width), strict=False))
    pieces = (image[top : top + height, left : left + width].transpose(2, 0, 1) for image in images)
    return [
        piece if piece.dtype == np.uint8 else np.round(piece * 255).clip(0, 255).astype(np.uint8) for piece in pieces
    ]


def sheet(
    rows: Sequence[Sequence[Picture]],
    *,
    left: Sequence[str] = (),
    above: Sequence[str] = (),
    below: Sequence[Sequence[str]] = (),
    enlarge: int = 0,
) -> bytes:
    """A PNG of `rows` of pictures of one size, on no background.

    Words: `left` of each row, `above` each column, `below` each picture. `enlarge` is the whole
    factor by which pixels grow; 0 chooses it.
    """
    _, height, width = rows[0][0].shape
    factor = enlarge or max(1, round(SIDE / max(height, width)))
    font = ImageFont.truetype(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), TEXT)
    margin = max((round(font.getlength(word)) + 2 * GAP + 4 for word in left), default=0)
    head, foot = LINE if above else 0, LINE if below else 0
    down, across = height * factor + foot + GAP, width * factor + GAP
    words = Image.new("L", (margin + across * max(map(len, rows)), head + down * len(rows)))
    write = ImageDraw.Draw(words)
    canvas = np.zeros((words.height, words.width, 4), np.uint8)
    for place, row in enumerate(rows):
        top = head + place * down
        for column, picture in enumerate(row):
            start = margin + column * across
            pixels = picture.transpose(1, 2, 0).repeat(factor, axis=0).repeat(factor, axis=1)
            canvas[top : top + height * factor, start : start + width * factor, :3] = pixels
            canvas[top : top + height * factor, start : start + width * factor, 3] = 255
            if below:
                middle = start + width * factor / 2, top + height * factor + foot / 2
                write.text(middle, below[place][column], 255, font, anchor="mm")
        if left:
            write.text((margin - GAP - 4, top + height * factor / 2), left[place], 255, font, anchor="rm")
    for column, word in enumerate(above):
        write.text((margin + column * across + width * factor / 2, head / 2), word, 255, font, anchor="mm")
    written = np.asarray(words)
    canvas[written > 0, :3] = [int(INK[place : place + 2], 16) for place in (1, 3, 5)]
    canvas[..., 3] = np.maximum(canvas[..., 3], written)
    return encode(canvas)
