"""The exported graph of movies-rbm: three machines folded in from pairs of item and rating, and their product.

    score_i = log p(i is rated next) + log p(i is liked | it is rated)

The first term is a product of experts: the lateral weights and the hidden units of the machine of what people rate,
each of which estimates how probable an item is (z, about 0 to 1) and adds gain * log(z + floor), and how often the item
is rated by anybody. While few ratings are told, the lateral weights' z is raised by that, too. The second is
log Phi((r - threshold) / spread) of the rating r that the machine of Gaussian hidden units predicts.

What a rating adds to a score is the score less that without it. Nothing of that is approximated, but for the rounding
of the solver: the sums over the ratings lose one term, and what follows a sum is computed anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.learners import fold_in
from training.learners.fold_in import System
from training.learners.gaussian import GaussianMachine
from training.learners.histories import Histories
from training.learners.lateral import Lateral
from training.learners.operators import integer_product
from training.learners.rbm import Rbm

SHARPNESS = 100
"""Of the softplus that keeps estimates of a probability positive."""


@dataclass(frozen=True)
class Product:
    """How the experts are put together.

    `threshold` and `spread` are on the rating scale. With a spread of 0 liking is left out.
    """

    lateral_gain: float
    hidden_gain: float
    prior_gain: float
    floor: float
    threshold: float
    spread: float


class LateralExpert(nn.Module):
    """Sums of int8 weights over the units that are on, and what anybody rates as long as these are few.

    The weights know nobody of whom nothing is told: their sums over no units are 0. What is missing is taken to be
    (m / (m + n))^2 of an item's share of users who rated it, where n ratings are told.
    """

    def __init__(self, lateral: Lateral, share: Tensor, prior_ratings: float) -> None:
        """`share` [I] of the items and m."""
        super().__init__()
        items = len(share)
        self.prior_ratings = prior_ratings
        self.register_buffer("share", share)
        self.share: Tensor
        self.rare = len(lateral.frequent)
        place = torch.full((items,), self.rare)
        place[lateral.frequent] = torch.arange(self.rare)
        self.register_buffer("place", place)
        # One more row and one more column, of zeros, stand for all items without lateral weights.
        self.register_buffer("weight", functional.pad(lateral.weight, (0, 1, 0, 1)))
        self.register_buffer("scale", functional.pad(lateral.scale, (0, 1)))
        self.place: Tensor
        self.weight: Tensor
        self.scale: Tensor

    def forward(self, told: Histories) -> tuple[Tensor, Tensor]:
        """Estimates [B,I], and the sums [B,L+1] in them.

        The units become a dense row, because gathering weights would take [B,N,L] of memory.
        """
        on = torch.cat(self._rows(told), dim=1)
        units = torch.zeros(on.shape[0], len(self.weight), dtype=torch.uint8)  # not len(on): it would fix the batch
        units = units.scatter(1, on, torch.ones_like(on, dtype=torch.uint8))
        sums = integer_product(units, self.weight).float() * self.scale
        return sums[:, self.place] + self.share * self._missing(told.count), sums

    def of(self, target: Tensor, sums: Tensor, told: Histories, left: Histories) -> Tensor:
        """Estimates for the items `target` [B,K], each time without one of `left` [B,M]: [B,K,M]."""
        column = self.place[target]
        rated, liked = (self.weight[rows.unsqueeze(1), column.unsqueeze(2)].float() for rows in self._rows(left))
        less = sums.gather(1, column).unsqueeze(2) - (rated + liked) * self.scale[column].unsqueeze(2)
        return less + self.share[target].unsqueeze(2) * self._missing(told.count - left.given).unsqueeze(1)

    def _missing(self, count: Tensor) -> Tensor:
        return (self.prior_ratings / (self.prior_ratings + count)).square()

    def _rows(self, told: Histories) -> tuple[Tensor, Tensor]:
        """Rows of the units "rated" and "liked" [B,N] each; the row of zeros where the unit is not on."""
        nothing = 2 * self.rare
        place = self.place[told.item]
        on = (place < self.rare) & (told.given > 0)
        return torch.where(on, place, nothing), torch.where(on & (told.liked > 0), place + self.rare, nothing)


class HiddenExpert(nn.Module):
    """The mean of the hidden units given what is rated, and how much of each item they expect.

    The hidden units are turned so that before anything is rated they have the unit Gaussian.
    """

    def __init__(self, machine: Rbm, typical: Iterable[Histories]) -> None:
        """`typical` histories tell how many steps the solver needs."""
        super().__init__()
        weight = machine.weight.detach().double()
        size = weight.shape[1]
        lower = torch.linalg.cholesky(torch.eye(size, dtype=torch.float64) + weight.T @ weight)
        turned = torch.linalg.solve_triangular(lower, weight.T, upper=False).T
        # Made anew for every export, so it is rounded here to what versions store.
        self.register_buffer("weight", turned.half().float())
        self.weight: Tensor
        self.strength = machine.strength
        self.steps = fold_in.steps(map(self.system, typical))

    def system(self, told: Histories) -> System:
        """What the mean [B,1,H] solves."""
        rows, strength = self._terms(told)
        # Every item counts as one that is not rated already, with strength 1; an entry that is padding adds nothing.
        gram = ((strength - told.given.unsqueeze(2)) * rows).mT @ rows
        return System(gram, (strength * rows).sum(dim=1, keepdim=True))

    def forward(self, told: Histories, left: Histories) -> tuple[Tensor, Tensor]:
        """Means [B,1,H] from what is `told`, and [B,M,H] without one of `left` [B,M]."""
        system = self.system(told)
        rows, strength = self._terms(left)
        unit = (strength - left.given.unsqueeze(2)).sqrt() * rows
        return fold_in.means(system, unit, system.right - strength * rows, self.steps)

    def _terms(self, told: Histories) -> tuple[Tensor, Tensor]:
        """Rows [B,N,H] of the items, and strengths [B,N,1], 0 where none is given."""
        return functional.embedding(told.item, self.weight), (told.given * self.strength(told.liked)).unsqueeze(2)


class Score(nn.Module):
    """item_index int32 [B,N] (-1 pads), rating [B,N] and target int32 [B,K] -> score, predicted_rating [B,I] and gain.

    gain [B,K,N] is what each rating adds to the score of each target.
    """

    def __init__(
        self,
        lateral: LateralExpert,
        hidden: HiddenExpert,
        rater: GaussianMachine,
        liked: float,
        product: Product,
    ) -> None:
        """`liked` is the rating from which on an item is."""
        super().__init__()
        self.lateral, self.hidden, self.rater, self.liked, self.product = lateral, hidden, rater, liked, product
        self.register_buffer("prior", product.prior_gain * lateral.share.log())
        self.prior: Tensor

    def forward(self, item_index: Tensor, rating: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        told, target = Histories.read(item_index, rating, self.liked), target.long()
        left = told.left_out(target)
        lateral, sums = self.lateral(told)
        mean, mean_without = self.hidden(told, left)
        taste, taste_without = self.rater(told, left)

        predicted = self.rater.ratings(taste[:, :, 0])
        score = self._score(lateral, mean[:, 0] @ self.hidden.weight.T, predicted, self.prior)
        without = self._score(
            self.lateral.of(target, sums, told, left),
            functional.embedding(target, self.hidden.weight) @ mean_without.mT,
            self.rater.ratings_of(target, taste_without),
            self.prior[target].unsqueeze(2),
        )
        return score, predicted, score.gather(1, target).unsqueeze(2) - without

    def _score(self, lateral: Tensor, hidden: Tensor, rating: Tensor, prior: Tensor) -> Tensor:
        product = self.product
        rated = product.lateral_gain * self._log(lateral) + product.hidden_gain * self._log(hidden) + prior
        if not product.spread:
            return rated
        # Further below, float32 knows 1 + erf by a few digits only: nothing is disliked more than 3 spreads.
        distance = ((rating - product.threshold) / product.spread).clamp(min=-3)
        return rated + torch.log(0.5 + 0.5 * torch.erf(distance / math.sqrt(2)))

    def _log(self, estimate: Tensor) -> Tensor:
        return torch.log(functional.softplus(estimate, beta=SHARPNESS) + self.product.floor)
