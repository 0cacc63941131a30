import numpy as np
import torch

from tests import tiny
from training.data.labelled import Split
from training.learners.judge import Classifier, Judge, train_judge


def part(split: Split, count: int) -> Split:
    return Split(split.images[:count], split.labels[:count])


def test_it_begins_to_learn_the_classes_at_once() -> None:
    data = tiny.twin("digits-gan")  # tests/contract holds the fully trained one to all classes
    found, features = train_judge(data.train, 10, steps=40).look(data.test.images)
    assert features.shape == (100, 64)
    assert (found == data.test.labels).mean() > 0.3, "chance is a tenth"


def test_the_same_seed_gives_the_same_judge() -> None:
    train = part(tiny.twin("digits-gan").train, 128)
    first, second, other = (train_judge(train, 10, steps=3, seed=seed).look(train.images)[1] for seed in (0, 0, 1))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_few_pictures_are_not_looked_at_for_ever() -> None:
    train = part(tiny.twin("digits-gan").train, 100)
    forty, asked = train_judge(train, 10, steps=40).look(train.images)[1], train_judge(train, 10).look(train.images)[1]
    assert np.array_equal(forty, asked)


def test_many_pictures_are_looked_at_as_few_are() -> None:
    torch.manual_seed(0)
    judge = Judge(Classifier(10, (1, 28, 28)).eval())
    images = np.random.default_rng(0).integers(256, size=(1003, 1, 28, 28), dtype=np.uint8)
    found, features = judge.look(images)
    assert found.shape == (1003,)
    assert np.allclose(features[1000:], judge.look(images[1000:])[1], rtol=0, atol=1e-6)
    logits, _ = judge.network(torch.from_numpy(images[:50]).float() / 255)
    assert np.array_equal(found[:50], logits.argmax(dim=1).numpy())
