"""What a rating means: the levels of a scale and from where a rating says "liked", by stated rules.

- Up to 21 different values are the levels. More are brought to the nearest of at most 21 in even
  steps of 1, 2 or 5 times a power of ten.
- Counts (plays, clicks) become powers of two: a count is the greatest power that it reaches, and
  the highest level is the greatest that one row in a hundred reaches. Counts are whole numbers,
  none negative, with a column's name that says so, or with more than 21 values up to above 100.
- Liked is a rating from the lowest level in the top quarter of the scale on; for counts, from the
  level of the median count on, or the second level if that is the lowest.
- Without ratings every row is a like.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.data.source import DataError

MOST_LEVELS = 21
MOST = 1e9
"""Greatest rating, positive or negative; what lies beyond is a bad row."""
COUNTED = 100
"""More than this is no scale of ratings."""
REACHED = 0.01
Kind = Literal["steps", "counts", "likes"]
Values = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Scale:
    """`place` brings values to the levels; `told` is the rule in words."""

    levels: tuple[float, ...]
    liked: float
    place: Callable[[Values], NDArray[np.float32]]
    told: str


def derive(values: Values, kind: Kind | None, *, counted: bool, liked: float | None) -> Scale:
    """The scale of these ratings. `counted` is whether the column's name is one of counts; `liked` overrides.

    Raises:
        DataError: there is no difference between the ratings, or `kind` or `liked` does not fit them.
    """
    found = np.unique(values.astype(np.float32) + 0).astype(np.float64)  # + 0: there is one zero
    whole = found[0] >= 0 and bool((found == np.floor(found)).all())
    if len(found) == 1:
        raise DataError(
            f"every rating is {number(found[0])}: two different ones are the least. "
            "--scale likes takes every row as a like"
        )
    if kind is None:
        many = len(found) > MOST_LEVELS and found[-1] > COUNTED
        kind = "counts" if whole and (counted or many) else "steps"
    if kind == "counts":
        if not whole:
            raise DataError(f"--scale counts: {number(next(iter(found[(found < 0) | (found % 1 != 0)])))} is no count")
        return _counts(values, liked)
    return _few(found, liked) if len(found) <= MOST_LEVELS else _steps(found, liked)


def likes(liked: float | None) -> Scale:
    """Every row is a like, 1 on a scale from 0 to 1."""
    if liked is not None:
        raise DataError("--liked: there are no ratings, so every row is liked")
    return Scale(
        (0.0, 1.0),
        1.0,
        lambda values: np.ones(len(values), np.float32),
        "no ratings: every row is a like, 1 on the scale 0..1; predicted ratings say nothing",
    )


def number(value: float) -> str:
    """`4`, `0.5`."""
    return f"{value:.10g}"


def _few(found: NDArray[np.float64], liked: float | None) -> Scale:
    levels = tuple(float(str(value)) for value in found.astype(np.float32))  # 0.1, not what float32 makes of it
    return _scale(levels, _nearest(levels), _spell(levels), liked)


def _steps(found: NDArray[np.float64], liked: float | None) -> Scale:
    low, high = float(found[0]), float(found[-1])
    step = next(
        size
        for power in range(-40, 10)
        for size in (10.0**power, 2 * 10.0**power, 5 * 10.0**power)
        if round(high / size) - round(low / size) < MOST_LEVELS
    )
    places = np.unique(np.rint(found / step))
    levels = tuple(float(f"{place * step:.10g}") for place in places)
    told = f"{_spell(levels)}: {len(found):,} different ratings, each brought to the nearest level"
    return _scale(levels, _nearest(levels), told, liked)


def _counts(values: Values, liked: float | None) -> Scale:
    low, high = float(values.min()), float(values.max())
    powers = [2.0**power for power in range(31) if 2.0**power <= high]
    first = max([power for power in powers if power <= low], default=0.0)
    top = max([power for power in powers if np.mean(values >= power) >= REACHED], default=1.0)
    levels = [power for power in powers if first <= power <= top]
    levels = [0.0, *levels] if first == 0 else levels
    if len(levels) == 1:
        raise DataError(
            f"nearly all counts fall into one level, {number(levels[0])}: --scale steps takes them as they are, "
            "--scale likes takes every row as a like"
        )
    edges = np.array(levels)

    def place(counts: Values) -> NDArray[np.float32]:
        return edges.astype(np.float32)[np.searchsorted(edges, counts, side="right") - 1]

    told = f"counts in levels {', '.join(map(number, levels))}: each counts as the greatest level that it reaches"
    if high > levels[-1]:
        told += f", so {number(high)} as {number(levels[-1])}"
    usual = float(max(place(np.array([np.median(values)]))[0], levels[1]))
    return _scale(tuple(levels), place, told, liked, usual, "the median, or the second level")


def _scale(
    levels: tuple[float, ...],
    place: Callable[[Values], NDArray[np.float32]],
    told: str,
    liked: float | None,
    usual: float | None = None,
    why: str = "the top quarter of the scale",
) -> Scale:
    low, high = levels[0], levels[-1]
    if liked is None:
        start = low + 0.75 * (high - low) if usual is None else usual
    elif low <= liked <= high:
        start, why = liked, "as you say"
    else:
        raise DataError(f"--liked {number(liked)} does not lie on the scale {number(low)}..{number(high)}")
    least = next(level for level in levels if level >= start)
    if liked is not None and least != liked:
        why = f"the next level from the {number(liked)} that you say"
    return Scale(levels, least, place, f"{told}; liked from {number(least)} ({why})")


def _nearest(levels: tuple[float, ...]) -> Callable[[Values], NDArray[np.float32]]:
    at = np.array(levels)
    between = (at[1:] + at[:-1]) / 2
    return lambda values: at.astype(np.float32)[np.searchsorted(between, values)]


def _spell(levels: tuple[float, ...]) -> str:
    steps = np.diff(levels)
    if len(levels) > 2 and np.allclose(steps, steps[0], rtol=1e-6):
        return f"scale {number(levels[0])}..{number(levels[-1])} in steps of {number(float(f'{steps[0]:.6g}'))}"
    return f"scale of {', '.join(map(number, levels))}"
