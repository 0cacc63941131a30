"""The basis for rounding: against its bound, and by rounding in it."""

import pytest
import torch

from training.learners import basis
from training.learners.basis import least_seen


def spread(count: int, rank: int) -> torch.Tensor:
    factor = torch.randn(rank, count, dtype=torch.float64) * torch.logspace(0, -1, rank).unsqueeze(1)
    return factor.T @ factor


def test_all_parts_are_of_one_size_and_as_large_as_before() -> None:
    torch.manual_seed(0)
    signal = spread(12, 40)
    matrix = least_seen(signal, spread(12, 3))
    sizes = (matrix @ signal @ matrix.T).diag()
    assert torch.allclose(sizes, signal.trace() / 12 * torch.ones(12, dtype=torch.float64))


def test_no_basis_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is seen, times the largest part: it reaches the bound, and every other basis lies above."""
    monkeypatch.setattr(basis, "AT_LEAST", 0.0)
    torch.manual_seed(1)
    signal, seen = spread(12, 40), spread(12, 40)

    def loudness(matrix: torch.Tensor) -> float:
        inverse = torch.linalg.inv(matrix)
        return float((matrix @ signal @ matrix.T).diag().max() * (inverse.T @ seen @ inverse).trace())

    values = torch.linalg.eigvals(signal @ seen).real.sqrt()  # those of S^(1/2) H S^(1/2)
    reached = loudness(least_seen(signal, seen))
    assert reached == pytest.approx(float(values.sum().square() / 12))
    others = [torch.eye(12, dtype=torch.float64), torch.diag(signal.diag().rsqrt())]
    others += [least_seen(signal, seen) + 0.1 * torch.randn(12, 12, dtype=torch.float64) for _ in range(50)]
    assert all(loudness(other) > reached for other in others)


@pytest.mark.parametrize(("rank", "times"), [(3, 5), (40, 2)])
def test_rounding_is_seen_less(rank: int, times: int) -> None:
    torch.manual_seed(2)
    signal, seen = spread(12, 40), spread(12, rank)
    vectors = torch.randn(20_000, 12, dtype=torch.float64) @ torch.linalg.cholesky(signal).T

    def seen_after(matrix: torch.Tensor) -> float:
        turned = vectors @ matrix.T
        step = turned.abs().max() / 127
        error = (turned / step).round() * step @ torch.linalg.inv(matrix).T - vectors
        return float(((error @ seen) * error).sum(dim=1).mean())

    assert seen_after(least_seen(signal, seen)) < seen_after(torch.eye(12, dtype=torch.float64)) / times


def test_what_says_nothing_stays_in_proportion() -> None:
    torch.manual_seed(3)
    matrix = least_seen(spread(12, 4), spread(12, 3))
    assert matrix.isfinite().all()
    assert torch.linalg.cond(matrix) < 1000


def test_where_nothing_is_said_or_seen_or_there_is_one_part_it_stays() -> None:
    nothing = torch.zeros(12, 12)
    assert torch.equal(least_seen(nothing, spread(12, 3)), torch.eye(12, dtype=torch.float64))
    assert torch.equal(least_seen(spread(12, 3), nothing), torch.eye(12, dtype=torch.float64))
    assert least_seen(torch.tensor([[4.0]]), torch.tensor([[2.0]])).abs() == pytest.approx(1.0)


@pytest.mark.parametrize("count", [2, 96, 512])
def test_any_number_of_parts(count: int) -> None:
    torch.manual_seed(4)
    signal = spread(count, 2 * count)
    matrix = least_seen(signal, spread(count, 12))
    sizes = (matrix @ signal @ matrix.T).diag()
    assert (sizes / sizes.mean() - 1).abs().max() < 0.1  # those below `LEAST_POWER` are taken for stronger
