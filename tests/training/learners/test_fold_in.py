"""Posterior means against a solver in double precision, of as many hidden units as the shipped version has."""

import pytest
import torch
from torch import Tensor

from training.learners import fold_in
from training.learners.fold_in import System

UNITS, LEFT = 64, 5


def solved(unit: Tensor, value: Tensor) -> Tensor:
    """The mean [R] of unit Gaussians given that unit [N,R] times them is `value` [N], in units of the noise."""
    return torch.linalg.solve(torch.eye(UNITS, dtype=torch.float64) + unit.T @ unit, unit.T @ value)


def rated(ratings: int, precision: float) -> tuple[Tensor, Tensor]:
    """unit and value; some units matter more than others."""
    draw = torch.Generator().manual_seed(ratings)
    spread = torch.logspace(0, -2, UNITS, dtype=torch.float64)
    unit = precision**0.5 * spread * torch.randn(ratings, UNITS, generator=draw, dtype=torch.float64)
    return unit, torch.randn(ratings, generator=draw, dtype=torch.float64)


def system(unit: Tensor, value: Tensor) -> System:
    return System((unit.T @ unit).float()[None], (unit.T @ value).float()[None, None])


@pytest.mark.parametrize("ratings", [LEFT, 30, 300, 3000])
@pytest.mark.parametrize(("precision", "least", "most"), [(0.01, 1, 8), (0.1, 4, 16), (10.0, 16, 100)])
def test_means_are_those_of_a_solver_with_and_without_a_rating(
    ratings: int, precision: float, least: int, most: int
) -> None:
    """The more a rating weighs beside the prior, the more steps are taken."""
    unit, value = rated(ratings, precision)
    steps = fold_in.steps(system(*rated(count, precision)) for count in (30, 300, 3000))
    assert least < steps < most
    moment = unit * value[:, None]
    left = (moment.sum(dim=0) - moment[:LEFT]).float()[None]
    mean, without = fold_in.means(system(unit, value), unit[:LEFT].float()[None], left, steps)
    scale = solved(unit, value).norm()
    assert (mean[0, 0] - solved(unit, value)).norm() < 1e-3 * scale
    for place in range(LEFT):
        kept = torch.arange(ratings) != place
        assert (without[0, place] - solved(unit[kept], value[kept])).norm() < 1e-3 * scale


def test_where_nothing_is_told_one_step_does() -> None:
    assert fold_in.steps([]) == fold_in.steps([System(torch.zeros(1, 3, 3), torch.zeros(1, 1, 3))]) == 1
