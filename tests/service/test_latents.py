from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from service.runtime.latents import MOST, Path, between, drawn, lattice

NUMBERS = st.floats(-MOST, MOST, width=32)


@st.composite
def ends(draw: Callable[..., Any]) -> tuple[Any, Any]:
    size = draw(st.integers(1, 12))
    return tuple(np.array(draw(st.lists(NUMBERS, min_size=size, max_size=size)), np.float32) for _ in range(2))


def norm(latents: Any) -> Any:
    return np.linalg.norm(latents.astype(np.float64), axis=-1)


@given(ends(), st.integers(2, 20), st.sampled_from(["slerp", "linear"]))
@settings(deadline=None)
def test_a_path_leads_from_end_to_end(pair: tuple[Any, Any], steps: int, path: Path) -> None:
    latents = between(*pair, steps, path)
    assert (latents.shape, latents.dtype) == ((steps, pair[0].size), np.float32)
    assert np.array_equal(latents[0], pair[0])
    assert np.array_equal(latents[-1], pair[1])
    assert np.isfinite(latents).all()


@given(ends(), st.integers(2, 20))
@settings(deadline=None)
def test_slerps_length_goes_evenly(pair: tuple[Any, Any], steps: int) -> None:
    start, end = pair
    assume(start.size > 1)
    expected = np.linspace(norm(start), norm(end), steps)
    assert norm(between(start, end, steps, "slerp")) == pytest.approx(expected, rel=1e-5, abs=1e-30)


@given(ends(), st.integers(3, 20))
@settings(deadline=None)
def test_slerp_turns_at_a_constant_rate(pair: tuple[Any, Any], steps: int) -> None:
    start, end = pair
    assume(start.size > 1 and norm(start) > 1e-3 and norm(end) > 1e-3)
    latents = between(start, end, steps, "slerp").astype(np.float64)
    units = latents / norm(latents)[:, None]
    # The angle of two unit vectors, exact near 0 and pi (Kahan).
    turned = 2 * np.arctan2(norm(units[1:] - units[:-1]), norm(units[1:] + units[:-1]))
    whole = 2 * np.arctan2(norm(units[-1] - units[0]), norm(units[-1] + units[0]))
    assert turned == pytest.approx(np.full(steps - 1, whole / (steps - 1)), abs=1e-5)


def test_slerp_is_shoemakes_formula_for_ends_of_one_length() -> None:
    start, end = np.array([3, 0, 4], np.float32), np.array([0, 5, 0], np.float32)
    share, omega = np.linspace(0, 1, 7)[:, None], np.pi / 2
    expected = (np.sin((1 - share) * omega) * start + np.sin(share * omega) * end) / np.sin(omega)
    assert between(start, end, 7, "slerp") == pytest.approx(expected, abs=1e-6)


def test_linear_is_a_straight_line() -> None:
    latents = between(np.array([0, 8], np.float32), np.array([4, 0], np.float32), 5, "linear")
    assert latents.tolist() == [[0, 8], [1, 6], [2, 4], [3, 2], [4, 0]]


@pytest.mark.parametrize(
    ("start", "end", "middle"),
    [
        ([0, 0], [2, 4], [1, 2]),  # a zero has no direction: a line
        ([2, 4], [0, 0], [1, 2]),
        ([0, 0], [0, 0], [0, 0]),
        ([1, 2], [1, 2], [1, 2]),  # parallel: nothing turns
        ([1, 2], [3, 6], [2, 4]),
        ([3, 0], [-3, 0], [0, 3]),  # opposite: over the axis that the start is least along
        ([0, 0, 1], [0, 0, -3], [2, 0, 0]),
        ([2], [-2], [0]),  # no way round in one dimension
    ],
)
def test_where_slerp_has_no_plane(start: list[float], end: list[float], middle: list[float]) -> None:
    latents = between(np.array(start, np.float32), np.array(end, np.float32), 3, "slerp")
    assert latents[1] == pytest.approx(middle, abs=1e-6)


@given(st.integers(2, 9), st.permutations(range(5)))
@settings(deadline=None)
def test_a_lattice_has_the_quantiles_of_the_prior(size: int, axes: list[int]) -> None:
    x, y, *others = axes
    cells = np.array(list(lattice(size, x, y, 5))).reshape(size, size, 5)
    assert cells.dtype == np.float32
    assert not cells[..., others].any()
    assert all(np.array_equal(row, cells[0, :, x]) for row in cells[:, :, x])  # x rises in a row
    assert all(np.array_equal(row, cells[:, 0, y]) for row in cells[:, :, y].T)  # y rises from row to row
    for quantiles in (cells[0, :, x], cells[:, 0, y]):
        shares = [NormalDist().cdf(float(value)) for value in quantiles]
        assert shares == pytest.approx([(place + 0.5) / size for place in range(size)], abs=1e-6)


@given(st.integers(0, 2**63 - 1), st.integers(1, 50), st.integers(1, 20))
@settings(deadline=None)
def test_a_seeds_latent_is_the_same_with_and_without_classes(seed: int, size: int, classes: int) -> None:
    latent, label = drawn(seed, size, classes)
    without, none = drawn(seed, size, 0)
    assert np.array_equal(latent, without)
    assert none is None
    assert label is not None
    assert label in range(classes)
