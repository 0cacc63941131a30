"""What recommenders share."""

from dataclasses import replace

import numpy as np
import torch

from training.data import movielens
from training.recipe import find


def test_whole_histories_of_random_users_are_drawn() -> None:
    data = movielens.synthetic(0)
    kept = np.random.default_rng(0).random(len(data.train.user)) < 0.5 * data.train.user / data.train.users
    kept[np.unique(data.train.user, return_index=True)[1]] = True  # nobody is without a rating
    data = replace(data, train=data.train.take(kept))
    recipe = find("movies-autorec")
    learner = recipe.learner(recipe.settings.changed(["batch_size=300"]), data)
    torch.manual_seed(1)
    row, place = learner.draw_users()
    torch.manual_seed(1)
    chosen = torch.randint(data.train.users, (300,)).tolist()
    assert row.dtype == place.dtype == torch.int64
    assert len(set(chosen)) < 300, "one is drawn twice"
    histories = [np.flatnonzero(data.train.user == user) for user in chosen]
    assert {1, 2} < set(map(len, histories))
    assert row.tolist() == [number for number, history in enumerate(histories) for _ in history]
    assert place.tolist() == np.concatenate(histories).tolist()
