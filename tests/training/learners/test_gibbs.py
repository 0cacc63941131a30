"""The conditionals of the sampler against their closed forms, and the sampler against a planted model."""

import numpy as np
import pytest
import torch

from training.data.ratings import Ratings
from training.learners.gibbs import NOISE_SHAPE, Side, gamma, sample, wishart

DRAWS = 20_000


def alike(rank: int) -> tuple[Side, Side, torch.Tensor]:
    """20,000 users who rated the same three of four items alike; the items; the three ratings."""
    other = Side(np.array([0]), np.array([0]), torch.ones(1), torch.ones(4, 1), rank)
    other.factor, other.noise = torch.randn(4, rank), torch.tensor([0.5, 2.0, 1.0, 3.0])
    rating = torch.tensor([0.5, -1.0, 2.0])
    own, place = np.repeat(np.arange(DRAWS), 3), np.tile([0, 1, 3], DRAWS)
    features = torch.tensor([[1.0, 0.7]]).repeat(DRAWS, 1)
    side = Side(own, place, rating.repeat(DRAWS), features, rank)
    side.weight = torch.randn(2, rank)
    side.precision = wishart(torch.eye(rank), 8) / 4
    return side, other, rating


def test_factors_have_the_ridge_solution_as_mean_and_the_inverse_precision_as_covariance() -> None:
    torch.manual_seed(0)
    side, other, rating = alike(3)
    side.noise.fill_(1.5)
    expected, certain = side.expected(other)
    side.draw_factors(other)
    seen, weight = other.factor[[0, 1, 3]].double(), 1.5 * other.noise[[0, 1, 3]].double()
    prior = side.precision.double() @ (side.features[0].double() @ side.weight.double())
    precision = side.precision.double() + seen.T @ (weight[:, None] * seen)
    mean = torch.linalg.solve(precision, prior + seen.T @ (weight * rating.double()))
    covariance = torch.linalg.inv(precision)
    drawn = side.factor.double()
    assert (expected - mean).abs().max() < 1e-4
    variance = float(np.mean([float(one @ covariance @ one) for one in other.factor.double()]))
    assert (1 / certain - (1 / 1.5 + variance)).abs().max() < 1e-4
    # Standardised, the mean of n draws is within 5 / sqrt(n) and the covariance within about 7 / sqrt(n).
    root = torch.linalg.cholesky(precision)
    white = (drawn - mean) @ root
    assert white.mean(dim=0).abs().max() < 5 / DRAWS**0.5
    assert (white.T @ white / DRAWS - torch.eye(3)).abs().max() < 10 / DRAWS**0.5
    # Given the factors, the noise is a Gamma whose rate holds the squared errors, the other side's precisions in.
    errors = ((rating.double() - drawn @ seen.T).square() * weight / 1.5).sum(dim=1)
    scaled = side.noise * (NOISE_SHAPE + errors / 2)
    assert float(scaled.mean()) == pytest.approx(NOISE_SHAPE + 1.5, abs=5 * ((NOISE_SHAPE + 1.5) / DRAWS) ** 0.5)


def test_users_without_ratings_are_drawn_from_the_prior() -> None:
    torch.manual_seed(1)
    features = torch.ones(DRAWS, 1)
    side = Side(np.array([0]), np.array([0]), torch.tensor([1.0]), features, 2)
    side.weight, side.precision = torch.tensor([[1.0, -2.0]]), torch.tensor([[2.0, 0.5], [0.5, 1.0]])
    side.draw_factors(Side(np.array([0]), np.array([0]), torch.ones(1), torch.ones(1, 1), 2))
    white = (side.factor[1:] - side.weight) @ torch.linalg.cholesky(side.precision)
    assert white.mean(dim=0).abs().max() < 5 / DRAWS**0.5
    assert (white.T @ white / DRAWS - torch.eye(2)).abs().max() < 10 / DRAWS**0.5


def test_blocks_hold_every_rating_once() -> None:
    torch.manual_seed(2)
    rng = np.random.default_rng(2)
    own, other = np.nonzero(rng.random((300, 40)) < rng.random((300, 1)))
    rating = torch.from_numpy(rng.normal(size=len(own)).astype(np.float32))
    side = Side(own, other, rating, torch.ones(310, 1), 64)
    found: list[tuple[int, int, float]] = []
    seen: list[int] = []
    for rows, place, value, given in side.blocks():
        seen.extend(rows.tolist())
        row, column = torch.nonzero(given, as_tuple=True)
        found.extend(zip(rows[row].tolist(), place[row, column].tolist(), value[row, column].tolist(), strict=True))
    assert sorted(seen) == list(range(310))
    assert sorted(found) == sorted(zip(own.tolist(), other.tolist(), rating.tolist(), strict=True))


def test_the_prior_is_the_regression_of_the_factors_on_the_features() -> None:
    torch.manual_seed(3)
    features = torch.cat([torch.ones(40, 1), torch.randn(40, 2)], dim=1)
    side = Side(np.array([0]), np.array([0]), torch.tensor([1.0]), features, 2)
    side.factor = features @ torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.0, 0.3]]) + 0.5 * torch.randn(40, 2)
    decay = torch.tensor([0.5, 1.0, 2.0])
    weights, precisions = [], []
    for _ in range(3000):
        side.decay = decay.clone()
        side.draw_prior()
        weights.append(side.weight)
        precisions.append(side.precision)
    normal = features.T @ features + torch.diag(decay)
    mean = torch.linalg.solve(normal, features.T @ side.factor)
    spread = torch.eye(2) + side.factor.T @ side.factor - mean.T @ normal @ mean
    weight, precision = torch.stack(weights), torch.stack(precisions)
    error = weight.std(dim=0) / 3000**0.5
    assert ((weight.mean(dim=0) - mean).abs() / error).max() < 5
    assert (
        (precision.mean(dim=0) - 42 * torch.linalg.inv(spread)).abs() / (precision.std(dim=0) / 3000**0.5)
    ).max() < 5
    # Given the precision, rows of the weight have the covariance of the inverse normal matrix.
    rows = (weight - mean) @ torch.linalg.cholesky(precision)
    covariance = torch.einsum("nfr,ngr->fg", rows, rows) / (3000 * 2)
    assert (covariance - torch.linalg.inv(normal)).abs().max() < 0.06 * torch.linalg.inv(normal).diagonal().max()


def test_gamma_and_wishart_have_their_moments() -> None:
    torch.manual_seed(4)
    drawn = gamma(torch.full((DRAWS,), 3.0), torch.tensor(2.0))
    assert float(drawn.mean()) == pytest.approx(1.5, abs=5 * (0.75 / DRAWS) ** 0.5)
    inverse = torch.tensor([[2.0, 0.5], [0.5, 1.0]])
    draws = torch.stack([wishart(inverse, 6) for _ in range(4000)])
    assert ((draws.mean(dim=0) - 6 * torch.linalg.inv(inverse)).abs() / draws.std(dim=0)).max() < 5 / 4000**0.5
    scale = torch.linalg.inv(inverse)
    variance = 6 * (scale**2 + scale.diagonal().outer(scale.diagonal()))
    assert (draws.var(dim=0) / variance - 1).abs().max() < 0.15


def test_a_planted_model_is_found_with_its_noise() -> None:
    rng = np.random.default_rng(5)
    users, items, rank = 300, 80, 3
    truth = rng.normal(size=(users, rank)) @ rng.normal(size=(rank, items)) / rank**0.5
    of_user, of_item = (
        rng.gamma(NOISE_SHAPE, 1 / NOISE_SHAPE, (users, 1)),
        rng.gamma(NOISE_SHAPE, 6 / NOISE_SHAPE, items),
    )
    observed = (truth + rng.normal(size=truth.shape) / np.sqrt(of_user * of_item)).astype(np.float32)
    shown = rng.random(truth.shape) < 0.4
    user, item = np.nonzero(shown)
    torch.manual_seed(5)
    draws = sample(
        Ratings(user, item, observed[user, item]),
        torch.ones(users, 1), torch.ones(items, 1),
        rank=5, burn_in=20, samples=4, spacing=10, quiet=True,
    )  # fmt: skip
    assert len(draws) == 4
    noise = torch.stack([draw.noise for draw in draws]).mean(dim=0).numpy()
    assert noise.mean() == pytest.approx(of_item.mean(), rel=0.1)
    assert np.corrcoef(noise, of_item)[0, 1] > 0.8
    predicted = np.mean(
        [_fold_in(draw.item, draw.weight, draw.precision, draw.noise, observed, shown) for draw in draws], axis=0
    )
    error = np.sqrt(np.square(predicted - truth)[~shown].mean())
    centre = np.where(shown, observed, 0).sum(0) / shown.sum(0)
    assert error < 0.3 < np.sqrt(np.square(centre - truth)[~shown].mean())


def _fold_in(item, weight, precision, noise, observed, shown):  # type: ignore[no-untyped-def]
    """Predictions [U,I] of the ridge solution of every user."""
    rows = []
    for rating, known in zip(observed, shown, strict=True):
        seen = item[torch.from_numpy(known)]
        right = precision @ weight[0] + seen.T @ (noise[known] * torch.from_numpy(rating[known]))
        rows.append(item @ torch.linalg.solve(precision + seen.T @ (noise[known, None] * seen), right))
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("samples", [1, 3, 6])
def test_the_same_seed_gives_the_same_samples(samples: int) -> None:
    rng = np.random.default_rng(6)
    user, item = np.nonzero(rng.random((12, 9)) < 0.5)
    ratings = Ratings(user, item, rng.normal(size=len(user)).astype(np.float32))

    def run() -> list[torch.Tensor]:
        torch.manual_seed(6)
        ones = torch.ones(12, 1), torch.ones(9, 1)
        return [draw.item for draw in sample(ratings, *ones, rank=2, burn_in=2, samples=samples, spacing=2, quiet=True)]

    first, second = run(), run()
    assert len(first) == samples
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
