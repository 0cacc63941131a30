"""Restricted Boltzmann machines for recommendation, trained by contrastive divergence.

Energy E(v, h) = -a.v - b.h - v'Wh; p(h_j = 1 | v) = sigma(b_j + v.W_j), p(v_i | h) from the logits
a_i + W_i.h; free energy F(v) = -a.v - sum_j softplus(b_j + v.W_j), so p(v) = exp(-F(v)) / Z.

CD-k (Hinton, "Training products of experts by minimizing contrastive divergence", 2002): run k
steps of Gibbs sampling from the data v0 to vk and follow v0 p(h|v0)' - vk p(h|vk)'. That is the
gradient of F(vk) - F(v0) with the samples held fixed, so the loss below is mean F(v0) - F(vk).

Two machines, one job each, exported as one graph:

- `Rbm` ranks. Two binary visible units an item, "rated" and "liked"; an unrated item's units are 0.
  Which items somebody rates says most about what they will like.
- `SoftmaxRbm` predicts ratings (Salakhutdinov, Mnih, Hinton, "Restricted Boltzmann machines for
  collaborative filtering", ICML 2007): a softmax unit over the levels for each rated item; an item
  without a rating has no unit.

A user enters by one upward pass over the own ratings (fold-in): there is no table of users.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from training.data.ratings import RatingData
from training.learners.learner import Batch, Export, Losses
from training.learners.recommender import Recommender
from training.settings import Settings


class RbmSettings(Settings):
    hidden: Annotated[int, Field(ge=1, description="hidden units of the machine that ranks")] = 250
    rating_hidden: Annotated[int, Field(ge=1, description="hidden units of the machine that predicts ratings")] = 100
    rating_learning_rate: Annotated[float, Field(gt=0, description="highest rate of the latter")] = 0.05
    gibbs_steps: Annotated[int, Field(ge=1, description="k of CD-k")] = 1
    momentum: Annotated[float, Field(ge=0, lt=1, description="of both optimisers")] = 0.9
    weight_decay: Annotated[float, Field(ge=0, description="of the weights, not of the biases")] = 1e-4


class Rbm(nn.Module):
    """Binary visible units [B,V], binary hidden units [B,H]."""

    def __init__(self, visible: int, hidden: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.01 * torch.randn(visible, hidden))
        self.visible_bias = nn.Parameter(torch.zeros(visible))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))

    def free_energy(self, visible: Tensor) -> Tensor:
        """F(v) [B]."""
        return -visible @ self.visible_bias - functional.softplus(self.hidden_logits(visible)).sum(dim=1)

    def hidden_logits(self, visible: Tensor) -> Tensor:
        return self.hidden_bias + visible @ self.weight

    def visible_logits(self, hidden: Tensor) -> Tensor:
        return self.visible_bias + hidden @ self.weight.T

    def sample_visible(self, logits: Tensor, present: Tensor) -> Tensor:
        """A draw of v given the logits; units that are not `present` [B,V] stay 0."""
        return torch.bernoulli(torch.sigmoid(logits)) * present

    @torch.no_grad()
    def gibbs(self, visible: Tensor, present: Tensor, steps: int) -> Tensor:
        """`steps` times v -> h -> v, all sampled."""
        for _ in range(steps):
            hidden = torch.bernoulli(torch.sigmoid(self.hidden_logits(visible)))
            visible = self.sample_visible(self.visible_logits(hidden), present)
        return visible

    def contrastive_divergence(self, visible: Tensor, present: Tensor, steps: int) -> Tensor:
        """The scalar whose gradient is the negative CD-k update. See the module's docstring."""
        chain = self.gibbs(visible, present, steps)
        return (self.free_energy(visible) - self.free_energy(chain)).mean()


class SoftmaxRbm(Rbm):
    """Visible units in groups of `levels`, of which at most one is on: [B, items * levels]."""

    def __init__(self, items: int, levels: int, hidden: int) -> None:
        super().__init__(items * levels, hidden)
        self.levels = levels

    def sample_visible(self, logits: Tensor, present: Tensor) -> Tensor:
        noise = -torch.empty_like(logits).exponential_().log()  # Gumbel: the largest sum is a draw of the softmax
        groups = (logits + noise).view(len(logits), -1, self.levels)
        drawn = functional.one_hot(groups.argmax(dim=2), self.levels).to(logits.dtype)
        return drawn.flatten(1) * present


class Score(nn.Module):
    """item_index int32 [B,N] (-1 pads) and rating [B,N] -> score [B,I], predicted_rating [B,I]."""

    def __init__(self, ranker: Rbm, rater: SoftmaxRbm, levels: tuple[float, ...], liked: float) -> None:
        super().__init__()
        self.ranker, self.rater, self.liked = ranker, rater, liked
        self.register_buffer("level", torch.tensor(levels))
        self.level: Tensor

    def forward(self, item_index: Tensor, rating: Tensor) -> tuple[Tensor, Tensor]:
        given = (item_index >= 0).float().unsqueeze(2)
        item = item_index.clamp(min=0).long()
        likes = (rating >= self.liked).float().unsqueeze(2)
        rated_rows, liked_rows = self.ranker.weight.chunk(2)
        seen = (functional.embedding(item, rated_rows) + likes * functional.embedding(item, liked_rows)) * given
        hidden = torch.sigmoid(self.ranker.hidden_bias + seen.sum(dim=1))
        score = self.ranker.visible_bias.chunk(2)[1] + hidden @ liked_rows.T

        levels = len(self.level)
        nearest = (rating.unsqueeze(2) - self.level).abs().argmin(dim=2)
        heard = functional.embedding(item * levels + nearest, self.rater.weight) * given
        opinion = torch.sigmoid(self.rater.hidden_bias + heard.sum(dim=1))
        logits = self.rater.visible_logits(opinion).view(-1, score.shape[1], levels)
        return score, torch.softmax(logits, dim=2) @ self.level


class MovieRbm(Recommender[RbmSettings]):
    """Trains both machines on the same users."""

    family = "restricted-boltzmann-machine"

    def __init__(self, settings: RbmSettings, data: RatingData) -> None:
        super().__init__(settings, data)
        count, levels = len(data.items), len(data.levels)
        self.ranker = Rbm(2 * count, settings.hidden)
        self.rater = SoftmaxRbm(count, levels, settings.rating_hidden)
        self.level = torch.from_numpy(np.searchsorted(np.array(data.levels, np.float32), data.train.rating))
        self._start_biases()

    @torch.no_grad()
    def _start_biases(self) -> None:
        """Visible biases at the data's own logits, so that hidden units need not learn what is common (Hinton 2010)."""
        train, count, levels = self.data.train, len(self.data.items), len(self.data.levels)
        for half, rows in enumerate((self.item, self.item[self.liked])):
            share = (torch.bincount(rows, minlength=count) + 0.5) / (train.users + 1)
            self.ranker.visible_bias[half * count : (half + 1) * count] = torch.logit(share)
        cells = torch.bincount(self.item * levels + self.level, minlength=count * levels)
        overall = cells.view(count, levels).sum(dim=0, keepdim=True) / len(train.item)
        # A level that nobody gave starts improbable, not impossible.
        self.rater.visible_bias.copy_((cells.view(count, levels) + 10 * overall).clamp(min=1e-3).log().flatten())

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Momentum and weight decay for both. A rating unit exists for few users: Adam paces each by itself."""
        settings = self.settings

        def groups(machine: Rbm) -> list[dict[str, Any]]:
            decayed = {"params": [machine.weight], "weight_decay": settings.weight_decay}
            return [decayed, {"params": [machine.visible_bias, machine.hidden_bias], "weight_decay": 0.0}]

        return {
            "ranking": torch.optim.SGD(groups(self.ranker), lr=settings.learning_rate, momentum=settings.momentum),
            "rating": torch.optim.AdamW(
                groups(self.rater), lr=settings.rating_learning_rate, betas=(settings.momentum, 0.999)
            ),
        }

    def draw(self) -> Batch:
        """Users as "rated" and "liked" units [B,2I], and as levels one-hot [B,I*K]."""
        count, levels = len(self.data.items), len(self.data.levels)
        row, cells = self.draw_users()
        item, liked = self.item[cells], self.liked[cells]
        rated = torch.zeros(self.settings.batch_size, 2 * count)
        rated[row, item] = 1
        rated[row[liked], count + item[liked]] = 1
        level = torch.zeros(self.settings.batch_size, count * levels)
        level[row, item * levels + self.level[cells]] = 1
        return rated.to(self.device), level.to(self.device)

    def losses(self, phase: str, batch: Batch, progress: float) -> Losses:
        """The CD loss of one of the machines."""
        rated, level = batch
        if phase == "ranking":
            machine, visible, present = self.ranker, rated, torch.ones_like(rated)
        else:
            present = (
                level.view(len(level), -1, self.rater.levels).sum(dim=2).repeat_interleave(self.rater.levels, dim=1)
            )
            machine, visible = self.rater, level
        return {"loss": machine.contrastive_divergence(visible, present, self.settings.gibbs_steps)}

    def exports(self) -> dict[str, Export]:
        module = Score(self.ranker, self.rater, self.data.levels, self.data.liked)
        return {"score": Export(module, self.examples(), {"score": 1e-3, "predicted_rating": 1e-3})}
