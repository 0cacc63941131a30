"""Autoencoders for recommendation: a user's vector in, the same vector with its gaps filled out.

Two of them, one job each, exported as one graph:

- `rater` is U-AutoRec (Sedhain, Menon, Sanner, Xie, "AutoRec: autoencoders meet collaborative
  filtering", WWW 2015): h(r) = W sigmoid(V r + mu) + b, with the squared error taken over the
  ratings that are there. The vector holds a rating's distance from the mean of its item, and 0
  where there is none.
- `ranker` has the same form, W tanh(V x + mu) + b, for x of 0 and 1: two values an item, "rated"
  and "liked", scaled to length 1. Its output is a softmax over the items, and its loss the
  multinomial log-likelihood of what was liked (Liang, Krishnan, Hoffman, Jebara, "Variational
  autoencoders for collaborative filtering", WWW 2018, the Mult-DAE).

Both see a random part of a user and answer for the whole (the denoising criterion, Vincent et al. 2008).
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from training.data.ratings import RatingData
from training.learners.learner import Batch, Export, Losses
from training.learners.recommender import Recommender
from training.settings import Settings


class AutorecSettings(Settings):
    hidden: Annotated[int, Field(ge=1, description="hidden units of the autoencoder that ranks")] = 100
    rating_hidden: Annotated[int, Field(ge=1, description="hidden units of the one that predicts ratings")] = 100
    rating_learning_rate: Annotated[float, Field(gt=0, description="highest rate of the latter")] = 1e-3
    weight_decay: Annotated[float, Field(ge=0, description="of the weights of both, not of the biases")] = 0.01
    dropout: Annotated[float, Field(ge=0, lt=1, description="most of a user's ratings that are hidden")] = 0.5


class Autoencoder(nn.Module):
    """One hidden layer; rows of `encoder` [V,H] belong to inputs, rows of `decoder` [I,H] to outputs."""

    def __init__(self, visible: int, outputs: int, hidden: int) -> None:
        super().__init__()
        self.encoder = nn.Parameter(torch.randn(visible, hidden) / hidden**0.5)
        self.decoder = nn.Parameter(torch.randn(outputs, hidden) / hidden**0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.output_bias = nn.Parameter(torch.zeros(outputs))

    def decode(self, hidden: Tensor) -> Tensor:
        """Hidden units [B,H] -> outputs [B,I]."""
        return self.output_bias + hidden @ self.decoder.T


class Score(nn.Module):
    """item_index int32 [B,N] (-1 pads) and rating [B,N] -> score [B,I], predicted_rating [B,I]."""

    def __init__(self, ranker: Autoencoder, rater: Autoencoder, item_mean: Tensor, liked: float) -> None:
        super().__init__()
        self.ranker, self.rater, self.liked = ranker, rater, liked
        self.register_buffer("item_mean", item_mean)
        self.item_mean: Tensor

    def forward(self, item_index: Tensor, rating: Tensor) -> tuple[Tensor, Tensor]:
        given = (item_index >= 0).to(rating.dtype).unsqueeze(2)
        item = item_index.clamp(min=0).long()
        likes = (rating >= self.liked).to(rating.dtype).unsqueeze(2) * given
        rated_rows, liked_rows = self.ranker.encoder.chunk(2)
        seen = given * functional.embedding(item, rated_rows) + likes * functional.embedding(item, liked_rows)
        length = (given + likes).sum(dim=1).clamp(min=1).sqrt()
        score = self.ranker.decode(torch.tanh(self.ranker.hidden_bias + seen.sum(dim=1) / length))

        off = (rating - self.item_mean[item]).unsqueeze(2) * given
        heard = (off * functional.embedding(item, self.rater.encoder)).sum(dim=1)
        return score, self.item_mean + self.rater.decode(torch.sigmoid(self.rater.hidden_bias + heard))


class MovieAutorec(Recommender[AutorecSettings]):
    """Trains both autoencoders on the same users."""

    family = "autoencoder"
    explains = False

    def __init__(self, settings: AutorecSettings, data: RatingData) -> None:
        super().__init__(settings, data)
        count = len(data.items)
        self.ranker = Autoencoder(2 * count, count, settings.hidden)
        self.rater = Autoencoder(count, count, settings.rating_hidden)
        seen = torch.bincount(self.item, minlength=count)
        centre = self.rating.mean()
        mean = centre + torch.bincount(self.item, self.rating - centre, minlength=count) / (seen + 5)  # shrunk to all's
        self.register_buffer("item_mean", mean.float())
        self.item_mean: Tensor
        with torch.no_grad():
            liked = torch.bincount(self.item[self.liked], minlength=count) + 0.5
            self.ranker.output_bias.copy_((liked / liked.sum()).log())

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam with weight decay for each."""
        settings = self.settings
        rates = {"ranking": settings.learning_rate, "rating": settings.rating_learning_rate}
        return {
            name: torch.optim.AdamW(
                [
                    {"params": [machine.encoder, machine.decoder], "weight_decay": settings.weight_decay},
                    {"params": [machine.hidden_bias, machine.output_bias], "weight_decay": 0.0},
                ],
                lr=rates[name],
            )
            for name, machine in (("ranking", self.ranker), ("rating", self.rater))
        }

    def draw(self) -> Batch:
        """Users as "rated" and "liked" values [B,2I], as distances from the item's mean [B,I], and what is kept [B,I].

        Of each user a random share of the ratings, up to `dropout`, is hidden.
        """
        rows, count = self.settings.batch_size, len(self.data.items)
        row, cells = self.draw_users()
        item, liked = self.item[cells], self.liked[cells]
        units, off = torch.zeros(rows, 2 * count), torch.zeros(rows, count)
        units[row, item] = 1
        units[row[liked], count + item[liked]] = 1
        off[row, item] = self.rating[cells] - self.item_mean.cpu()[item]
        kept = (torch.rand(rows, count) >= torch.rand(rows, 1) * self.settings.dropout).float()
        return tuple(part.to(self.device) for part in (units, off, kept))

    def losses(self, phase: str, batch: Batch, progress: float) -> Losses:
        """Nats a liked item, or the mean squared error of the ratings that are there."""
        units, off, kept = batch
        rated, liked = units.chunk(2, dim=1)
        if phase == "ranking":
            shown = functional.normalize(units * kept.repeat(1, 2))
            hidden = torch.tanh(self.ranker.hidden_bias + shown @ self.ranker.encoder)
            likelihood = functional.log_softmax(self.ranker.decode(hidden), dim=1)
            return {"loss": -(likelihood * liked).sum() / liked.sum().clamp(min=1)}
        hidden = torch.sigmoid(self.rater.hidden_bias + (off * kept) @ self.rater.encoder)
        error = (self.rater.decode(hidden) - off).square() * rated
        return {"loss": error.sum() / rated.sum()}

    def exports(self) -> dict[str, Export]:
        module = Score(self.ranker, self.rater, self.item_mean, self.data.liked)
        return {"score": Export(module, self.examples(), {"score": 1e-3, "predicted_rating": 1e-3})}
