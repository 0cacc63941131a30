import numpy as np
import pytest
import torch

from tests import tiny
from training.data.labelled import Split
from training.learners import judge
from training.learners.judge import Classifier, Judge, train_judge


def part(split: Split, count: int) -> Split:
    return Split(split.images[:count], split.labels[:count])


def untrained(*shape: int) -> Judge:
    torch.manual_seed(0)
    channels, height, width = shape
    return Judge(Classifier(10, (channels, height, width)).eval())


def test_it_begins_to_learn_the_classes_at_once() -> None:
    data = tiny.twin("digits-gan")  # tests/contract holds the fully trained one to all classes
    found, features = train_judge(data.train, 10, steps=40).look(data.test.images)
    assert features.shape == (100, 64)
    assert 0.5 < np.sqrt(np.square(features).mean()) < 2, "whatever training left"
    assert (found == data.test.labels).mean() > 0.3, "chance is a tenth"


def test_the_same_seed_gives_the_same_judge() -> None:
    train = part(tiny.twin("digits-gan").train, 128)
    first, second, other = (train_judge(train, 10, steps=3, seed=seed).look(train.images)[1] for seed in (0, 0, 1))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_few_pictures_are_not_looked_at_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "PASSES", 40)
    assert judge.enough(100) == judge.enough(128) == 40
    assert judge.enough(129) == 80
    assert judge.enough(50_000) == judge.STEPS


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 16, 16), (3, 64, 64), (1, 128, 128), (1, 36, 52)])
def test_pictures_of_any_side_have_features_at_about_one_cost(shape: tuple[int, int, int]) -> None:
    network = untrained(*shape).network
    logits, features = network(torch.zeros(2, *shape))
    assert (logits.shape, features.shape) == ((2, 10), (2, 64))
    stem = network.body[0](torch.zeros(1, *shape))
    assert 14 <= min(stem.shape[2:]) <= 20


def test_folding_changes_no_answer() -> None:
    network = untrained(1, 28, 28).network
    for layer in network.body:
        if isinstance(layer, torch.nn.BatchNorm2d):
            for statistic in (layer.running_mean, layer.running_var, layer.weight.data, layer.bias.data):
                assert statistic is not None
                statistic.uniform_(0.5, 1.5)
    image = torch.rand(5, 1, 28, 28)
    before = network(image)
    network.fold()
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in network.modules())
    for expected, found in zip(before, network(image), strict=True):
        assert torch.allclose(found, expected, atol=1e-4)


def test_scaling_the_features_changes_no_logit() -> None:
    network = untrained(1, 28, 28).network
    image = torch.rand(5, 1, 28, 28)
    logits, features = network(image)
    network.scale(0.25)
    found = network(image)
    assert torch.allclose(found[0], logits, atol=1e-6)
    assert torch.equal(found[1], features * 0.25)


def test_the_unit_is_the_power_of_two_next_to_the_root_mean_square() -> None:
    assert judge.unit(np.full((3, 2), 5.0)) == 0.25
    assert judge.unit(np.full((3, 2), 0.3)) == 4
    assert judge.unit(np.zeros((3, 2))) == 1024, "dead features stay dead"


def test_a_patch_is_cut_out_of_every_picture() -> None:
    found = judge._cut(torch.ones(200, 1, 28, 28), 0.25)
    assert set(found.unique().tolist()) == {0.25, 1.0}
    cut = (found == 0.25).sum(dim=(1, 2, 3))
    assert int(cut.max()) == 9 * 9
    assert int(cut.min()) >= 5 * 5, "its centre lies inside"
    assert not torch.equal(found[0], found[1])


def test_many_pictures_are_looked_at_as_few_are() -> None:
    looker = untrained(1, 28, 28)
    images = np.random.default_rng(0).integers(256, size=(1003, 1, 28, 28), dtype=np.uint8)
    found, features = looker.look(images)
    assert found.shape == (1003,)
    assert np.allclose(features[1000:], looker.look(images[1000:])[1], rtol=0, atol=1e-5)
    logits, _ = looker.network(torch.from_numpy(images[:50]).float() / 255)
    assert np.array_equal(found[:50], logits.argmax(dim=1).numpy())
