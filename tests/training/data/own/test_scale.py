"""The levels of a scale, and from where a rating says "liked": one case for every rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.own import scale
from training.data.own.scale import Kind, Scale
from training.data.source import DataError


def derive(*values: float, kind: Kind | None = None, counted: bool = False, liked: float | None = None) -> Scale:
    return scale.derive(np.array(values, np.float64), kind, counted=counted, liked=liked)


def halves(low: float, high: float) -> list[float]:
    return [low + step / 2 for step in range(int(2 * (high - low)) + 1)]


@pytest.mark.parametrize(
    ("values", "liked", "told"),
    [
        (halves(0.5, 5), 4, "scale 0.5..5 in steps of 0.5; liked from 4 (the top quarter of the scale)"),
        ([*range(1, 6)], 4, "scale 1..5 in steps of 1; liked from 4 (the top quarter of the scale)"),
        ([*range(1, 11)], 8, "scale 1..10 in steps of 1; liked from 8 (the top quarter of the scale)"),
        ([*range(0, 101, 10)], 80, "scale 0..100 in steps of 10; liked from 80 (the top quarter of the scale)"),
        ([0, 1], 1, "scale of 0, 1; liked from 1 (the top quarter of the scale)"),
        ([-1, 1], 1, "scale of -1, 1; liked from 1 (the top quarter of the scale)"),
        ([-1, 0, 1], 1, "scale -1..1 in steps of 1; liked from 1 (the top quarter of the scale)"),
        ([1, 2, 5], 5, "scale of 1, 2, 5; liked from 5 (the top quarter of the scale)"),
        ([0.1, 0.2, 0.3], 0.3, "scale 0.1..0.3 in steps of 0.1; liked from 0.3 (the top quarter of the scale)"),
    ],
    ids=["half stars", "five", "ten", "hundred", "thumbs", "thumbs up and down", "thumbs and none", "gaps", "tenths"],
)
def test_few_values_are_the_levels(values: list[float], liked: float, told: str) -> None:
    found = derive(*values, *values)
    assert found.levels == tuple(values)
    assert (found.liked, found.told) == (liked, told)
    assert found.place(np.array(values, np.float64)).tolist() == np.float32(values).tolist()


@pytest.mark.parametrize(
    ("low", "high", "levels", "liked"),
    [(0, 1, 21, 0.75), (1, 10, 19, 8), (-10, 10, 21, 5), (0, 100, 21, 75), (0, 0.07, 15, 0.055)],
)
def test_many_values_are_brought_to_even_levels(low: float, high: float, levels: int, liked: float) -> None:
    values = np.linspace(low, high, 1_001)
    found = scale.derive(values, None, counted=False, liked=None)
    assert (len(found.levels), found.liked) == (levels, liked)
    assert (found.levels[0], found.levels[-1]) == (low, high)
    steps = np.diff(found.levels)
    assert np.allclose(steps, steps[0])
    assert np.abs(found.place(values) - values).max() <= steps[0] / 2 + 1e-6 * high
    assert f"in steps of {steps[0]:.6g}: 1,001 different ratings, each brought to the nearest level; " in found.told


def test_counts_are_powers_of_two_as_far_as_one_row_in_a_hundred_goes() -> None:
    plays = [1.0] * 400 + [3.0] * 300 + [9.0] * 200 + [17.0] * 95 + [5_000.0] * 5
    found = derive(*plays, counted=True)
    assert found.levels == (1, 2, 4, 8, 16)
    assert found.place(np.array([1, 2, 3, 4, 7, 8, 17, 5_000])).tolist() == [1, 2, 2, 4, 4, 8, 16, 16]
    assert found.told == (
        "counts in levels 1, 2, 4, 8, 16: each counts as the greatest level that it reaches, so 5000 as 16; "
        "liked from 2 (the median, or the second level)"
    )


def test_a_count_of_zero_is_a_level_and_liked_is_at_least_the_second() -> None:
    found = derive(*[0.0] * 60, *[1.0] * 30, *[2.0] * 10, counted=True)
    assert (found.levels, found.liked) == ((0, 1, 2), 1)


@pytest.mark.parametrize(
    ("values", "counted", "counts"),
    [
        ([*range(102)], False, True),
        ([*range(101)], False, False),
        ([*range(1, 6)], True, True),
        ([*range(1, 6)], False, False),
        ([value + 0.5 for value in range(200)], True, False),
        ([*range(-1, 200)], True, False),
    ],
    ids=["beyond 100", "up to 100", "few, by name", "few", "by name, not whole", "by name, negative"],
)
def test_what_is_taken_for_counts(values: list[float], counted: bool, counts: bool) -> None:
    assert derive(*values, counted=counted).told.startswith("counts") == counts
    assert derive(*values, counted=counted, kind="steps").told.startswith("scale")


def test_the_user_s_word_goes_before_the_rule() -> None:
    assert derive(1, 2, 3, 4, 5, kind="counts").levels == (1, 2, 4)
    assert derive(1, 2, 3, 4, 5, liked=2).liked == 2
    between = derive(1, 2, 3, 4, 5, liked=3.2)
    assert between.liked == 4, "the next level, so that a like and a rating of it are the same"
    assert between.told.endswith("liked from 4 (the next level from the 3.2 that you say)")
    assert derive(1, 2, 3, 4, 5, liked=2).told.endswith("liked from 2 (as you say)")


@pytest.mark.parametrize(
    ("values", "changes", "told"),
    [
        ([5, 5, 5], {}, "every rating is 5: two different ones are the least. --scale likes takes every row as a like"),
        ([1, 2.5], {"kind": "counts"}, "--scale counts: 2.5 is no count"),
        ([-1, 2], {"kind": "counts"}, "--scale counts: -1 is no count"),
        ([5, 6, 7], {"kind": "counts"}, "nearly all counts fall into one level, 4: --scale steps takes them as they "),
        ([1, 5], {"liked": 5.5}, "--liked 5.5 does not lie on the scale 1..5"),
        ([1, 5], {"liked": 0}, "--liked 0 does not lie on the scale 1..5"),
    ],
)
def test_what_cannot_be_is_refused(values: list[float], changes: dict[str, float], told: str) -> None:
    with pytest.raises(DataError) as caught:
        derive(*values, **changes)  # type: ignore[arg-type]
    assert str(caught.value).startswith(told)


def test_without_ratings_every_row_is_a_like() -> None:
    found = scale.likes(None)
    assert (found.levels, found.liked) == ((0, 1), 1)
    assert found.place(np.zeros(3)).tolist() == [1, 1, 1]
    with pytest.raises(DataError, match="there are no ratings"):
        scale.likes(1)


@given(
    st.lists(st.floats(-scale.MOST, scale.MOST, width=32), min_size=1, max_size=60) | st.lists(st.integers(0, 10**6)),
    st.sampled_from(["steps", "counts", None]),
    st.booleans(),
)
def test_any_ratings_make_a_scale_or_a_refusal(values: list[float], kind: Kind | None, counted: bool) -> None:
    try:
        found = derive(*(values or [0]), kind=kind, counted=counted)
    except DataError:
        return
    assert 2 <= len(found.levels) <= 31 + 1
    assert list(found.levels) == sorted(set(found.levels))
    assert found.liked in found.levels
    placed = found.place(np.array(values, np.float64))
    assert set(placed.tolist()) <= set(np.array(found.levels, np.float32).tolist())
    assert np.array_equal(found.place(placed.astype(np.float64)), placed), "a level is its own"
