"""Histories as exported graphs take them, and what becomes of them when one rating is left out."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from training.learners.operators import one_if_any


@dataclass(frozen=True)
class Histories:
    """Ratings of B users, padded to N: item int64 (any where none is given), rating, and given and liked, 0 or 1."""

    item: Tensor
    rating: Tensor
    given: Tensor
    liked: Tensor

    @classmethod
    def read(cls, item_index: Tensor, rating: Tensor, liked: float) -> Histories:
        """From the graph's inputs: item_index int32 [B,N], where -1 pads, and rating [B,N]."""
        given = (item_index >= 0).to(rating.dtype)
        return cls(item_index.clamp(min=0).long(), rating, given, given * (rating >= liked).to(rating.dtype))

    @property
    def count(self) -> Tensor:
        """Ratings given [B,1]."""
        return self.given.sum(dim=1, keepdim=True)

    def left_out(self, target: Tensor) -> Histories:
        """What is to be left out of these histories, one at a time: each rating [B,N], or nothing [B,0].

        The latter where there are no targets [B,K]: then nobody asks what ratings add, and it costs nothing.
        """
        each = self.item.shape[1] * one_if_any(target.shape[1])
        return Histories(self.item[:, :each], self.rating[:, :each], self.given[:, :each], self.liked[:, :each])
