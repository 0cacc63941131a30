"""Bayesian matrix factorisation with side information, by Gibbs sampling.

A rating is Gaussian around u.v for a user's factors u and an item's v [R] (Salakhutdinov, Mnih, "Bayesian
probabilistic matrix factorization using MCMC", ICML 2008). The factors of either side are Gaussian around a linear
function of that side's features (Simm et al., "Macau: scalable Bayesian factorization with high-dimensional side
information using MCMC", MLSP 2017):

    r ~ N(u.v, 1 / a),   u ~ N(x B, L^-1),   B | L ~ N(0, D^-1, L^-1),   L ~ Wishart

with the same for v. x begins with a constant 1; D is diagonal, its entries and a have Gamma priors. Every
conditional is conjugate, so a sweep draws each from its own distribution in turn.

Nothing is held that is larger than the ratings, the factors or one block of them: users and items are sorted by their
number of ratings and worked off in blocks of equal length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from training.data.ratings import Ratings

BLOCK_VALUES = 1 << 21
"""Gathered factors, times their rank, that a block holds."""
SHAPE, RATE = 1.0, 1.0
"""Of the Gamma priors: worth two ratings of unit variance."""


@dataclass(frozen=True)
class Draw:
    """One sample: what predicts the ratings of any user from the own history.

    `item` [I,R] are factors; a user's have the mean x `weight` ([F,R]) and the precision `precision` [R,R] before
    any rating is seen; `noise` is the precision of a rating.
    """

    item: Tensor
    weight: Tensor
    precision: Tensor
    noise: float


class Side:
    """The users or the items: their ratings in order, their features and the present draw of what belongs to them."""

    def __init__(
        self, own: NDArray[np.int64], other: NDArray[np.int64], rating: Tensor, features: Tensor, rank: int
    ) -> None:
        """`own`, `other` and `rating` are the columns of the ratings [N]; `features` [n,F] bear this side's rows."""
        order = np.argsort(own, kind="stable")
        count = np.bincount(own, minlength=len(features))
        self.count = torch.from_numpy(count)
        self.start = torch.from_numpy(np.cumsum(count) - count)
        self.other = torch.from_numpy(other[order].astype(np.int32))
        self.rating = rating[torch.from_numpy(order)]
        self.features = features
        self.gram = features.T @ features
        self.factor = 0.3 * torch.randn(len(features), rank)
        self.weight = torch.zeros(features.shape[1], rank)
        self.precision = torch.eye(rank)
        self.decay = torch.ones(features.shape[1])
        self.decay[0] = 1e-2  # the constant is not to be shrunk

    def blocks(self) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Rows [b] and their ratings, padded to the longest: other side's row, rating and given (0 or 1), [b,n]."""
        rank = self.factor.shape[1]
        by_count = torch.argsort(self.count)
        lengths = self.count[by_count].tolist()
        begin = 0
        while begin < len(lengths):
            end = begin + 1
            while end < len(lengths) and (end + 1 - begin) * max(lengths[end], rank) * rank <= BLOCK_VALUES:
                end += 1
            rows = by_count[begin:end]
            step = torch.arange(max(1, lengths[end - 1]))
            given = step < self.count[rows, None]
            place = (self.start[rows, None] + step).clamp(max=len(self.rating) - 1)
            yield rows, self.other[place].long(), self.rating[place], given.to(self.rating.dtype)
            begin = end

    def draw_prior(self) -> None:
        """Weights and precision given the factors: a regression with a matrix normal and Wishart prior."""
        rows, rank = self.factor.shape
        root = torch.linalg.cholesky(self.gram + torch.diag(self.decay))
        mean = torch.cholesky_solve(self.features.T @ self.factor, root)
        rest = self.factor - self.features @ mean
        spread = torch.eye(rank) + rest.T @ rest + mean.T @ (self.decay[:, None] * mean)
        self.precision = wishart(spread, rows + rank)
        noise = torch.randn(len(mean), rank)
        across = torch.linalg.solve_triangular(root.T, noise, upper=True)
        lower = torch.linalg.cholesky(self.precision)
        self.weight = mean + torch.linalg.solve_triangular(lower, across, upper=False, left=False)
        length = ((self.weight @ self.precision) * self.weight).sum(dim=1)
        drawn = gamma(torch.full_like(length, SHAPE + rank / 2), RATE + length / 2)
        self.decay[1:] = drawn[1:]

    def draw_factors(self, other: Tensor, noise: float) -> float:
        """Factors given their prior and the `other` side's factors; the sum of squared errors that they leave."""
        prior = self.features @ self.weight @ self.precision
        squares = 0.0
        for rows, place, rating, given in self.blocks():
            gathered = other[place] * given[:, :, None]
            precision = self.precision + noise * gathered.mT @ gathered
            towards = prior[rows, :, None] + noise * gathered.mT @ rating[:, :, None]
            root = torch.linalg.cholesky(precision)
            whitened = torch.linalg.solve_triangular(root, towards, upper=False) + torch.randn_like(towards)
            factor = torch.linalg.solve_triangular(root.mT, whitened, upper=True)
            self.factor[rows] = factor[:, :, 0]
            squares += float(((rating - (gathered @ factor)[:, :, 0]) * given).square().sum())
        return squares


def sample(
    ratings: Ratings,
    users: Tensor,
    items: Tensor,
    *,
    rank: int,
    sweeps: int,
    burn_in: int,
    samples: int,
    quiet: bool = False,
) -> list[Draw]:
    """Draws taken evenly from the sweeps after the burn-in, from the features of `users` [U,F] and `items` [I,G].

    Ratings are best given in units of their standard deviation, from their mean. All random numbers come from
    torch's global generator.
    """
    rating = torch.from_numpy(ratings.rating)
    user_side = Side(ratings.user, ratings.item, rating, users, rank)
    item_side = Side(ratings.item, ratings.user, rating, items, rank)
    kept = set(np.linspace(sweeps, burn_in, samples, endpoint=False).round().astype(int).tolist())
    draws: list[Draw] = []
    noise = 1.0
    with tqdm(range(1, sweeps + 1), unit="sweep", disable=quiet) as bar:
        for sweep in bar:
            user_side.draw_prior()
            user_side.draw_factors(item_side.factor, noise)
            item_side.draw_prior()
            squares = item_side.draw_factors(user_side.factor, noise)
            noise = float(gamma(torch.tensor(SHAPE + len(rating) / 2), torch.tensor(RATE + squares / 2)))
            bar.set_postfix(noise=f"{noise**-0.5:.4f}")
            if sweep in kept:
                # The user side's prior was drawn before its items: drawn anew, it belongs to the same state.
                user_side.draw_prior()
                draws.append(Draw(item_side.factor.clone(), user_side.weight, user_side.precision, noise))
    return draws


def gamma(shape: Tensor, rate: Tensor) -> Tensor:
    """A draw of the Gamma distribution, elementwise."""
    return torch.distributions.Gamma(shape, rate).sample()


def wishart(inverse_scale: Tensor, freedom: float) -> Tensor:
    """A draw of the Wishart distribution with the mean `freedom` inverse(inverse_scale), by Bartlett."""
    size = len(inverse_scale)
    lower = torch.linalg.cholesky(torch.linalg.inv(inverse_scale))
    chi_square = 2 * gamma((freedom - torch.arange(size)).to(inverse_scale.dtype) / 2, torch.tensor(1.0))
    root = lower @ (torch.randn(size, size).tril(-1) + torch.diag(chi_square.sqrt()))
    return root @ root.T
