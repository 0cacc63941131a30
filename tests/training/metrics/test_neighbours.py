import numpy as np
import pytest

from training.metrics import neighbours
from training.metrics.neighbours import Reference, Support, support


def rows(count: int, size: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, size))


def between(samples: np.ndarray, real: np.ndarray) -> Support:
    return support(samples, Reference.of(real))


def by_definition(samples: np.ndarray, real: np.ndarray) -> Support:
    """The formulas of the two papers, a distance at a time."""

    def ball(among: np.ndarray, place: int) -> float:
        return sorted(float(np.linalg.norm(among[place] - other)) for other in among)[5]

    def inside(point: np.ndarray, among: np.ndarray) -> list[bool]:
        return [float(np.linalg.norm(point - among[place])) <= ball(among, place) for place in range(len(among))]

    return Support(
        precision=float(np.mean([any(inside(sample, real)) for sample in samples])),
        recall=float(np.mean([any(inside(one, samples)) for one in real])),
        density=float(np.mean([sum(inside(sample, real)) / 5 for sample in samples])),
        coverage=float(np.mean(np.any([inside(sample, real) for sample in samples], axis=0))),
    )


def values(found: Support) -> list[float]:
    return [found.precision, found.recall, found.density, found.coverage]


@pytest.mark.parametrize("shift", [0.0, 0.7, 2.0])
def test_all_four_are_those_of_their_definitions(shift: float) -> None:
    samples, real = rows(23, seed=1) + shift, rows(31)
    assert values(between(samples, real)) == pytest.approx(values(by_definition(samples, real)), abs=1e-9)


def test_a_set_supports_itself() -> None:
    found = between(rows(200), rows(200))
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert found.density == pytest.approx(6 / 5, abs=0.02), "each ball holds its centre and, up to rounding, five more"


def test_disjoint_sets_support_nothing_of_each_other() -> None:
    assert values(between(rows(50) + 100, rows(60))) == [0, 0, 0, 0]


def test_a_narrow_sample_is_precise_and_recalls_little() -> None:
    found = between(0.2 * rows(1000, seed=1), rows(1000))
    assert found.precision > 0.95
    assert found.recall < 0.1
    assert found.coverage < 0.5 < 1 < found.density


def test_equal_distributions_are_near_even_density() -> None:
    found = between(rows(2000, 2, seed=1), rows(2000, 2))
    assert found.density == pytest.approx(1, abs=0.05)
    assert found.coverage == pytest.approx(1 - 0.5**5, abs=0.02), "Naeem et al., equation 9, for equal counts"


def test_balls_reach_as_far_as_there_are_rows() -> None:
    real = np.array([[0.0], [1.0], [3.0]])
    assert np.sqrt(neighbours.radii(real)) == pytest.approx(np.array([3, 2, 3]))


def test_nearest_by_hand() -> None:
    found = neighbours.nearest(np.array([[3.0, 4.0], [10.0, 0.0]]), np.array([[0.0, 0.0], [10.0, 1.0]]))
    assert found == pytest.approx([5, 1], rel=1e-6)


def test_copies_are_found_and_new_pictures_are_not() -> None:
    train, unseen, new = rows(500), rows(300, seed=1), rows(400, seed=2)
    test = neighbours.nearest(unseen, train)
    assert neighbours.copying(neighbours.nearest(train[:200], train), test) == 1
    assert neighbours.copying(neighbours.nearest(new, train), test) == pytest.approx(0, abs=0.16)
    half = np.concatenate([train[:200], new[:200]])
    assert neighbours.copying(neighbours.nearest(half, train), test) == pytest.approx(0.5, abs=0.16)
    assert neighbours.copying(neighbours.nearest(new + 50, train), test) == 0


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    samples, real = rows(40, seed=1) + 0.3, rows(50)
    whole, far = between(samples, real), neighbours.nearest(samples, real)
    monkeypatch.setattr(neighbours, "BLOCK", 7)
    assert between(samples, real) == whole
    assert neighbours.nearest(samples, real) == pytest.approx(far, rel=1e-5)
