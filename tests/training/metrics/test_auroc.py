import numpy as np
import pytest

from training.metrics.auroc import auroc


def test_by_hand_with_ties() -> None:
    high, low = np.array([3.0, 2.0, 2.0]), np.array([1.0, 2.0, 4.0, 0.0])
    pairs = [1 if one > other else 0.5 if one == other else 0 for one in high for other in low]
    assert auroc(high, low) == pytest.approx(sum(pairs) / 12, abs=1e-12)
    assert auroc(low, high) == pytest.approx(1 - sum(pairs) / 12, abs=1e-12)


def test_perfect_reversed_and_all_alike() -> None:
    assert auroc(np.arange(5.0, 9), np.arange(5.0)) == 1
    assert auroc(np.arange(4.0), np.arange(4.0, 9)) == 0
    assert auroc(np.ones(7), np.ones(3)) == 0.5


def test_chance_and_a_shift_of_normal_values() -> None:
    draws = np.random.default_rng(0).standard_normal((2, 20_000))
    assert auroc(draws[0], draws[1]) == pytest.approx(0.5, abs=0.01)
    assert auroc(draws[0] + 1, draws[1]) == pytest.approx(0.7602, abs=0.01), "the normal cumulative at 1 / sqrt 2"
