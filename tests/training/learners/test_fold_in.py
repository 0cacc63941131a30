"""Posterior means against a solver in double precision, of as many hidden units as the shipped version has."""

import pytest
import torch
from torch import Tensor

from training.learners import fold_in

UNITS, LEFT = 64, 5


def solved(unit: Tensor, value: Tensor) -> Tensor:
    """The mean [R] of unit Gaussians given that unit [N,R] times them is `value` [N], in units of the noise."""
    return torch.linalg.solve(torch.eye(UNITS, dtype=torch.float64) + unit.T @ unit, unit.T @ value)


@pytest.mark.parametrize("ratings", [LEFT, 30, 300, 3000])
def test_means_are_those_of_a_solver_with_and_without_a_rating(ratings: int) -> None:
    draw = torch.Generator().manual_seed(ratings)
    spread = torch.logspace(0, -2, UNITS, dtype=torch.float64)  # some units matter more than others
    unit = 0.3 * spread * torch.randn(ratings, UNITS, generator=draw, dtype=torch.float64)
    value = torch.randn(ratings, generator=draw, dtype=torch.float64)
    moment = unit * value[:, None]
    mean, without = fold_in.means(
        (unit.T @ unit).float()[None],
        moment.sum(dim=0).float()[None, None],
        unit[:LEFT].float()[None],
        (moment.sum(dim=0) - moment[:LEFT]).float()[None],
    )
    scale = solved(unit, value).norm()
    assert (mean[0, 0] - solved(unit, value)).norm() < 1e-4 * scale
    for place in range(LEFT):
        kept = torch.arange(ratings) != place
        assert (without[0, place] - solved(unit[kept], value[kept])).norm() < 1e-4 * scale
