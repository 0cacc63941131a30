"""The graph's module against the formula in numpy, and against itself with fewer ratings."""

from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import log_ndtr
from torch import Tensor, nn

from tests import tiny
from training.data.ratings import RatingData
from training.export import export
from training.graphs import Graphs
from training.learners.movie_rbm import MovieRbm
from training.learners.score import HiddenExpert, Score

SOME_RARE = "frequent_least=60"
NONE_FREQUENT = "frequent_least=100000"
FREQUENT = [SOME_RARE, NONE_FREQUENT]


def learner(data: RatingData, *changes: str) -> MovieRbm:
    """Prepared, with hidden units that matter."""
    settings = tiny.learner("movies-rbm", "prior_gain=0.3", *changes).settings
    torch.manual_seed(3)
    found = MovieRbm(settings, data)
    found.prepare()
    with torch.no_grad():
        found.machine.weight.normal_(0, 0.4)
    return found.eval()


def scorer(of: MovieRbm) -> nn.Module:
    return of.exports()["score"].module


@pytest.fixture(scope="module", params=FREQUENT)
def machine(request: pytest.FixtureRequest) -> MovieRbm:
    return learner(tiny.twin("movies-rbm"), request.param)


def histories(rows: int, length: int, items: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Item indices, none twice in a row, and ratings; padding anywhere, and nothing else in the last of several."""
    draw = torch.Generator().manual_seed(seed)
    item = torch.stack([torch.randperm(items, generator=draw)[:length] for _ in range(rows)]).to(torch.int32)
    item[torch.rand(item.shape, generator=draw) < 0.2] = -1
    if rows > 1:
        item[-1] = -1
    return item, torch.randint(1, 6, item.shape, generator=draw).float()


def targets(rows: int, count: int, items: int) -> Tensor:
    return torch.randint(items, (rows, count), generator=torch.Generator().manual_seed(9), dtype=torch.int32)


def ranked(of: MovieRbm, item: NDArray[np.int64], liked: NDArray[np.bool_]) -> NDArray[np.float64]:
    """log p(i is rated next) [I] of one user in float64, from the parts, each by its formula."""
    settings, count = of.settings, len(of.data.items)
    frequent = of.frequent.numpy()
    units = np.zeros((2, count))
    units[0, item], units[1, item[liked]] = 1, 1
    lateral = np.zeros(count)
    lateral[frequent] = units[:, frequent].reshape(-1) @ of.lateral.double().numpy() * of.lateral_scale.double().numpy()

    rows = HiddenExpert(of.machine, []).weight.double().numpy()
    strength = np.where(liked, settings.liked_strength, settings.rated_strength)
    precision = np.eye(rows.shape[1]) + rows[item].T @ ((strength - 1)[:, None] * rows[item])
    hidden = rows @ np.linalg.solve(precision, rows[item].T @ strength)

    share = (np.bincount(of.data.train.item, minlength=count) + 0.5) / of.data.train.users
    lateral += share * (settings.prior_ratings / (settings.prior_ratings + len(item))) ** 2
    total = settings.prior_gain * np.log(share)
    for gain, estimate in ((settings.lateral_gain, lateral), (settings.hidden_gain, hidden)):
        total += gain * np.log(np.logaddexp(0, 100 * estimate) / 100 + settings.floor)
    return total


def test_before_anything_is_rated_the_turned_hidden_units_have_the_unit_gaussian(machine: MovieRbm) -> None:
    """What one item's rating tells of another, w_i' A^-1 w_j, is the same as before the turn."""
    rows, turned = machine.machine.weight.detach().double(), HiddenExpert(machine.machine, []).weight.double()
    expected = rows @ torch.linalg.solve(torch.eye(rows.shape[1]) + rows.T @ rows, rows.T)
    length = turned.norm(dim=1)
    # Both rows are rounded to half precision, each entry by one part in 2048 at most.
    assert ((turned @ turned.T - expected).abs() <= length[:, None] * length / 1000).all()


def liking(of: MovieRbm, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
    """log Phi of the distance to the middle between the lowest liked rating, 4, and the one below it."""
    spread = of.settings.spread * of.data.train.rating.std(dtype=np.float64)
    return log_ndtr(np.maximum((predicted - 3.5) / spread, -3))


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (3, 7), (5, 40)])
def test_a_score_is_the_product_of_its_parts(machine: MovieRbm, rows: int, length: int) -> None:
    item, rating = histories(rows, length, len(machine.data.items))
    score, predicted, _ = scorer(machine)(item, rating, targets(rows, 0, 1))
    for row in range(rows):
        known = item[row] >= 0
        expected = ranked(machine, item[row][known].long().numpy(), rating[row][known].numpy() >= 4)
        expected += liking(machine, predicted[row].double().numpy())
        assert np.abs(score[row].numpy() - expected).max() < 1e-5


def test_a_rating_is_told_to_be_liked_however_far_it_is_off_the_scale(machine: MovieRbm) -> None:
    module = cast(Score, scorer(machine))
    predicted = torch.linspace(-40, 45, 2000)
    zeros = torch.zeros(1)
    found = module._score(zeros, zeros, predicted, zeros) - module._score(zeros, zeros, torch.tensor(45.0), zeros)
    assert np.abs(found.numpy() - liking(machine, predicted.double().numpy())).max() < 1e-4


def test_the_cases_have_what_they_are_named_for() -> None:
    data = tiny.twin("movies-rbm")
    some, none = (len(learner(data, changes).frequent) for changes in FREQUENT)
    assert 5 < some < len(data.items) - 5
    assert none == 0


@pytest.mark.parametrize(("rows", "length", "count"), [(1, 1, 1), (3, 7, 3), (2, 40, 2), (4, 5, 60)])
def test_a_gain_is_the_score_less_that_without_the_rating(
    machine: MovieRbm, rows: int, length: int, count: int
) -> None:
    module, items = scorer(machine), len(machine.data.items)
    item, rating = histories(rows, length, items, seed=1)
    target = targets(rows, count, items)
    score, _, gain = module(item, rating, target)
    assert gain.shape == (rows, count, length)
    for place in range(length):
        fewer = item.clone()
        fewer[:, place] = -1
        less, _, _ = module(fewer, rating, target[:, :0])
        expected = (score - less).gather(1, target.long())
        torch.testing.assert_close(gain[:, :, place], expected, atol=1e-3, rtol=0)
    padding = (item < 0)[:, None].expand_as(gain)
    assert (gain[padding].abs() < 1e-3).all()
    assert (gain[~padding].abs() > 1e-2).any() or not (item >= 0).any()


def test_padding_adds_nothing_wherever_it_is(machine: MovieRbm) -> None:
    module = scorer(machine)
    item, rating = torch.tensor([[4, 17, 30]], dtype=torch.int32), torch.tensor([[5.0, 2.0, 4.0]])
    padded = torch.tensor([[-1, 4, -1, 17, 30, -1]], dtype=torch.int32), torch.tensor([[5.0, 5, 1, 2, 4, 3]])
    target = torch.tensor([[0, 4]], dtype=torch.int32)
    score, predicted, gain = module(item, rating, target)
    found = module(*padded, target)
    torch.testing.assert_close(found[0], score, atol=1e-4, rtol=0)
    torch.testing.assert_close(found[1], predicted, atol=1e-4, rtol=0)
    torch.testing.assert_close(found[2][:, :, [1, 3, 4]], gain, atol=1e-4, rtol=0)


def test_an_empty_history_gets_what_is_common(machine: MovieRbm) -> None:
    """Finite, and the same however much padding there is."""
    module, none = scorer(machine), torch.zeros(1, 0, dtype=torch.int32)
    one, other = (module(torch.full((1, width), -1), torch.ones(1, width), none) for width in (1, 9))
    assert one[0].isfinite().all()
    torch.testing.assert_close(one[0], other[0], atol=1e-5, rtol=0)
    expected = ranked(machine, np.zeros(0, np.int64), np.zeros(0, bool)) + liking(machine, one[1][0].double().numpy())
    assert np.abs(one[0][0].numpy() - expected).max() < 1e-5


def test_without_targets_there_are_no_gains(machine: MovieRbm) -> None:
    item, rating = histories(4, 9, len(machine.data.items))
    asked, unasked = (scorer(machine)(item, rating, targets(4, count, len(machine.data.items))) for count in (2, 0))
    assert unasked[2].numel() == 0
    torch.testing.assert_close(unasked[0], asked[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("levels", [(1.0,), (1.0, 2.0, 3.0, 4.0, 5.0)])
def test_where_nobody_dislikes_anything_liking_is_left_out(levels: tuple[float, ...]) -> None:
    """A list of likes: every rating is equal, with or without lower levels that nobody used."""
    data = tiny.twin("movies-rbm")
    only = replace(data.train, rating=np.full_like(data.train.rating, levels[-1]))
    of = learner(replace(data, levels=levels, liked=levels[-1], train=only), SOME_RARE)
    item, _ = histories(3, 7, len(data.items))
    rating = torch.full(item.shape, levels[-1])
    score, predicted, gain = scorer(of)(item, rating, targets(3, 2, len(data.items)))
    assert (predicted == levels[-1]).all()
    assert gain.isfinite().all()
    for row in range(3):
        known = item[row][item[row] >= 0].long().numpy()
        expected = ranked(of, known, np.ones(len(known), bool))
        assert np.abs(score[row].numpy() - expected).max() < 1e-5


def test_experts_and_liking_can_be_left_out() -> None:
    of = learner(tiny.twin("movies-rbm"), SOME_RARE, "lateral_gain=0", "prior_gain=0", "spread=0")
    item, rating = histories(2, 9, len(of.data.items))
    score, _, _ = scorer(of)(item, rating, targets(2, 1, 2))
    known = item[0] >= 0
    expected = ranked(of, item[0][known].long().numpy(), rating[0][known].numpy() >= 4)
    assert np.abs(score[0].numpy() - expected).max() < 1e-5


def test_without_lateral_weights_the_exported_graph_computes_the_same() -> None:
    """Small data of somebody's own: no item has enough ratings."""
    of = learner(tiny.twin("movies-rbm"), NONE_FREQUENT)
    graphs, _ = export(of)
    session = Graphs(graphs)
    item, rating = histories(3, 11, len(of.data.items), seed=4)
    target = targets(3, 2, len(of.data.items))
    expected = scorer(of)(item, rating, target)
    found = session.run("score", item_index=item.numpy(), rating=rating.numpy(), target=target.numpy())
    for name, tensor in zip(("score", "predicted_rating", "gain"), expected, strict=True):
        assert np.abs(found[name] - tensor.numpy()).max() < 1e-3
