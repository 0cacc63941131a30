"""A machine of three items and two hidden units, from its energy alone, in float64.

Visible states are enumerated (27), and hidden ones summed over a grid: of functions that are smooth and fall off as a
Gaussian does, the sum is exact to rounding.
"""

import itertools
from collections.abc import Iterator

import pytest
import torch
from scipy import stats
from torch import Tensor

from tests import tiny
from training.learners.movie_rbm import MovieRbm
from training.learners.rbm import Rated, Rbm

ITEMS, HIDDEN = 3, 2
STRENGTH = torch.tensor([1.0, 2.2, 5.0], dtype=torch.float64)
TARGET = torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64)
STATES = torch.tensor(list(itertools.product(range(3), repeat=ITEMS)))
STEP = 0.1
AXIS = torch.arange(-8, 8 + STEP / 2, STEP, dtype=torch.float64)
GRID = torch.cartesian_prod(AXIS, AXIS)
SURE = 1 - 1e-6
"""Of a chi-square test with a fixed seed: it either always passes or always fails."""


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def machine(double: None) -> Rbm:
    """With weights that matter."""
    torch.manual_seed(5)
    found = Rbm(ITEMS, HIDDEN, 2.2, 5.0)
    with torch.no_grad():
        found.weight.normal_(0, 0.7)
        found.bias.normal_(0.5, 0.7)
    return found


def rated(states: Tensor) -> Rated:
    """Visible layers from states [B,I]: 0 not rated, 1 rated, 2 liked."""
    user, item = states.nonzero(as_tuple=True)
    return Rated(len(states), user, item, states[user, item] == 2)


def numbers(visible: Rated) -> Tensor:
    """The places in `STATES` of visible layers."""
    states = torch.zeros(visible.users, ITEMS, dtype=torch.int64)
    states[visible.user, visible.item] = 1 + visible.liked.long()
    return states @ torch.tensor([9, 3, 1])


def energy(machine: Rbm, states: Tensor, hidden: Tensor) -> Tensor:
    """E(s, h) of every pair [V,G], from the definition alone."""
    bias = torch.cat((torch.zeros(ITEMS, 1), machine.bias), dim=1)
    own = bias[torch.arange(ITEMS), states].sum(dim=1)
    off = TARGET[states][:, None] - (hidden @ machine.weight.T)[None]
    bond = (STRENGTH[states][:, None] * off.square()).sum(dim=2) / 2
    return hidden.square().sum(dim=1)[None] / 2 + bond - own[:, None]


def summed(machine: Rbm, states: Tensor) -> Tensor:
    """log of the integral of exp(-E(s, h)) over h [V], by quadrature."""
    return torch.logsumexp(-energy(machine, states, GRID), dim=1) + 2 * torch.log(torch.tensor(STEP))


def marginal(machine: Rbm) -> Tensor:
    """p(s) [27]."""
    return torch.softmax(summed(machine, STATES), dim=0).detach()


def kernel(machine: Rbm) -> Tensor:
    """p(s'|s) of one Gibbs step s -> h -> s', from the joint distribution alone, [27,27]."""
    joint = torch.softmax(-energy(machine, STATES, GRID).flatten(), dim=0).view(len(STATES), -1).detach()
    return (joint / joint.sum(dim=1, keepdim=True)) @ (joint / joint.sum(dim=0, keepdim=True)).T


def gradients(machine: Rbm, value: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(value, list(machine.parameters())))


def test_free_energy_is_minus_the_log_of_the_integral_over_the_hidden_units(machine: Rbm) -> None:
    constant = HIDDEN / 2 * torch.log(torch.tensor(2 * torch.pi))
    expected = constant - summed(machine, STATES)
    torch.testing.assert_close(machine.free_energy(rated(STATES)), expected, atol=1e-9, rtol=0)


def test_the_posterior_of_the_hidden_units_is_that_of_the_joint_distribution(machine: Rbm) -> None:
    towards, root, mean = machine.posterior(rated(STATES))
    share = torch.softmax(-energy(machine, STATES, GRID), dim=1)
    expected = share @ GRID
    away = GRID[None] - expected[:, None]
    covariance = torch.einsum("vg,vgi,vgj->vij", share, away, away)
    torch.testing.assert_close(mean, expected, atol=1e-9, rtol=0)
    torch.testing.assert_close(torch.cholesky_inverse(root), covariance, atol=1e-9, rtol=0)
    torch.testing.assert_close((root @ root.mT @ mean[:, :, None])[:, :, 0], towards, atol=1e-9, rtol=0)


def test_states_given_the_hidden_units_are_those_of_the_joint_distribution(machine: Rbm) -> None:
    hidden = torch.randn(6, HIDDEN)
    joint = torch.softmax(-energy(machine, STATES, hidden), dim=0)
    by_item = torch.stack([(state == STATES).double().T @ joint for state in range(3)], dim=2)
    found = torch.softmax(machine.state_logits(hidden), dim=2)
    torch.testing.assert_close(found, by_item.transpose(0, 1), atol=1e-12, rtol=0)
    # Given h the items are independent, so that nothing but these is needed to draw a state.
    product = found[:, torch.arange(ITEMS), STATES].prod(dim=2)
    torch.testing.assert_close(product, joint.T, atol=1e-12, rtol=0)


def test_gradient_of_the_likelihood_is_data_term_minus_model_term(machine: Rbm) -> None:
    data = STATES[torch.tensor([1, 1, 5, 14, 26])]
    exact = gradients(machine, torch.logsumexp(summed(machine, STATES), dim=0) - summed(machine, data).mean())
    free = machine.free_energy(rated(STATES))
    found = gradients(machine, machine.free_energy(rated(data)).mean() - marginal(machine) @ free)
    for one, other in zip(found, exact, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=0)


def test_a_gibbs_step_leaves_the_model_and_cd_stands_still_there_alone(machine: Rbm) -> None:
    share, step = marginal(machine), kernel(machine)
    torch.testing.assert_close(share @ step, share, atol=1e-12, rtol=0)
    free = machine.free_energy(rated(STATES))

    def largest(start: Tensor) -> float:
        """Largest entry of the expected CD-1 gradient when s0 ~ `start`."""
        loss = start @ free - (start @ step) @ free
        return max(
            part.abs().max().item() for part in torch.autograd.grad(loss, list(machine.parameters()), retain_graph=True)
        )

    assert largest(share) < 1e-10
    assert largest(torch.full_like(share, 1 / len(share))) > 1e-2


def test_cd_follows_the_expected_gradient(machine: Rbm) -> None:
    """Mean of 60 batches of 270 chains each, by entry within five standard errors of that by enumeration."""
    start = torch.full((len(STATES),), 1 / len(STATES))
    free = machine.free_energy(rated(STATES))
    expected = gradients(machine, (start - start @ kernel(machine) @ kernel(machine)) @ free)
    torch.manual_seed(1)
    batch = rated(STATES.repeat(10, 1))
    draws = [gradients(machine, machine.contrastive_divergence(batch, 2)) for _ in range(60)]
    for place, wanted in enumerate(expected):
        found = torch.stack([draw[place] for draw in draws])
        error = found.std(dim=0) / len(found) ** 0.5
        assert (error < 0.05).all()
        assert ((found.mean(dim=0) - wanted).abs() < 5 * error).all()


def chi_square(counts: Tensor, expected: Tensor) -> float:
    assert expected.min() > 0.5
    return ((counts - expected).square() / expected).sum().item()


@pytest.mark.parametrize("steps", [1, 2])
def test_the_sampler_moves_as_the_exact_kernel(machine: Rbm, steps: int) -> None:
    """By a chi-square test of 2,000 chains from each state."""
    torch.manual_seed(11)
    each = 2000
    ends = numbers(machine.gibbs(rated(STATES.repeat_interleave(each, dim=0)), steps)).view(len(STATES), each)
    counts = torch.stack([torch.bincount(row, minlength=len(STATES)) for row in ends])
    moved = torch.linalg.matrix_power(kernel(machine), steps)
    assert chi_square(counts, each * moved) < stats.chi2.ppf(SURE, len(STATES) * (len(STATES) - 1))


def test_long_chains_end_where_the_model_is(machine: Rbm) -> None:
    """By a chi-square test of 4,000 chains whose start, "nothing is rated", is forgotten."""
    moved = torch.linalg.matrix_power(kernel(machine), 25)
    torch.testing.assert_close(moved, marginal(machine).expand_as(moved), atol=1e-4, rtol=0)
    torch.manual_seed(12)
    ends = numbers(machine.gibbs(rated(STATES[:1].repeat(4000, 1)), 25))
    counts = torch.bincount(ends, minlength=len(STATES))
    assert chi_square(counts, 4000 * marginal(machine)) < stats.chi2.ppf(SURE, len(STATES) - 1)


def test_training_finds_what_no_biases_could(machine: Rbm) -> None:
    """Two items are rated together or not at all. By biases alone that costs the sum of the items' entropies."""
    shares = torch.tensor([0.4, 0.1, 0.3, 0.2])
    states = torch.tensor([[0, 0, 0], [0, 0, 1], [2, 2, 0], [1, 1, 1]])
    data = states.repeat_interleave((100 * shares).long(), dim=0)
    by_item = torch.stack([(data == state).double().mean(dim=0) for state in range(3)])
    independent = torch.special.entr(by_item).sum().item()

    torch.manual_seed(2)
    learner = Rbm(ITEMS, HIDDEN, 2.2, 5.0)
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.03)

    @torch.no_grad()
    def surprise() -> float:
        return (
            learner.free_energy(rated(data)).mean() + torch.logsumexp(-learner.free_energy(rated(STATES)), 0)
        ).item()

    before = surprise()
    for _ in range(400):
        optimizer.zero_grad()
        learner.contrastive_divergence(rated(data), 3).backward()
        optimizer.step()
    assert surprise() < independent - 0.2 < before


def test_users_who_rated_nothing_take_part(machine: Rbm) -> None:
    nothing = Rated(3, torch.zeros(0).long(), torch.zeros(0).long(), torch.zeros(0).bool())
    torch.testing.assert_close(machine.free_energy(nothing), machine.free_energy(rated(STATES[:1])).expand(3))
    assert machine.gibbs(nothing, 1).users == 3


# The learner.


def prepared(*changes: str) -> MovieRbm:
    found = tiny.learner("movies-rbm", *changes)
    assert isinstance(found, MovieRbm)
    torch.manual_seed(0)
    found.prepare()
    return found


@pytest.fixture
def single() -> None:
    torch.set_default_dtype(torch.float32)


def test_a_batch_holds_users_of_the_training_part(single: None) -> None:
    learner, train = tiny.learner("movies-rbm"), tiny.twin("movies-rbm").train
    users: list[list[tuple[int, bool]]] = [[] for _ in range(train.users)]
    for user, item, rating in zip(train.user.tolist(), train.item.tolist(), train.rating.tolist(), strict=True):
        users[user].append((item, rating >= 4))
    torch.manual_seed(0)
    row, item, liked = learner.draw()
    assert (row.diff() >= 0).all()
    for place in range(learner.settings.batch_size):
        here = row == place
        assert list(zip(item[here].tolist(), liked[here].tolist(), strict=True)) in users


def test_biases_start_where_items_are_rated_as_often_as_they_were(single: None) -> None:
    """By hidden units of no expectation, but for half a user more of each state, which keeps logarithms finite."""
    learner, train = prepared(), tiny.twin("movies-rbm").train
    logits = learner.machine.state_logits(torch.zeros(1, learner.settings.hidden))[0]
    found = logits.softmax(dim=1).detach()
    counts = [torch.bincount(learner.item[learner.liked == liked], minlength=len(found)) for liked in (False, True)]
    expected = torch.stack([train.users - sum(counts), *counts], dim=1) + 0.5
    torch.testing.assert_close(found, expected / (train.users + 1.5))


def test_what_is_prepared_is_kept_and_no_step_changes_it(single: None) -> None:
    learner = prepared()
    before = {name: buffer.clone() for name, buffer in learner.named_buffers()}
    assert learner.lateral.any()
    assert learner.rater.factor.any()
    torch.manual_seed(0)
    learner.losses("ranking", learner.draw(), 0.0)["loss"].backward()
    for optimizer in learner.optimizers().values():
        optimizer.step()
    assert before.keys() >= {"lateral", "lateral_scale", "frequent", "rater.factor"}
    assert all(torch.equal(buffer, before[name]) for name, buffer in learner.named_buffers())
