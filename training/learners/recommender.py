"""What recommenders share: users drawn from the ratings, the graph's tensors, the task and its items."""

from __future__ import annotations

from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from models import items
from models.manifest import Recommend
from training.data.ratings import RatingData
from training.learners.learner import Batch, Learner
from training.settings import Settings

SettingsT = TypeVar("SettingsT", bound=Settings)


class Recommender(Learner[SettingsT]):
    """Trains on the users of `data`. Every version exports one graph, `score`."""

    explains: ClassVar[bool]
    """Whether that graph tells what each rating adds to a score."""

    def __init__(self, settings: SettingsT, data: RatingData) -> None:
        super().__init__(settings, data.sha256)
        self.data = data
        self.count = torch.bincount(torch.from_numpy(data.train.user))
        self.start = self.count.cumsum(0) - self.count
        """Number [U] of each user's ratings, and the place in the table of the first of them."""
        self.item = torch.from_numpy(data.train.item)
        self.rating = torch.from_numpy(data.train.rating)
        self.liked = torch.from_numpy(data.train.rating >= data.liked)

    def draw_users(self) -> tuple[Tensor, Tensor]:
        """The rows (0 to batch_size) and the places in the table of all ratings of random users, both int64 [R]."""
        chosen = torch.randint(len(self.count), (self.settings.batch_size,))
        count = self.count[chosen]
        rows = torch.repeat_interleave(torch.arange(len(chosen)), count)
        step = torch.arange(len(rows)) - (count.cumsum(0) - count)[rows]
        return rows, self.start[chosen][rows] + step

    def examples(self) -> list[Batch]:
        """Inputs of `score`: item_index int32 [B,N] (-1 pads), rating [B,N] and, if it explains, target int32 [B,K]."""
        low, high, count = self.data.levels[0], self.data.levels[-1], len(self.data.items)

        def example(rows: int, length: int, targets: int) -> Batch:
            item = torch.stack([torch.randperm(count)[:length] for _ in range(rows)]).to(torch.int32)
            rating = low + torch.rand(item.shape) * (high - low)
            item[-1, item.shape[1] // 2 :] = -1
            inputs = (item, rating, torch.randint(count, (rows, targets), dtype=torch.int32))
            return inputs if self.explains else inputs[:2]

        return [example(2, 7, 3), example(3, 9, 0), example(1, 1, 1), example(5, 40, 2)]

    def tasks(self) -> tuple[Recommend, ...]:
        return (
            Recommend.declare(
                {"score": 64},
                items=len(self.data.items),
                attributes=dict(self.data.attributes),
                rating_low=self.data.levels[0],
                rating_high=self.data.levels[-1],
                liked=self.data.liked,
                max_ratings=5000,
                explains=self.explains,
            ),
        )

    def files(self) -> dict[str, bytes]:
        return {"items.csv": items.write(self.data.items, self.data.attributes)}
