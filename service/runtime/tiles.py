"""A picture of any size through a graph in tiles, without seams.

The picture is padded by reflection to the graph's size multiple and cut into cores. Each
core is run with `overlap` pixels of its neighbourhood on every side that has one, and only
the core is kept. Origins lie on the grid of the multiple, so a tile meets the graph's
down-sampling in the same phase as the whole picture does: where `overlap` covers the
graph's reach, tiled equals whole.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.runtime.turns import Turns

CORE = 512
"""Pixels of a core's side: bounds the memory of a run, whatever the picture's size, and how long a turn takes.

With 64 pixels of overlap on each side a run of the shipped model takes 110 MB.
"""


@dataclass(frozen=True)
class Tile:
    """What is run, and which part of it is kept, as (rows, columns) of the padded picture."""

    run: tuple[slice, slice]
    keep: tuple[slice, slice]

    def inside(self) -> tuple[slice, slice]:
        """The kept part in the coordinates of the run."""
        rows, columns = (
            slice(keep.start - run.start, keep.stop - run.start) for run, keep in zip(self.run, self.keep, strict=True)
        )
        return rows, columns


def cut(height: int, width: int, multiple: int, overlap: int, core: int = CORE) -> Iterator[Tile]:
    """Tiles whose kept parts cover the picture exactly once. Both sizes must be multiples of `multiple`."""
    step = max(1, core // multiple) * multiple
    for top in range(0, height, step):
        for left in range(0, width, step):
            keep = slice(top, min(top + step, height)), slice(left, min(left + step, width))
            rows, columns = (
                slice(max(0, kept.start - overlap), min(kept.stop + overlap, size))
                for kept, size in zip(keep, (height, width), strict=True)
            )
            yield Tile((rows, columns), keep)


def over(
    pixels: NDArray[Any],
    work: Callable[[NDArray[Any]], NDArray[Any]],
    multiple: int,
    overlap: int,
    turns: Turns,
    core: int = CORE,
) -> NDArray[Any]:
    """`work` on every tile of `pixels` [H,W,...], one a turn; it keeps shape and type."""
    height, width = pixels.shape[0], pixels.shape[1]
    # Which pixels stand where in the padded picture: of the picture itself no copy is made.
    down, along = (np.pad(np.arange(size), (0, -size % multiple), mode="reflect") for size in (height, width))
    result = np.empty_like(pixels)

    def fill(tile: Tile) -> None:
        done = work(pixels[np.ix_(down[tile.run[0]], along[tile.run[1]])])[tile.inside()]
        rows, columns = tile.keep
        kept = result[rows, columns]  # numpy cuts the slices at the picture's own edge
        kept[:] = done[: kept.shape[0], : kept.shape[1]]

    for _ in turns.all("run", (partial(fill, tile) for tile in cut(len(down), len(along), multiple, overlap, core))):
        pass
    return result
