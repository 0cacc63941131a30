import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from training.metrics import factors


def problem(
    seed: int, rows: int = 7, columns: int = 200, rank: int = 3
) -> tuple[factors.Cells, NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
    """Cells, the same as dense weights and pulls [R,C], factors [C,K]. One row is empty, the others are long."""
    rng = np.random.default_rng(seed)
    there = rng.random((rows, columns)) < 0.6
    there[2] = False
    weight, pull = rng.uniform(0.5, 3, there.shape) * there, rng.normal(size=there.shape) * there
    other = rng.normal(size=(columns, rank)).astype(np.float32)
    cells = sparse.csr_array(weight.astype(np.float32)), sparse.csr_array(pull.astype(np.float32))
    return cells, weight, pull, other


def test_every_row_solves_its_normal_equations() -> None:
    cells, weight, pull, other = problem(0)
    assert np.diff(cells[0].indptr).max() > factors.CELLS
    penalty = np.diag([1.0, 2, 3]).astype(np.float32)
    found = factors.solve(cells, other, penalty)
    for row, solution in enumerate(found):
        left = penalty + sum(w * np.outer(f, f) for w, f in zip(weight[row], other, strict=True))
        right = sum(p * f for p, f in zip(pull[row], other, strict=True))
        assert solution == pytest.approx(np.linalg.solve(left, right), abs=1e-4)
    assert not found[2].any(), "nothing is known of that row"


def test_blocks_of_rows_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    cells, _, _, other = problem(1)
    whole = factors.solve(cells, other, np.eye(3, dtype=np.float32))
    monkeypatch.setattr(factors, "BLOCK", 2)
    monkeypatch.setattr(factors, "CELLS", 5)
    assert np.allclose(factors.solve(cells, other, np.eye(3, dtype=np.float32)), whole, rtol=0, atol=1e-5)


def test_rounds_lower_what_is_minimised() -> None:
    cells, weight, _, start = problem(2)
    target = np.random.default_rng(3).normal(size=weight.shape)
    pull = sparse.csr_array(np.where(weight > 0, weight * target, 0).astype(np.float32))

    def loss(columns: NDArray[np.floating]) -> float:
        rows = factors.solve((cells[0], pull), columns, np.eye(3, dtype=np.float32))
        squares = weight * np.square(target - rows @ columns.T)
        return float(squares.sum() + np.square(rows).sum() + np.square(columns).sum())

    losses = [
        loss(factors.alternate((cells[0], pull), start, lambda _: np.eye(3, dtype=np.float32), rounds))
        for rounds in range(4)
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[3] < 0.9 * losses[0]
