import numpy as np
import pytest
from scipy.special import ndtri

from training.metrics import distances
from training.metrics.distances import Gaussian, frechet, kernel_distance


def gaussian(mean: np.ndarray, covariance: np.ndarray, count: int = 400, seed: int = 0) -> np.ndarray:
    """Rows whose sample mean and covariance are exactly these."""
    draws = np.random.default_rng(seed).standard_normal((count, len(mean)))
    centred = draws - draws.mean(axis=0)
    white = centred @ np.linalg.inv(np.linalg.cholesky(np.cov(centred, rowvar=False))).T
    return mean + white @ np.linalg.cholesky(covariance).T


def between(first: np.ndarray, second: np.ndarray) -> float:
    return frechet(Gaussian.of(first), Gaussian.of(second))


FIRST, SECOND = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 0.5])
WIDE, NARROW = np.array([4.0, 1.0, 0.25]), np.array([1.0, 9.0, 0.25])


def test_distance_of_two_gaussians_with_the_same_axes() -> None:
    found = between(gaussian(FIRST, np.diag(WIDE)), gaussian(SECOND, np.diag(NARROW), seed=1))
    expected = np.square(FIRST - SECOND).sum() + np.square(np.sqrt(WIDE) - np.sqrt(NARROW)).sum()
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_rotation_of_both_changes_nothing_and_of_one_it_does() -> None:
    turn = np.linalg.qr(np.random.default_rng(5).standard_normal((3, 3)))[0]
    first, second = gaussian(FIRST, np.diag(WIDE)), gaussian(SECOND, np.diag(NARROW), seed=1)
    assert between(first @ turn, second @ turn) == pytest.approx(between(first, second), rel=1e-9)
    rotated = gaussian(SECOND, turn @ np.diag(NARROW) @ turn.T, seed=1)
    product = np.diag(WIDE) @ turn @ np.diag(NARROW) @ turn.T
    mixed = np.sqrt(np.linalg.eigvals(product).real).sum()  # tr (C1 C2)^(1/2), from the product's own eigenvalues
    expected = np.square(FIRST - SECOND).sum() + WIDE.sum() + NARROW.sum() - 2 * mixed
    assert between(first, rotated) == pytest.approx(expected, rel=1e-9)
    assert between(rotated, first) == pytest.approx(expected, rel=1e-9)


def test_a_set_is_no_distance_from_itself_even_where_it_is_flat() -> None:
    flat = gaussian(FIRST, np.diag(WIDE))
    flat[:, 2] = 7
    assert between(flat, flat) == pytest.approx(0, abs=1e-9)
    assert between(flat, flat[::-1]) == pytest.approx(0, abs=1e-9)


def test_a_shift_counts_by_its_square() -> None:
    rows = gaussian(FIRST, np.diag(WIDE))
    assert between(rows, rows + np.array([3, 0, 4])) == pytest.approx(25, rel=1e-9)


def test_the_kernel_distance_by_hand() -> None:
    first, second = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 0.0]])
    # k = (x.y / 2 + 1)^3 over pairs of different rows, and over all pairs of the two sets
    within_first, within_second = 1.0, (8 + 1 + 1) / 3
    across = (1.5**3 + 2**3 + 1 + 2**3 + 1 + 1) / 6
    expected = within_first + within_second - 2 * across
    assert kernel_distance(first, second) == pytest.approx(expected, rel=1e-12)
    assert kernel_distance(second, first) == pytest.approx(expected, rel=1e-12)


def test_the_kernel_distance_is_unbiased_where_the_distributions_are_equal() -> None:
    draws = np.random.default_rng(0).standard_normal((300, 2, 20, 3))
    found = np.array([kernel_distance(first, second) for first, second in draws])
    assert abs(found.mean()) < 4 * found.std() / np.sqrt(len(found))
    assert found.min() < 0 < found.max()


def test_the_kernel_distance_of_a_shift_is_that_of_its_moments() -> None:
    """Of N(0, 1) and N(m, 1) in one dimension: E (x y + 1)^3 is a polynomial of their moments."""
    shift = 0.5
    moments = [np.array([0.0, 1.0, 0.0]), np.array([shift, 1 + shift**2, shift**3 + 3 * shift])]

    def mean(one: np.ndarray, other: np.ndarray) -> float:
        return float(1 + 3 * one[0] * other[0] + 3 * one[1] * other[1] + one[2] * other[2])

    expected = mean(moments[0], moments[0]) + mean(moments[1], moments[1]) - 2 * mean(*moments)
    points = ndtri((np.arange(2000) + 0.5) / 2000)[:, None]  # of even probability
    assert kernel_distance(points, points + shift) == pytest.approx(expected, rel=0.02)
    assert expected > 1


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = np.random.default_rng(0).standard_normal((2, 50, 4))
    whole = kernel_distance(first, second)
    monkeypatch.setattr(distances, "BLOCK", 7)
    assert kernel_distance(first, second) == pytest.approx(whole, rel=1e-10)
