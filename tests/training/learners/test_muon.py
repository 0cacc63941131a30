import copy
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from training.learners.muon import Muon, orthogonal

Matrix = NDArray[np.float64]


def formula(step: Matrix) -> Matrix:
    """What five Newton-Schulz steps do to the singular values, by a singular value decomposition instead."""
    left, values, right = np.linalg.svd(step, full_matrices=False)
    values = values / np.sqrt(np.square(values).sum())
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return left * values @ right


def layer(rows: int, columns: int, window: int, *, channels_last: bool = False) -> nn.Parameter:
    weight = torch.randn(rows, columns, window, window)
    return nn.Parameter(weight.to(memory_format=torch.channels_last) if channels_last else weight)


def flat(weight: torch.Tensor) -> Matrix:
    return weight.detach().flatten(1).double().numpy()


@pytest.mark.parametrize(("rows", "columns", "window"), [(4, 6, 3), (24, 4, 2), (5, 3, 1)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_three_steps_are_the_formula(rows: int, columns: int, window: int, channels_last: bool) -> None:
    torch.manual_seed(0)
    weight = layer(rows, columns, window, channels_last=channels_last)
    optimizer = Muon([weight], [], rate=0.02, adam_rate=1.0)
    expected, momentum = flat(weight), np.zeros((rows, columns * window**2))
    for _ in range(3):
        weight.grad = 100 * torch.randn_like(weight)
        gradient = flat(weight.grad)
        momentum = 0.95 * momentum + 0.05 * gradient
        scale = math.sqrt(max(1, rows / (columns * window**2)))
        expected = expected - 0.02 * scale * formula(0.95 * momentum + 0.05 * gradient)
        optimizer.step()
    np.testing.assert_allclose(flat(weight), expected, atol=2e-6)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_singular_values_of_every_size_come_near_one(precision: torch.dtype) -> None:
    torch.manual_seed(0)
    left, right = (torch.linalg.qr(torch.randn(64, 64))[0] for _ in range(2))
    spread = left * torch.logspace(0, -2, 64) @ right
    values = torch.linalg.svdvals(orthogonal(spread.to(precision)[None])[0].float())
    assert values.max() < 1.25
    assert values.min() > 0.6


def test_layers_of_one_shape_do_not_touch_each_other() -> None:
    torch.manual_seed(0)
    together = [layer(4, 4, 3), layer(6, 4, 3), layer(4, 4, 3)]
    alone = copy.deepcopy(together)
    for weight, twin in zip(together, alone, strict=True):
        weight.grad = torch.randn_like(weight)
        twin.grad = weight.grad.clone()
    Muon(together, [], rate=0.1, adam_rate=1.0).step()
    for weight, twin in zip(together, alone, strict=True):
        Muon([twin], [], rate=0.1, adam_rate=1.0).step()
        torch.testing.assert_close(weight, twin, atol=1e-6, rtol=0)


def test_the_others_are_for_adam() -> None:
    torch.manual_seed(0)
    ours = layer(4, 5, 3)
    theirs = copy.deepcopy(ours)
    optimizer, adam = Muon([], [ours], rate=1.0, adam_rate=1e-3), torch.optim.Adam([theirs], lr=1e-3)
    for _ in range(5):
        ours.grad = torch.randn_like(ours)
        theirs.grad = ours.grad.clone()
        optimizer.step()
        adam.step()
    torch.testing.assert_close(ours, theirs, atol=1e-7, rtol=0)


def test_weights_without_a_gradient_stay() -> None:
    hidden, other = layer(4, 4, 3), nn.Parameter(torch.ones(3))
    before = hidden.detach().clone(), other.detach().clone()
    Muon([hidden], [other], rate=1.0, adam_rate=1.0).step()
    assert torch.equal(hidden, before[0])
    assert torch.equal(other, before[1])


def test_a_layer_without_any_gradient_left_stays_finite() -> None:
    weight = layer(4, 4, 3)
    weight.grad = torch.zeros_like(weight)
    before = weight.detach().clone()
    Muon([weight], [], rate=1.0, adam_rate=1.0).step()
    assert torch.equal(weight, before)


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_stored_state_goes_on_bit_for_bit(channels_last: bool) -> None:
    torch.manual_seed(0)
    weights = [layer(4, 4, 3, channels_last=channels_last), nn.Parameter(torch.ones(3))]
    gradients = [[torch.randn_like(weight) for weight in weights] for _ in range(4)]

    def made(weights: list[nn.Parameter]) -> Muon:
        return Muon(weights[:1], weights[1:], rate=0.02, adam_rate=1e-3)

    def steps(optimizer: Muon, weights: list[nn.Parameter], rows: list[list[torch.Tensor]]) -> None:
        for row in rows:
            for weight, gradient in zip(weights, row, strict=True):
                weight.grad = gradient.clone()
            optimizer.step()

    optimizer = made(weights)
    steps(optimizer, weights, gradients[:2])
    resumed = copy.deepcopy(weights)
    other = made(resumed)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(optimizer, weights, gradients[2:])
    steps(other, resumed, gradients[2:])
    assert all(torch.equal(weight, twin) for weight, twin in zip(weights, resumed, strict=True))
