"""Bayesian matrix factorisation with side information, by Gibbs sampling.

A rating is Gaussian around u.v for a user's factors u and an item's v [R] (Salakhutdinov, Mnih, "Bayesian
probabilistic matrix factorization using MCMC", ICML 2008). Users and items have precisions of their own, c and a:
some people's ratings tell more than others' (Lakshminarayanan, Bouchard, Archambeau, "Robust Bayesian matrix
factorisation", AISTATS 2011). The factors of either side are Gaussian around a linear function of that side's
features (Simm et al., "Macau: scalable Bayesian factorization with high-dimensional side information using MCMC",
MLSP 2017):

    r ~ N(u.v, 1 / (c a)),   u ~ N(x B, L^-1),   B | L ~ N(0, D^-1, L^-1),   L ~ Wishart,   c ~ Gamma of mean 1

with the same for v and a. x begins with a constant 1; D is diagonal, its entries and the reciprocal of the mean of a
have Gamma priors. Every conditional is conjugate, so a sweep draws each from its own distribution in turn; only c and a
are cut off at `MAX_PRECISION`.

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
NOISE_SHAPE = 8.0
"""Shape of the prior of a user's or an item's noise precision: how much alike they are held to be."""
MAX_PRECISION = 100.0
"""Of a user or an item: float32 must still tell the prior from many precise ratings."""


@dataclass(frozen=True)
class Draw:
    """One sample: what predicts the ratings of any user from the own history.

    `item` [I,R] are the factors' means and `noise` [I] the precisions of a rating around u.item: both given the
    sample of everything else, so that what is unknown about the item counts as noise. A user's factors have the
    mean x `weight` ([F,R]) and the precision `precision` [R,R] before any rating is seen.
    """

    item: Tensor
    weight: Tensor
    precision: Tensor
    noise: Tensor


class Side:
    """The users or the items: their ratings in order, their features and the present draw of what belongs to them."""

    def __init__(
        self, own: NDArray[np.integer], other: NDArray[np.integer], rating: Tensor, features: Tensor, rank: int
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
        self.noise, self.noise_mean = torch.ones(len(features)), 1.0

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
        scatter = torch.eye(rank) + rest.T @ rest + mean.T @ (self.decay[:, None] * mean)
        self.precision = wishart(scatter, rows + rank)
        noise = torch.randn(len(mean), rank)
        across = torch.linalg.solve_triangular(root.T, noise, upper=True)
        lower = torch.linalg.cholesky(self.precision)
        self.weight = mean + torch.linalg.solve_triangular(lower, across, upper=False, left=False)
        length = ((self.weight @ self.precision) * self.weight).sum(dim=1)
        drawn = gamma(torch.full_like(length, SHAPE + rank / 2), RATE + length / 2)
        self.decay[1:] = drawn[1:]

    def draw_factors(self, other: Side) -> None:
        """Factors, then noise, given their priors and what belongs to the `other` side."""
        errors = torch.zeros(len(self.factor))
        for rows, gathered, weight, rating, root, towards in self._conditionals(other):
            whitened = torch.linalg.solve_triangular(root, towards, upper=False) + torch.randn_like(towards)
            factor = torch.linalg.solve_triangular(root.mT, whitened, upper=True)
            self.factor[rows] = factor[:, :, 0]
            errors[rows] = (weight * (rating - (gathered @ factor)[:, :, 0]).square()).sum(dim=1)
        drawn = gamma(NOISE_SHAPE + self.count / 2, NOISE_SHAPE / self.noise_mean + errors / 2)
        self.noise = drawn.clamp(max=MAX_PRECISION)

    def draw_noise_mean(self) -> None:
        """The mean of this side's precisions. The other side's stays 1: only the product counts."""
        shape, rate = SHAPE + NOISE_SHAPE * len(self.noise), RATE + NOISE_SHAPE * self.noise.sum()
        self.noise_mean = 1 / float(gamma(torch.tensor(shape), rate))

    def expected(self, other: Side) -> tuple[Tensor, Tensor]:
        """Means of the factors [n,R] given all else, and precisions [n] of a rating around them by an average other."""
        mean, variance = torch.zeros_like(self.factor), torch.zeros(len(self.factor))
        rank = self.factor.shape[1]
        second = torch.linalg.cholesky(other.factor.T @ other.factor / len(other.factor) + 1e-6 * torch.eye(rank))
        for rows, _, _, _, root, towards in self._conditionals(other):
            mean[rows] = torch.cholesky_solve(towards, root)[:, :, 0]
            whitened = torch.linalg.solve_triangular(root, second.expand(len(rows), -1, -1), upper=False)
            variance[rows] = whitened.square().sum(dim=(1, 2))
        return mean, 1 / (1 / self.noise + variance)

    def _conditionals(self, other: Side) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]]:
        """By block: rows [b], the others' factors [b,n,R], weights and ratings [b,n] of their ratings, and the
        Cholesky root [b,R,R] of the factors' precision and precision times mean [b,R,1]."""
        prior = self.features @ self.weight @ self.precision
        for rows, place, rating, given in self.blocks():
            gathered, weight = other.factor[place], other.noise[place] * given
            weighted = (gathered * weight[:, :, None]).mT
            own = self.noise[rows, None, None]
            precision = self.precision + own * (weighted @ gathered)
            towards = prior[rows, :, None] + own * (weighted @ rating[:, :, None])
            yield rows, gathered, weight, rating, torch.linalg.cholesky(precision), towards


def sample(
    ratings: Ratings,
    users: Tensor,
    items: Tensor,
    *,
    rank: int,
    burn_in: int,
    samples: int,
    spacing: int,
    quiet: bool = False,
) -> list[Draw]:
    """`samples` draws, one in `spacing` sweeps after `burn_in`, from the features of `users` [U,F] and `items` [I,G].

    Ratings are best given in units of their standard deviation, from their mean. All random numbers come from
    torch's global generator.
    """
    rating = torch.from_numpy(ratings.rating)
    user_side = Side(ratings.user, ratings.item, rating, users, rank)
    item_side = Side(ratings.item, ratings.user, rating, items, rank)
    draws: list[Draw] = []
    with tqdm(range(1, 1 + burn_in + samples * spacing), unit="sweep", disable=quiet) as bar:
        for sweep in bar:
            user_side.draw_prior()
            user_side.draw_factors(item_side)
            item_side.draw_prior()
            if sweep > burn_in and (sweep - burn_in) % spacing == 0:
                expected = item_side.expected(user_side)
                draws.append(Draw(expected[0], user_side.weight, user_side.precision, expected[1]))
            item_side.draw_factors(user_side)
            item_side.draw_noise_mean()
            bar.set_postfix(noise=f"{item_side.noise_mean**-0.5:.4f}")
    return draws


def gamma(shape: Tensor, rate: Tensor) -> Tensor:
    """A draw of the Gamma distribution, elementwise."""
    return torch.distributions.Gamma(shape, rate).sample()


def wishart(inverse_scale: Tensor, degrees: float) -> Tensor:
    """A draw of the Wishart distribution with so many degrees of freedom, by Bartlett.

    Its mean is degrees * inverse(inverse_scale).
    """
    size = len(inverse_scale)
    lower = torch.linalg.cholesky(torch.linalg.inv(inverse_scale))
    chi_square = 2 * gamma((degrees - torch.arange(size)).to(inverse_scale.dtype) / 2, torch.tensor(1.0))
    root = lower @ (torch.randn(size, size).tril(-1) + torch.diag(chi_square.sqrt()))
    return root @ root.T
