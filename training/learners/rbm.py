"""A restricted Boltzmann machine of what people rate, trained by contrastive divergence.

An item's visible unit has three states s: not rated, rated, liked. Hidden units h [H] are real. The energy

    E(s, h) = |h|^2 / 2 + 1/2 sum_i c(s_i) (t(s_i) - y_i.h)^2 - sum_i a_i(s_i)

asks y_i.h to be t = 0 where an item is not rated and 1 where it is, and insists the more on it the greater the
strength c of the state is; a is the bias of a state, 0 for "not rated". So

    p(h | s)   = N(A^-1 b, A^-1),  A = 1 + sum_i c(s_i) y_i y_i',  b = sum_i c(s_i) t(s_i) y_i
    p(s_i | h) = softmax over the states of a_i(s) - c(s) (t(s) - y_i.h)^2 / 2
    F(s)       = 1/2 sum_i c(s_i) t(s_i)^2 - b' A^-1 b / 2 + log det(A) / 2 - sum_i a_i(s_i)

up to a constant, and p(s) = exp(-F(s)) / Z. With c alike for all states the hidden units would be those of factor
analysis; with strengths, A depends on what was rated, and the mean of h is what implicit matrix factorisation computes
of a user (Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008).

CD-k (Hinton, "Training products of experts by minimizing contrastive divergence", 2002): run k steps of Gibbs sampling
from the data s0 to sk and follow the gradient of F(sk) - F(s0) with the samples held fixed; the loss is mean
F(s0) - F(sk). Nothing in it runs over all pairs of users and items but the chain's own state, a mini-batch at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Rated:
    """The visible layers of `users` users, without the units that are not rated: user, item int64 and liked bool [R].

    Ordered by user.
    """

    users: int
    user: Tensor
    item: Tensor
    liked: Tensor


class Rbm(nn.Module):
    """`weight` y [I,H] and `bias` a [I,2] of the states rated and liked, whose strengths c are given.

    That of "not rated" is 1.
    """

    def __init__(self, items: int, hidden: int, rated_strength: float, liked_strength: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.005 * torch.randn(items, hidden))
        self.bias = nn.Parameter(torch.zeros(items, 2))
        self.rated_strength, self.liked_strength = rated_strength, liked_strength

    def strength(self, liked: Tensor) -> Tensor:
        """c of items that are rated, from whether they are liked, of the same shape."""
        return self.rated_strength + (self.liked_strength - self.rated_strength) * liked

    def posterior(self, visible: Rated) -> tuple[Tensor, Tensor, Tensor]:
        """Of p(h | s): b [B,H], the lower Cholesky factor of A [B,H,H] and the mean [B,H]."""
        rows = self.weight[visible.item]
        strength = self.strength(visible.liked)[:, None]
        towards = rows.new_zeros(visible.users, rows.shape[1]).index_add(0, visible.user, strength * rows)
        more = ((strength - 1) * rows).split(counts := _counts(visible))  # every item counts as not rated already
        grams = torch.stack([left.T @ right for left, right in zip(more, rows.split(counts), strict=True)])
        unit = torch.eye(rows.shape[1], device=rows.device)
        root = torch.linalg.cholesky(unit + self.weight.T @ self.weight + grams)
        return towards, root, torch.cholesky_solve(towards.unsqueeze(2), root).squeeze(2)

    def free_energy(self, visible: Rated) -> Tensor:
        """F(s) [B]."""
        towards, root, mean = self.posterior(visible)
        units = self.strength(visible.liked) / 2 - self.bias[visible.item, visible.liked.long()]
        own = units.new_zeros(visible.users).index_add(0, visible.user, units)
        return own - (towards * mean).sum(dim=1) / 2 + root.diagonal(dim1=1, dim2=2).log().sum(dim=1)

    def state_logits(self, hidden: Tensor) -> Tensor:
        """Logits of the three states given h [B,H]: [B,I,3]."""
        pull = hidden @ self.weight.T
        off = (1 - pull).square() / 2
        rated, liked = self.bias.unbind(dim=1)
        states = (-pull.square() / 2, rated - self.rated_strength * off, liked - self.liked_strength * off)
        return torch.stack(states, dim=2)

    @torch.no_grad()
    def gibbs(self, visible: Rated, steps: int) -> Rated:
        """`steps` times s -> h -> s, all sampled."""
        for _ in range(steps):
            _, root, mean = self.posterior(visible)
            noise = torch.randn_like(mean).unsqueeze(2)
            hidden = mean + torch.linalg.solve_triangular(root.mT, noise, upper=True).squeeze(2)
            logits = self.state_logits(hidden)
            gumbel = -torch.empty_like(logits).exponential_().log()  # the largest sum is a draw of the softmax
            state = (logits + gumbel).argmax(dim=2)
            user, item = state.nonzero(as_tuple=True)
            visible = Rated(visible.users, user, item, state[user, item] == 2)
        return visible

    def contrastive_divergence(self, visible: Rated, steps: int) -> Tensor:
        """The scalar whose gradient is the negative CD-k update. See the module's docstring."""
        chain = self.gibbs(visible, steps)
        return (self.free_energy(visible) - self.free_energy(chain)).mean()


def _counts(visible: Rated) -> list[int]:
    return torch.bincount(visible.user, minlength=visible.users).tolist()
