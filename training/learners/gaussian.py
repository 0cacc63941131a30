"""A Boltzmann machine with Gaussian hidden units that predicts ratings: Bayesian matrix factorisation.

Visible units are the ratings that a user gave, hidden units the user's factors u [R]; the energy is

    E(r, u) = |u - m|^2 / 2 + sum_j a_j (r_j - u.v_j)^2 / 2

over the rated items j, so that both conditionals are Gaussian (factor analysis). The hidden units' joint posterior
mean solves (1 + sum_j a_j v_j v_j') u = m + sum_j a_j r_j v_j: the mean field of the machine at its fixed point,
reached by conjugate gradients. The prior mean m is linear in which items were rated.

Weights are several posterior samples (`training.learners.gibbs`), and the prediction is the mean over them. Each
sample's factors are turned so that the prior is the unit Gaussian and the items' Gram matrix, items counted as often
as they were rated, diagonal: then the diagonal alone preconditions well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import Annotated, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse
from scipy.sparse.linalg import svds
from torch import Tensor, nn
from torch.nn import functional

from training.data.ratings import RatingData, Ratings
from training.learners import fold_in
from training.learners.fold_in import System
from training.learners.gibbs import Draw, sample
from training.learners.histories import Histories
from training.settings import Settings

SHRINKAGE = 40.0
"""Ratings of which it takes this many until which items they are of counts for half: a few say little."""
MOST_ENTRIES, LEAST_SHARED = 100, 5
"""Entries of a list attribute that tell of an item, and the items that must have one: its own title tells nothing."""


class GaussianSettings(Settings):
    rating_hidden: Annotated[int, Field(ge=1, description="Gaussian hidden units of each posterior sample")] = 30
    projections: Annotated[int, Field(ge=1, description="singular vectors of the rated mask as features")] = 60
    chains: Annotated[int, Field(ge=1, description="Gibbs samplers, each from a random start of its own")] = 2
    burn_in: Annotated[int, Field(ge=0, description="first sweeps of a chain, of which no sample is kept")] = 20
    samples: Annotated[int, Field(ge=1, description="kept of each chain; predictions are averaged over all")] = 8
    spacing: Annotated[int, Field(ge=1, description="sweeps from one sample to the next")] = 10


class GaussianMachine(nn.Module):
    """Buffers only: `fit` fills them."""

    def __init__(self, settings: GaussianSettings, data: RatingData) -> None:
        super().__init__()
        items, samples, rank = len(data.items), settings.chains * settings.samples, settings.rating_hidden
        # No more than the mask has singular vectors to spare.
        features = max(1, min(settings.projections, data.train.users - 1, items - 1))
        for name, shape in {
            "factor": (items, samples, rank),
            "projection": (items, features),
            "projection_mean": (features,),
            "prior_weight": (samples, features, rank),
            "prior_bias": (samples, 1, rank),
            "root_precision": (items, samples),
            "centre": (),
            "scale": (),
            "inverse_scale": (),
        }.items():
            self.register_buffer(name, torch.zeros(shape))
        self.factor: Tensor
        self.projection: Tensor
        self.projection_mean: Tensor
        self.prior_weight: Tensor
        self.prior_bias: Tensor
        self.root_precision: Tensor
        self.centre: Tensor
        self.scale: Tensor
        self.inverse_scale: Tensor
        self.steps = 2 * rank
        """Of the solver."""

    def fit_solver(self, typical: Iterable[Histories]) -> None:
        """Take as many steps as the solver needs for `typical` histories."""
        self.steps = fold_in.steps(map(self.system, typical))

    def system(self, told: Histories) -> System:
        """What the posterior means of the hidden units [B,S,1,R] solve."""
        seen, moment, gram = self._sums(told)
        return System(gram, self._prior(seen, told.count.unsqueeze(2)) + moment)

    def forward(self, told: Histories, left: Histories) -> tuple[Tensor, Tensor]:
        """Posterior means of the hidden units: [B,S,1,R] from what is `told`, [B,S,M,R] without one of `left` [B,M]."""
        seen, moment, gram = self._sums(told)
        count = told.count.unsqueeze(2)
        left_unit, left_value = self._terms(left)
        left_seen = left.given.unsqueeze(2) * functional.embedding(left.item, self.projection)
        left_prior = self._prior(seen - left_seen, count - left.given.unsqueeze(2))
        system = System(gram, self._prior(seen, count) + moment)
        return fold_in.means(system, left_unit, left_prior + moment - left_unit * left_value, self.steps)

    def _sums(self, told: Histories) -> tuple[Tensor, Tensor, Tensor]:
        """Over the ratings: projected mask [B,1,F], precision times rating [B,S,1,R] and precision [B,S,R,R]."""
        unit, value = self._terms(told)
        seen = (told.given.unsqueeze(2) * functional.embedding(told.item, self.projection)).sum(dim=1, keepdim=True)
        return seen, (unit * value).sum(dim=2, keepdim=True), unit.mT @ unit

    def _prior(self, seen: Tensor, count: Tensor) -> Tensor:
        """Prior means [B,S,M,R] from projected masks [B,M,F] of `count` [B,M,1] ones."""
        features = (seen / count.clamp(min=1).sqrt() - self.projection_mean) * (count / (count + SHRINKAGE))
        return features.unsqueeze(1) @ self.prior_weight + self.prior_bias

    def ratings(self, hidden: Tensor) -> Tensor:
        """Predicted ratings of all items [B,I] from hidden units [B,S,R]."""
        return self._rating(hidden.flatten(1) @ self.factor.flatten(1).T)

    def ratings_of(self, target: Tensor, hidden: Tensor) -> Tensor:
        """Predicted ratings [B,K,M] of the items `target` [B,K] from hidden units [B,S,M,R]."""
        return self._rating((self._factors(target) @ hidden.mT).sum(dim=1))

    def _factors(self, item: Tensor) -> Tensor:
        """Of items [B,N], for every sample: [B,S,N,R]."""
        rows = functional.embedding(item, self.factor.flatten(1))
        return rows.unflatten(2, self.factor.shape[1:]).transpose(1, 2)

    def _rating(self, summed: Tensor) -> Tensor:
        return self.centre + self.scale / len(self.factor[0]) * summed

    def _terms(self, told: Histories) -> tuple[Tensor, Tensor]:
        """Factors [B,S,N,R] and ratings [B,S,N,1] in units of the noise."""
        root = functional.embedding(told.item, self.root_precision) * told.given.unsqueeze(2)
        root = root.transpose(1, 2).unsqueeze(3)
        value = (told.rating - self.centre) * self.inverse_scale
        return root * self._factors(told.item), root * value.unsqueeze(1).unsqueeze(3)


def fit(machine: GaussianMachine, settings: GaussianSettings, data: RatingData, *, quiet: bool = False) -> None:
    """Sample the posterior and put it into `machine`, rounded to float16, which is how versions store it."""
    train = data.train
    centre, scale = float(train.rating.mean(dtype=np.float64)), float(train.rating.std(dtype=np.float64))
    machine.centre.fill_(centre)
    if not data.rated:
        return  # what never varied is predicted as it always was
    standard = Ratings(train.user, train.item, ((train.rating - centre) / scale).astype(np.float32))
    users, items, projection, mean = _features(data, machine.projection.shape[1])
    draws: list[Draw] = []
    for _ in range(settings.chains):
        draws += sample(
            standard,
            users,
            items,
            rank=settings.rating_hidden,
            burn_in=settings.burn_in,
            samples=settings.samples,
            spacing=settings.spacing,
            quiet=quiet,
        )
    often = torch.from_numpy(np.bincount(train.item, minlength=len(data.items)))
    for place, draw in enumerate(draws):
        item, weight = _whitened(draw, often)
        machine.factor[:, place] = item
        machine.prior_bias[place, 0], machine.prior_weight[place] = weight[0], weight[1:]
        machine.root_precision[:, place] = draw.noise.sqrt()
    machine.projection.copy_(projection)
    machine.projection_mean.copy_(mean)
    for buffer in machine.buffers():
        buffer.copy_(buffer.half().float())
    machine.centre.fill_(centre)
    machine.scale.fill_(scale)
    machine.inverse_scale.fill_(1 / scale)


def _whitened(draw: Draw, often: Tensor) -> tuple[Tensor, Tensor]:
    """Item factors and prior weights after the turn of the hidden units that the module's docstring tells of."""
    lower = torch.linalg.cholesky(draw.precision.double())
    item = torch.linalg.solve_triangular(lower, draw.item.double().T, upper=False).T
    _, turn = torch.linalg.eigh(item.T @ (often[:, None] * item))
    return item @ turn, draw.weight.double() @ lower @ turn


def _features(data: RatingData, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features of users [U,1+F] and items [I,G], a constant first, and the projection [I,F] and mean [F] of the former.

    A user is told by the own history alone, an item also by its attributes and how often it was rated.
    """
    train = data.train
    mask = sparse.csr_array((np.ones(len(train.user)), (train.user, train.item)), (train.users, len(data.items)))
    users, projection, mean = _projections(mask, count)
    items, _, _ = _projections(mask.T.tocsr(), count)
    often = _centred(np.log(mask.sum(axis=0))[:, None])
    return (
        _constant(users),
        _constant(np.hstack([items, _described(data), often])),
        torch.from_numpy(projection),
        torch.from_numpy(mean),
    )


def _projections(mask: sparse.csr_array, count: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Rows of a 0/1 matrix, scaled to length 1, on their first right singular vectors.

    Returns features [rows, count], centred, of mean square near 1 and shrunk in rows of few ones, and the
    projection [columns, count] and mean [count] that make them.
    """
    ones = mask.sum(axis=1)
    unit = sparse.diags_array(ones**-0.5) @ mask
    start = torch.randn(min(unit.shape), dtype=torch.float64).numpy()
    _, singular, right = cast(Any, svds(unit, k=count, v0=start))
    inverse = np.divide(1, singular, out=np.zeros_like(singular), where=singular > 1e-3 * singular.max())
    projection = right.T * inverse * len(ones) ** 0.5
    features = unit @ projection
    mean = features.mean(axis=0)
    return (features - mean) * (ones / (ones + SHRINKAGE))[:, None], projection, mean


def _described(data: RatingData) -> NDArray[np.float64]:
    """Attributes as columns [I,A], centred, of mean square 1: an indicator an entry of a list, a number and its square.

    Of the entries that several items share, those are taken that most do. A missing number is the mean.
    """
    columns: list[NDArray[np.float64]] = []
    for name, kind in data.attributes.items():
        values = [item.attributes.get(name) for item in data.items]
        if kind == "list":
            lists = [value if isinstance(value, tuple) else () for value in values]
            shared = Counter(chain(*map(set, lists)))
            telling = sorted((-items, entry) for entry, items in shared.items() if items >= LEAST_SHARED)
            for _, entry in telling[:MOST_ENTRIES]:
                columns.append(np.array([entry in value for value in lists], float))
        else:
            known = np.array([isinstance(value, (int, float)) for value in values])
            number = np.zeros(len(values))
            number[known] = _centred(np.array([value for value in values if isinstance(value, (int, float))], float))
            columns.extend((number, number**2))
    return _centred(np.stack(columns, axis=1)) if columns else np.zeros((len(data.items), 0))


def _centred(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each column less its mean, over its standard deviation where it has any."""
    away = columns - columns.sum(axis=0) / max(1, len(columns))
    spread = np.sqrt((away**2).sum(axis=0) / max(1, len(columns)))
    return away / np.where(spread > 0, spread, 1)


def _constant(features: NDArray[np.float64]) -> Tensor:
    """A column of ones before the features."""
    return torch.from_numpy(np.hstack([np.ones((len(features), 1)), features]).astype(np.float32))
