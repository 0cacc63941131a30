"""Machines of six units against enumeration of all their states, in float64."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from models import items
from tests import tiny
from training.learners.rbm import MovieRbm, Rbm, Score, SoftmaxRbm

SHAPES = [(3, 3), (4, 2)]
ITEMS, LEVELS = 3, 2
SURE = 1 - 1e-6
"""Of a chi-square test with a fixed seed: it either always passes or always fails."""


@pytest.fixture(params=SHAPES, ids=lambda shape: f"{shape[0]}+{shape[1]}")
def machine(request: pytest.FixtureRequest) -> Rbm:
    return strong(Rbm(*request.param))


@pytest.fixture
def softmax() -> SoftmaxRbm:
    return strong(SoftmaxRbm(ITEMS, LEVELS, 3))


def strong(machine: Any) -> Any:
    """The same machine in float64, with weights that matter."""
    torch.manual_seed(5)
    machine.double()
    with torch.no_grad():
        for parameter in machine.parameters():
            parameter.normal_(0, 0.9)
    return machine


def binary(count: int) -> Tensor:
    """All states of `count` binary units, [2^count, count]."""
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=count)), dtype=torch.float64)


def one_hot() -> Tensor:
    """All states of a softmax machine whose items are all present."""
    choices = itertools.product(range(LEVELS), repeat=ITEMS)
    eye = torch.eye(LEVELS, dtype=torch.float64)
    return torch.stack([eye[list(choice)].flatten() for choice in choices])


def energy(machine: Rbm, visible: Tensor, hidden: Tensor) -> Tensor:
    """E(v, h) of every pair, [V, H], from the definition alone."""
    bond = torch.einsum("vi,ij,hj->vh", visible, machine.weight, hidden)
    return -(visible @ machine.visible_bias)[:, None] - (hidden @ machine.hidden_bias)[None] - bond


def joint(machine: Rbm, visible: Tensor, hidden: Tensor) -> Tensor:
    """P(v, h), [V, H]."""
    weights = (-energy(machine, visible, hidden)).exp()
    return weights / weights.sum()


def kernel(p: Tensor) -> Tensor:
    """P(v'|v) of one Gibbs step v -> h -> v', from the joint distribution alone, [V, V]."""
    up, down = p / p.sum(dim=1, keepdim=True), p / p.sum(dim=0, keepdim=True)
    return up @ down.T


def update(machine: Rbm, visible: Tensor, weight: Tensor) -> list[Tensor]:
    """sum weight * (v p(h|v)', v, p(h|v)), in the order of the machine's parameters."""
    hidden = torch.sigmoid(machine.hidden_logits(visible))
    return [torch.einsum("r,ri,rj->ij", weight, visible, hidden), weight @ visible, weight @ hidden]


def chi_square(counts: Tensor, expected: Tensor) -> tuple[float, float]:
    """The statistic of `counts` against `expected` [R, C] with given row sums, and where chance ends."""
    kept = expected > 0
    assert not counts[~kept].any()
    statistic = ((counts - expected)[kept].square() / expected[kept]).sum().item()
    degrees = int(kept.sum()) - len(expected)
    return statistic, float(stats.chi2.ppf(SURE, degrees))


def transitions(machine: Rbm, states: Tensor, steps: int, each: int) -> Tensor:
    """How often the sampler went from each state to each, [V, V]."""
    torch.manual_seed(11)
    start = states.repeat_interleave(each, dim=0)
    end = machine.gibbs(start, torch.ones_like(start), steps)
    place = (end[:, None] == states[None]).all(dim=2).double().argmax(dim=1)
    assert torch.equal(states[place], end), "the sampler left the states that there are"
    return torch.stack([torch.bincount(row, minlength=len(states)) for row in place.view(len(states), each)]).double()


def test_free_energy_is_minus_the_log_of_the_sum_over_hidden_states(machine: Rbm) -> None:
    visible, hidden = binary(machine.weight.shape[0]), binary(machine.weight.shape[1])
    expected = -torch.logsumexp(-energy(machine, visible, hidden), dim=1)
    torch.testing.assert_close(machine.free_energy(visible), expected, atol=1e-12, rtol=0)


def test_conditionals_are_those_of_the_joint_distribution(machine: Rbm) -> None:
    visible, hidden = binary(machine.weight.shape[0]), binary(machine.weight.shape[1])
    p = joint(machine, visible, hidden)
    up = (p / p.sum(dim=1, keepdim=True)) @ hidden
    down = (p / p.sum(dim=0, keepdim=True)).T @ visible
    torch.testing.assert_close(torch.sigmoid(machine.hidden_logits(visible)), up, atol=1e-12, rtol=0)
    torch.testing.assert_close(torch.sigmoid(machine.visible_logits(hidden)), down, atol=1e-12, rtol=0)


def test_gradient_of_the_likelihood_is_data_term_minus_model_term(machine: Rbm) -> None:
    visible, hidden = binary(machine.weight.shape[0]), binary(machine.weight.shape[1])
    data = visible[torch.tensor([1, 1, 3, 6])]
    share = torch.full((len(data),), 1 / len(data), dtype=torch.float64)
    free = energy(machine, visible, hidden)
    log_z = torch.logsumexp(-free.flatten(), dim=0)
    likelihood = (torch.logsumexp(-energy(machine, data, hidden), dim=1) - log_z).mean()
    exact = torch.autograd.grad(likelihood, list(machine.parameters()))
    marginal = joint(machine, visible, hidden).sum(dim=1).detach()
    for gradient, of_data, of_model in zip(
        exact, update(machine, data, share), update(machine, visible, marginal), strict=True
    ):
        torch.testing.assert_close(gradient, of_data - of_model, atol=1e-12, rtol=0)
    by_free_energy = -(machine.free_energy(data).mean() + torch.logsumexp(-machine.free_energy(visible), dim=0))
    for one, other in zip(exact, torch.autograd.grad(by_free_energy, list(machine.parameters())), strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def test_a_gibbs_step_leaves_the_model_and_cd_stands_still_there(machine: Rbm) -> None:
    visible, hidden = binary(machine.weight.shape[0]), binary(machine.weight.shape[1])
    p = joint(machine, visible, hidden).detach()
    marginal, step = p.sum(dim=1), kernel(p)
    torch.testing.assert_close(marginal @ step, marginal, atol=1e-12, rtol=0)

    def expected_cd(start: Tensor) -> float:
        """Largest entry of the expected CD-1 gradient when v0 ~ `start`."""
        loss = start @ machine.free_energy(visible) - (start @ step) @ machine.free_energy(visible)
        return max(gradient.abs().max().item() for gradient in torch.autograd.grad(loss, list(machine.parameters())))

    assert expected_cd(marginal) < 1e-10
    assert expected_cd(torch.full_like(marginal, 1 / len(marginal))) > 1e-2


@pytest.mark.parametrize("steps", [1, 2])
def test_the_sampler_moves_as_the_exact_kernel(machine: Rbm, steps: int) -> None:
    visible, hidden = binary(machine.weight.shape[0]), binary(machine.weight.shape[1])
    step, each = kernel(joint(machine, visible, hidden).detach()), 4000
    counts = transitions(machine, visible, steps, each)
    statistic, limit = chi_square(counts, each * torch.linalg.matrix_power(step, steps))
    assert statistic < limit
    statistic, limit = chi_square(counts, each * torch.linalg.matrix_power(step, 3 - steps))
    assert statistic > limit, "one step and two cannot be told apart: the test is too weak"


def test_a_binary_unit_that_is_not_present_stays_off(machine: Rbm) -> None:
    present = torch.tensor([1.0, 0.0] * 2, dtype=torch.float64)[: machine.weight.shape[0]].expand(500, -1)
    torch.manual_seed(2)
    drawn = machine.gibbs(torch.zeros_like(present), present, 2)
    assert torch.equal(drawn.any(dim=0), present[0].bool())


@pytest.mark.parametrize("steps", [1, 3])
def test_cd_descends_the_update_of_the_paper(machine: Rbm, steps: int) -> None:
    data = binary(machine.weight.shape[0])[torch.tensor([2, 3, 5, 7])]
    present, share = torch.ones_like(data), torch.full((len(data),), 1 / len(data), dtype=torch.float64)
    torch.manual_seed(3)
    gradients = torch.autograd.grad(machine.contrastive_divergence(data, present, steps), list(machine.parameters()))
    torch.manual_seed(3)
    chain = machine.gibbs(data, present, steps)
    assert not torch.equal(chain, data)
    for gradient, first, last in zip(
        gradients, update(machine, data, share), update(machine, chain, share), strict=True
    ):
        torch.testing.assert_close(gradient, last - first, atol=1e-12, rtol=0)


def test_softmax_free_energy_and_sampler_agree_with_enumeration(softmax: SoftmaxRbm) -> None:
    visible, hidden = one_hot(), binary(3)
    expected = -torch.logsumexp(-energy(softmax, visible, hidden), dim=1)
    torch.testing.assert_close(softmax.free_energy(visible), expected, atol=1e-12, rtol=0)
    step, each = kernel(joint(softmax, visible, hidden).detach()), 4000
    statistic, limit = chi_square(transitions(softmax, visible, 1, each), each * step)
    assert statistic < limit


def test_a_softmax_unit_has_one_level_and_an_absent_item_none(softmax: SoftmaxRbm) -> None:
    torch.manual_seed(2)
    given = torch.rand(500, ITEMS) < 0.5
    present = given.repeat_interleave(LEVELS, dim=1).double()
    start = present * torch.tensor([1.0, 0.0], dtype=torch.float64).repeat(ITEMS)
    for steps in (1, 4):
        drawn = softmax.gibbs(start, present, steps).view(-1, ITEMS, LEVELS)
        assert set(drawn.unique().tolist()) == {0.0, 1.0}
        assert torch.equal(drawn.sum(dim=2), given.double())


def test_levels_are_drawn_as_the_softmax_says() -> None:
    torch.manual_seed(4)
    machine, rows = SoftmaxRbm(2, 5, 1).double(), 20_000
    logits = torch.randn(1, 10, dtype=torch.float64) * 2
    drawn = machine.sample_visible(logits.expand(rows, -1), torch.ones(rows, 10, dtype=torch.float64))
    expected = rows * torch.softmax(logits.view(2, 5), dim=1)
    statistic, limit = chi_square(drawn.sum(dim=0).view(2, 5), expected)
    assert statistic < limit


# The graph that is served.


COUNT, SCALE, LIKED = 7, (1.0, 2.0, 3.0, 4.0, 5.0), 4.0


def scorer(spread: float = 0.7) -> Score:
    torch.manual_seed(8)
    score = Score(Rbm(2 * COUNT, 4), SoftmaxRbm(COUNT, len(SCALE), 3), SCALE, LIKED).double()
    with torch.no_grad():
        for parameter in score.parameters():
            parameter.normal_(0, spread)
    return score


ITEM = torch.tensor([[0, 3, 6], [5, 2, 1]], dtype=torch.int32)
RATING = torch.tensor([[5.0, 2.0, 4.0], [1.0, 3.0, 3.0]], dtype=torch.float64)


def test_a_history_scores_as_the_dense_pass_up_and_down() -> None:
    score = scorer()
    rated = torch.zeros(2, 2 * COUNT, dtype=torch.float64)
    level = torch.zeros(2, COUNT, len(SCALE), dtype=torch.float64)
    for row, (history, ratings) in enumerate(zip(ITEM.tolist(), RATING.tolist(), strict=True)):
        for item, rating in zip(history, ratings, strict=True):
            rated[row, item] = 1
            rated[row, COUNT + item] = float(rating >= LIKED)
            level[row, item, SCALE.index(rating)] = 1
    ranker, rater = score.ranker, score.rater
    liked = ranker.visible_logits(torch.sigmoid(ranker.hidden_logits(rated)))[:, COUNT:]
    logits = rater.visible_logits(torch.sigmoid(rater.hidden_logits(level.flatten(1)))).view(2, COUNT, len(SCALE))
    predicted = torch.softmax(logits, dim=2) @ torch.tensor(SCALE, dtype=torch.float64)
    found = score(ITEM, RATING)
    torch.testing.assert_close(found[0], liked, atol=1e-12, rtol=0)
    torch.testing.assert_close(found[1], predicted, atol=1e-12, rtol=0)


def test_padding_adds_nothing_wherever_it_stands() -> None:
    score = scorer()
    plain = score(ITEM, RATING)
    pad, noise = torch.full((2, 2), -1, dtype=torch.int32), torch.tensor([[5.0, 0.0], [1.0, 4.0]], dtype=torch.float64)
    padded = score(torch.cat((pad, ITEM, pad), dim=1), torch.cat((noise, RATING, noise), dim=1))
    for one, other in zip(plain, padded, strict=True):
        torch.testing.assert_close(one, other, atol=1e-14, rtol=0)


def test_the_order_of_a_history_does_not_matter() -> None:
    score, order = scorer(), torch.tensor([2, 0, 1])
    for one, other in zip(score(ITEM, RATING), score(ITEM[:, order], RATING[:, order]), strict=True):
        torch.testing.assert_close(one, other, atol=1e-14, rtol=0)


def test_what_is_rated_and_how_both_matter() -> None:
    score = scorer()
    _, plain = score(ITEM, RATING)
    liked, _ = score(ITEM, RATING.clamp(min=LIKED))
    assert not torch.allclose(liked, score(ITEM, RATING)[0])
    assert not torch.allclose(plain, score(ITEM, 6 - RATING)[1])
    below, at = (score(ITEM, torch.full_like(RATING, value))[0] for value in (3.999, 4.0))
    assert not torch.allclose(below, at), "liked starts at 4"
    for one, other in zip(score(ITEM, RATING + 0.4), score(ITEM, RATING.round()), strict=True):
        torch.testing.assert_close(one, other)  # a rating between two levels counts as the nearest


@pytest.mark.parametrize("spread", [0.01, 1.0, 50.0])
def test_predicted_ratings_stay_on_the_scale(spread: float) -> None:
    nobody = torch.full((1, 3), -1, dtype=torch.int32)
    score = scorer(spread)
    for item, rating in ((ITEM, RATING), (nobody, RATING[:1])):
        _, predicted = score(item, rating)
        assert predicted.min() >= SCALE[0] - 1e-12
        assert predicted.max() <= SCALE[-1] + 1e-12


# The learner.


def test_a_batch_holds_users_of_the_training_part() -> None:
    learner, data = tiny.learner("movies-rbm"), tiny.twin("movies-rbm")
    count, train = len(data.items), data.train
    users: list[tuple[set[int], set[int]]] = []
    for user in range(train.users):
        item, rating = train.item[train.user == user], train.rating[train.user == user].astype(int)
        users.append(({*item.tolist(), *(count + item[rating >= 4]).tolist()}, {*(item * 5 + rating - 1).tolist()}))
    torch.manual_seed(0)
    for rated, level in zip(*learner.draw(), strict=True):
        assert set(torch.cat((rated, level)).unique().tolist()) == {0.0, 1.0}
        seen, told = set(rated.nonzero()[:, 0].tolist()), set(level.nonzero()[:, 0].tolist())
        assert any(seen == units and told <= levels for units, levels in users)


def test_visible_biases_start_at_what_is_common() -> None:
    learner, data = tiny.learner("movies-rbm"), tiny.twin("movies-rbm")
    assert isinstance(learner, MovieRbm)
    share = torch.sigmoid(learner.ranker.visible_bias[len(data.items) :]).detach().numpy()
    popularity = np.array([item.popularity for item in data.items])
    assert np.abs(share - popularity).max() < 1 / data.train.users
    softmax = torch.softmax(learner.rater.visible_bias.detach().view(-1, 5), dim=1).numpy()
    counts = np.bincount(data.train.item * 5 + data.train.rating.astype(int) - 1, minlength=5 * len(data.items))
    counts = counts.reshape(-1, 5)
    smooth = counts + 10 * counts.sum(axis=0) / counts.sum()
    assert np.abs(softmax - smooth / smooth.sum(axis=1, keepdims=True)).max() < 1e-6


def test_a_scale_of_tenths_with_a_level_that_nobody_gave_can_be_learnt() -> None:
    """0.1 is no float32: a rating must find its level all the same."""
    data = tiny.twin("movies-rbm")
    levels = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
    tenths = replace(data.train, rating=np.float32(levels)[data.train.rating.astype(int) - 1])
    settings = tiny.learner("movies-rbm").settings
    learner = MovieRbm(settings, replace(data, levels=levels, liked=0.4, train=tenths))
    assert learner.level.tolist() == (data.train.rating.astype(int) - 1).tolist()
    assert torch.equal(learner.liked, torch.from_numpy(data.train.rating >= 4))
    bias = learner.rater.visible_bias.view(-1, len(levels))
    assert bias.isfinite().all()
    assert (bias[:, 5] < bias[:, :5].amin(dim=1)).all()


def test_the_item_table_is_that_of_the_data() -> None:
    learner, data = tiny.learner("movies-rbm"), tiny.twin("movies-rbm")
    assert items.read(learner.files()["items.csv"], data.attributes) == data.items
