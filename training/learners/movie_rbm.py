"""movies-rbm: what somebody rates next, times whether they will like it. See `score.py` for how the parts combine.

- `rater`, machine of Gaussian hidden units: sampled before the first step (`gaussian.py`, `gibbs.py`);
- `lateral`, weights between items: in closed form, before the first step (`lateral.py`);
- `machine`, the restricted Boltzmann machine of what people rate: contrastive divergence, step by step (`rbm.py`).

A user enters by the own ratings (fold-in): there is no table of users.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from training.data.ratings import RatingData
from training.learners import gaussian, lateral
from training.learners.gaussian import GaussianMachine, GaussianSettings
from training.learners.histories import Histories
from training.learners.lateral import Lateral
from training.learners.learner import Batch, Export, Losses
from training.learners.rbm import Rated, Rbm
from training.learners.recommender import Recommender
from training.learners.score import HiddenExpert, LateralExpert, Product, Score

TYPICAL = 40
"""Histories by which the steps of the solver are set."""


class MovieRbmSettings(GaussianSettings):
    hidden: Annotated[int, Field(ge=1, description="hidden units of the machine of what people rate")] = 64
    rated_strength: Annotated[float, Field(ge=1, description="of a rated item, if that of another is 1")] = 2.2
    liked_strength: Annotated[float, Field(ge=1, description="of a liked one")] = 5.0
    gibbs_steps: Annotated[int, Field(ge=1, description="k of CD-k")] = 1
    bias_learning_rate: Annotated[float, Field(gt=0, description="highest rate of the visible biases")] = 0.02
    frequent_least: Annotated[int, Field(ge=1, description="ratings that give an item lateral weights")] = 60
    frequent_most: Annotated[int, Field(ge=1, description="items that have lateral weights at most")] = 2200
    lateral_ridge: Annotated[float, Field(gt=0, description="ridge of the lateral weights")] = 80.0
    lateral_dropout: Annotated[float, Field(ge=0, lt=1, description="of the inputs of the lateral weights")] = 0.3
    lateral_gain: Annotated[float, Field(ge=0, description="of the lateral expert; 0 leaves it out")] = 0.9
    hidden_gain: Annotated[float, Field(ge=0, description="of the hidden expert; 0 leaves it out")] = 0.4
    prior_gain: Annotated[
        float, Field(ge=0, description="of how often an item is rated at all, which the lateral weights know already")
    ] = 0.0
    prior_ratings: Annotated[
        float, Field(gt=0, description="told ratings at which they know it for three quarters; with none, not at all")
    ] = 10.0
    floor: Annotated[float, Field(gt=0, description="least probability that an expert gives an item")] = 0.01
    spread: Annotated[
        float, Field(ge=0, description="of a liking around its prediction, in deviations of ratings; 0 leaves it out")
    ] = 1.35


class MovieRbm(Recommender[MovieRbmSettings]):
    """See the module's docstring."""

    family = "restricted-boltzmann-machine"
    explains = True
    # Gains suit an expert that is alone. The lateral weights know how popular an item is; without them the prior tells.
    ablations: ClassVar[Mapping[str, Mapping[str, float]]] = {
        "this model without lateral weights": {"lateral_gain": 0.0, "hidden_gain": 1.3, "prior_gain": 0.5},
        "this model without its RBM": {"lateral_gain": 1.3, "hidden_gain": 0.0},
        "this model without p(liked)": {"spread": 0.0},
    }

    def __init__(self, settings: MovieRbmSettings, data: RatingData) -> None:
        super().__init__(settings, data)
        count = len(data.items)
        self.machine = Rbm(count, settings.hidden, settings.rated_strength, settings.liked_strength)
        self.rater = GaussianMachine(settings, data)
        frequent = lateral.frequent_items(data.train, count, settings.frequent_least, settings.frequent_most)
        size = len(frequent)
        self.register_buffer("frequent", torch.from_numpy(frequent))
        self.register_buffer("lateral", torch.zeros(2 * size, size, dtype=torch.int8))
        self.register_buffer("lateral_scale", torch.ones(size))
        self.frequent: Tensor
        self.lateral: Tensor
        self.lateral_scale: Tensor

    @torch.no_grad()
    def prepare(self) -> None:
        """Sample the rater, fit the lateral weights, and start the biases where the data are."""
        settings, data = self.settings, self.data
        gaussian.fit(self.rater, settings, data, quiet=not sys.stderr.isatty())
        weight = lateral.fit(
            data.train, data.liked, self.frequent.cpu().numpy(), settings.lateral_ridge, settings.lateral_dropout
        )
        quantised, scale = lateral.quantise(weight)
        self.lateral.copy_(quantised)
        self.lateral_scale.copy_(scale)
        # With hidden units that expect nothing, each item is rated and liked as often as it was (Hinton, "A practical
        # guide to training restricted Boltzmann machines", 2010).
        often = torch.bincount(2 * self.item + self.liked, minlength=2 * len(data.items)).view(-1, 2)
        rest = data.train.users - often.sum(dim=1, keepdim=True)
        strength = self.machine.strength(torch.tensor([0.0, 1.0]))
        self.machine.bias.copy_(((often + 0.5) / (rest + 0.5)).log() + strength / 2)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam, with a rate for the weights and one for the biases."""
        settings = self.settings
        groups = [
            {"params": [self.machine.weight], "lr": settings.learning_rate},
            {"params": [self.machine.bias], "lr": settings.bias_learning_rate},
        ]
        return {"ranking": torch.optim.Adam(groups, betas=(0.9, 0.99))}

    def draw(self) -> Batch:
        """Of random users: rows 0 to batch_size, items and whether they are liked [R]."""
        row, cells = self.draw_users()
        return tuple(part.to(self.device) for part in (row, self.item[cells], self.liked[cells]))

    def losses(self, phase: str, batch: Batch, progress: float) -> Losses:
        """The CD loss."""
        visible = Rated(self.settings.batch_size, *batch)
        return {"loss": self.machine.contrastive_divergence(visible, self.settings.gibbs_steps)}

    def typical(self) -> list[Histories]:
        """Histories of training: of users from the one with the fewest ratings to the one with the most."""
        by_count = self.count.argsort(stable=True)
        chosen = by_count[torch.linspace(0, len(by_count) - 1, TYPICAL).long()].unique()
        cells = [
            slice(start, start + count) for start, count in zip(self.start[chosen], self.count[chosen], strict=True)
        ]
        return [Histories.read(self.item[None, cell], self.rating[None, cell], self.data.liked) for cell in cells]

    def exports(self) -> dict[str, Export]:
        settings, data = self.settings, self.data
        below = [level for level in data.levels if level < data.liked]
        product = Product(
            settings.lateral_gain,
            settings.hidden_gain,
            settings.prior_gain,
            settings.floor,
            threshold=(data.liked + below[-1]) / 2 if below else data.liked,
            spread=settings.spread * float(data.train.rating.std()) if below and data.rated else 0.0,
        )
        share = (torch.bincount(self.item, minlength=len(data.items)) + 0.5) / data.train.users
        lateral = Lateral(self.frequent, self.lateral, self.lateral_scale)
        typical = self.typical()
        self.rater.fit_solver(typical)
        module = Score(
            LateralExpert(lateral, share, settings.prior_ratings),
            HiddenExpert(self.machine, typical),
            self.rater,
            data.liked,
            product,
        )
        tolerance = {"score": 1e-3, "predicted_rating": 1e-3, "gain": 1e-3}
        return {"score": Export(module, self.examples(), tolerance)}
