"""The machine against ridge solutions in numpy, against itself without a rating, and in onnxruntime."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from models.items import Item
from training.data import movielens
from training.data.ratings import RatingData, Ratings
from training.learners.gaussian import SHRINKAGE, GaussianMachine, GaussianSettings, fit
from training.learners.histories import Histories
from training.metrics.raters import biases

LIKED = 4.0
SETTINGS = GaussianSettings(
    steps=1, batch_size=1, learning_rate=1, rating_hidden=4, projections=6, chains=2, burn_in=10, samples=2, spacing=10
)


def fitted(data: RatingData, seed: int = 0) -> GaussianMachine:
    torch.manual_seed(seed)
    machine = GaussianMachine(SETTINGS, data)
    fit(machine, SETTINGS, data, quiet=True)
    return machine


@pytest.fixture(scope="module")
def data() -> RatingData:
    return movielens.synthetic(3)


@pytest.fixture(scope="module")
def machine(data: RatingData) -> GaussianMachine:
    return fitted(data)


def histories(rows: int, length: int, items: int, seed: int = 0) -> Histories:
    """Items (none twice while they last) and ratings, some of them padding: the last row of several has none at all."""
    rng = np.random.default_rng(seed)
    item = np.stack([rng.permutation(max(length, items))[:length] % items for _ in range(rows)])
    given = np.arange(length) < rng.integers(1, length + 1, size=(rows, 1))
    given[-1] = rows == 1
    rating = rng.integers(1, 6, size=item.shape)
    return told(np.where(given, item, -1), rating)


def told(item: object, rating: object) -> Histories:
    return Histories.read(torch.as_tensor(item), torch.as_tensor(rating, dtype=torch.float32), LIKED)


def predicted(machine: GaussianMachine, history: Histories) -> Tensor:
    """Ratings of all items [B,I]."""
    return machine.ratings(machine(history, history.left_out(torch.zeros(1, 0)))[0][:, :, 0])


def predicted_without(machine: GaussianMachine, history: Histories, target: Tensor) -> Tensor:
    """Ratings of the targets without each rating in turn [B,K,N]."""
    return machine.ratings_of(target, machine(history, history.left_out(target))[1])


def fewer(history: Histories, place: int) -> Histories:
    given = history.given.clone()
    given[:, place] = 0
    return replace(history, given=given)


def ridge(machine: GaussianMachine, item: list[int], rating: list[float]) -> np.ndarray:
    """Predicted ratings [I] of one user in float64, by solving the normal equations of each sample."""
    factor, precision = machine.factor.double().numpy(), machine.root_precision.T.double().numpy() ** 2
    features = np.zeros(machine.projection.shape[1])
    if item:
        projected = machine.projection.double().numpy()[item].sum(axis=0) / len(item) ** 0.5
        features = (projected - machine.projection_mean.double().numpy()) * len(item) / (len(item) + SHRINKAGE)
    means = []
    for place, noise in enumerate(precision):
        seen = factor[item, place]
        prior = machine.prior_bias[place, 0].double().numpy() + features @ machine.prior_weight[place].double().numpy()
        value = (np.array(rating) - float(machine.centre)) * float(machine.inverse_scale)
        normal = np.eye(len(prior)) + seen.T @ (noise[item, None] * seen)
        means.append(factor[:, place] @ np.linalg.solve(normal, prior + seen.T @ (noise[item] * value)))
    return float(machine.centre) + float(machine.scale) * np.mean(means, axis=0)


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (2, 7), (5, 60)])
def test_fold_in_is_the_ridge_solution_averaged_over_samples(machine: GaussianMachine, rows: int, length: int) -> None:
    history = histories(rows, length, len(machine.factor))
    found = predicted(machine, history).numpy()
    for row in range(rows):
        known = history.given[row] > 0
        expected = ridge(machine, history.item[row][known].tolist(), history.rating[row][known].tolist())
        assert found[row] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("rows", "length"), [(1, 1), (2, 7), (3, 40)])
def test_without_is_what_the_history_without_the_rating_predicts(
    machine: GaussianMachine, rows: int, length: int
) -> None:
    history = histories(rows, length, len(machine.factor), seed=1)
    target = torch.randint(len(machine.factor), (rows, 4), generator=torch.Generator().manual_seed(1))
    found = predicted_without(machine, history, target)
    assert found.shape == (rows, 4, length)
    for place in range(length):
        expected = predicted(machine, fewer(history, place)).gather(1, target)
        assert torch.allclose(found[:, :, place], expected, atol=5e-4)


def test_without_targets_nothing_is_left_out(machine: GaussianMachine) -> None:
    history = histories(3, 9, len(machine.factor))
    none = torch.zeros(3, 0, dtype=torch.int64)
    mean, without = machine(history, history.left_out(none))
    assert without.shape == (3, len(machine.factor[0]), 0, SETTINGS.rating_hidden)
    assert predicted_without(machine, history, none).shape == (3, 0, 0)
    everything, _ = machine(history, history.left_out(torch.zeros(3, 1)))
    assert torch.allclose(mean, everything, atol=1e-5)


def test_order_padding_and_other_rows_do_not_matter(machine: GaussianMachine) -> None:
    history = histories(4, 20, len(machine.factor), seed=2)
    item, rating = torch.where(history.given > 0, history.item, -1), history.rating
    found = predicted(machine, history)
    turned = torch.randperm(20, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(predicted(machine, told(item[:, turned], rating[:, turned])), found, atol=2e-4)
    longer = torch.cat([item, torch.full((4, 9), -1)], dim=1), torch.cat([rating, torch.full((4, 9), 3.0)], dim=1)
    assert torch.allclose(predicted(machine, told(*longer)), found, atol=2e-4)
    for row in range(4):
        alone = predicted(machine, told(item[row : row + 1], rating[row : row + 1]))
        assert torch.allclose(alone[0], found[row], atol=2e-4)


def test_an_empty_history_gets_the_prior(machine: GaussianMachine) -> None:
    found = predicted(machine, told([[-1, -1, -1]], [[1, 1, 1]]))
    assert found[0].numpy() == pytest.approx(ridge(machine, [], []), abs=1e-4)


def test_predictions_beat_biases(data: RatingData, machine: GaussianMachine) -> None:
    for history, cells in ((data.train, data.cells), (data.foldin, data.targets)):
        rows, errors = np.unique(cells.user), []
        for user in rows.tolist():
            mine, wanted = history.user == user, cells.user == user
            here = predicted(machine, told(history.item[mine][None], history.rating[mine][None]))[0].numpy()
            errors.extend((here[cells.item[wanted]] - cells.rating[wanted]).tolist())
        linear = biases(data.train, len(data.items))(history, cells) - cells.rating
        assert np.square(errors).mean() < 0.6 * np.square(linear).mean()


def test_weights_are_float16(machine: GaussianMachine) -> None:
    for name, buffer in machine.named_buffers():
        assert torch.isfinite(buffer.half()).all()
        if buffer.ndim:
            assert torch.equal(buffer.half().float(), buffer), name


@pytest.mark.parametrize("level", [1.0, 5.0])
def test_equal_ratings_are_predicted_alike(data: RatingData, level: float) -> None:
    train = replace(data.train, rating=np.full_like(data.train.rating, level))
    machine = fitted(replace(data, train=train))
    drawn, items = histories(3, 8, len(machine.factor)), len(machine.factor)
    history = replace(drawn, rating=torch.full_like(drawn.rating, level))
    assert torch.equal(predicted(machine, history), torch.full((3, items), level))
    assert torch.equal(predicted_without(machine, history, history.item[:, :2]), torch.full((3, 2, 8), level))


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_five_users_and_four_items_without_attributes(scale: float) -> None:
    rating = scale * np.array([1, 5, 4, 2, 5, 1, 3, 3, 4], np.float32)
    train = Ratings(np.array([0, 0, 1, 1, 2, 2, 3, 3, 4]), np.array([0, 1, 1, 2, 3, 0, 2, 1, 3]), rating)
    items = tuple(Item(str(number), str(number), 0.0, {}) for number in range(4))
    data = replace(movielens.synthetic(0), items=items, attributes={}, train=train)
    found = predicted(fitted(data), told([[1, -1]], [[4 * scale, 0]]))
    assert found.shape == (1, 4)
    assert ((found > 0) & (found < 7 * scale)).all()


def test_missing_and_constant_attributes_are_fine(data: RatingData) -> None:
    kinds = {"year": "number", "none": "number", "same": "number", "genres": "list"}
    items = tuple(
        replace(item, attributes={"same": 3.0} | ({} if place % 3 else dict(item.attributes)))
        for place, item in enumerate(data.items)
    )
    machine = fitted(replace(data, items=items, attributes=kinds))  # type: ignore[arg-type]
    assert all(torch.isfinite(buffer).all() for buffer in machine.buffers())
