import math
import re

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from tests import tiny
from training.export import export
from training.graphs import Graphs
from training.learners import vae
from training.metrics import likelihood


def rows(count: int, size: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (count, size)) * np.linspace(3, 0.1, size) @ np.linalg.qr(rng.normal(0, 1, (size, size)))[0]


@pytest.mark.parametrize("size", [1, 3, 7])
def test_pca_error_is_that_of_a_singular_value_decomposition(size: int) -> None:
    train, test = rows(60, 8) + 5, rows(20, 8, seed=1) - 2
    centre = train.mean(axis=0)
    axes = np.linalg.svd(train - centre, full_matrices=False)[2][:size]
    rebuilt = centre + (test - centre) @ axes.T @ axes
    expected = np.square(test - rebuilt).mean(axis=1)
    assert likelihood.pca_error(train, test, size) == pytest.approx(expected, rel=1e-9)


def test_pca_keeps_everything_at_full_rank() -> None:
    train, test = rows(60, 8), rows(20, 8, seed=1)
    assert likelihood.pca_error(train, test, 8).max() < 1e-20
    assert likelihood.pca_error(train, test, 7).max() > 1e-6


def test_bernoulli_nll_by_hand() -> None:
    probability, binary = np.array([[0.25, 0.9], [0.5, 0.5]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    expected = [-math.log(0.25) - math.log(0.1), -2 * math.log(0.5)]
    assert likelihood.bernoulli_nll(probability, binary) == pytest.approx(expected, abs=1e-12)


def test_bernoulli_nll_of_a_certain_error_is_large_and_finite() -> None:
    wrong = likelihood.bernoulli_nll(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]]))
    assert wrong == pytest.approx([-2 * math.log(1e-7)], rel=1e-6)
    assert likelihood.bernoulli_nll(np.array([[0.0, 1.0]]), np.array([[0.0, 1.0]])) == pytest.approx([0], abs=1e-6)


def test_kl_is_the_one_that_training_descends() -> None:
    rng = np.random.default_rng(0)
    mean, log_variance = rng.normal(0, 2, (5, 3)), rng.normal(-1, 2, (5, 3))
    expected = vae.kl_divergence(torch.from_numpy(mean), torch.from_numpy(log_variance)).numpy()
    assert likelihood.kl_divergence(mean, log_variance) == pytest.approx(expected, rel=1e-12)
    assert np.array_equal(likelihood.kl_divergence(np.zeros((1, 3)), np.zeros((1, 3))), [0])


def test_pictures_are_binarised_once_and_for_all() -> None:
    images = np.tile(np.array([0, 51, 255], np.uint8)[:, None, None], (1, 100, 100))
    found = likelihood.binarise(images)
    assert found.dtype == np.float32
    assert np.array_equal(found, likelihood.binarise(images))
    assert set(np.unique(found)) == {0, 1}
    assert not found[0].any()
    assert found[2].all()
    assert abs(found[1].mean() - 0.2) < 4 * math.sqrt(0.2 * 0.8 / 10_000)
    draws = np.random.default_rng(0).random(images.shape)
    assert np.array_equal(found, images / 255 > draws)


@pytest.fixture(scope="module")
def plain() -> Graphs:
    """A model with a single number as its code, so that the likelihood can be integrated."""
    learner = tiny.learner("digits-vae", "latent_size=1")
    learner.settle()
    return Graphs(export(learner)[0])


def exact(graphs: Graphs, picture: np.ndarray) -> float:
    """log p(x) by the trapezoid rule over the code."""
    grid = np.linspace(-12, 12, 4001)
    pixels = graphs.in_batches("decode", 500, latent=grid[:, None].astype(np.float32))["image"]
    nll = likelihood.bernoulli_nll(pixels.reshape(len(grid), -1).astype(np.float64), picture.ravel()[None])
    return float(logsumexp(-nll - grid**2 / 2 - math.log(2 * math.pi) / 2) + math.log(grid[1] - grid[0]))


def test_the_importance_weighted_bound_rises_to_the_likelihood(plain: Graphs) -> None:
    binary = likelihood.binarise(tiny.twin("digits-vae").test.images[:3])
    mean, log_variance = np.array([[0.3], [-0.5], [0.0]]), np.array([[-0.7], [0.2], [0.0]])
    right = np.array([exact(plain, picture) for picture in binary])
    bound, elbo = likelihood.bounds(plain, binary, mean, log_variance, samples=20_000, seed=0)
    assert bound == pytest.approx(right, abs=0.05)
    assert (elbo < bound).all()
    few = [likelihood.bounds(plain, binary, mean, log_variance, samples=2, seed=seed)[0].mean() for seed in range(200)]
    assert np.mean(few) < right.mean() - 3 * np.std(few) / math.sqrt(len(few))


def test_the_bound_with_one_sample_is_one_of_the_elbo(plain: Graphs) -> None:
    binary = likelihood.binarise(tiny.twin("digits-vae").test.images[:1])
    mean, log_variance = np.array([[0.4]]), np.array([[-1.0]])
    pairs = [likelihood.bounds(plain, binary, mean, log_variance, samples=1, seed=seed) for seed in range(400)]
    draws = [float(bound[0]) for bound, _ in pairs]
    assert draws == pytest.approx([float(elbo[0]) for _, elbo in pairs])
    latent = mean + np.exp(log_variance / 2) * np.random.default_rng(9).standard_normal((4000, 1))
    pixels = plain.in_batches("decode", 500, latent=latent.astype(np.float32))["image"]
    flat = pixels.reshape(4000, -1).astype(np.float64)
    elbo = -likelihood.bernoulli_nll(flat, binary.reshape(1, -1)).mean() - likelihood.kl_divergence(mean, log_variance)
    near = 5 * np.std(draws) / math.sqrt(len(draws))
    assert abs(np.mean(draws) - elbo[0]) < near
    _, averaged = likelihood.bounds(plain, binary, mean, log_variance, samples=len(draws), seed=0)
    assert abs(averaged[0] - elbo[0]) < near


def test_a_unit_is_active_where_its_mean_varies_with_the_picture() -> None:
    swing = np.array([-1.0, 1.0] * 50)[:, None]  # of variance 1
    deviations = np.sqrt([[4.0, 0.0102, 0.0098, 0.0]])
    assert likelihood.active_units(np.array([[0.0, 3.0, 5.0, 7.0]]) + swing * deviations) == 2


def test_the_figures_are_measured_through_the_graphs() -> None:
    made, data = tiny.exported("digits-vae"), tiny.twin("digits-vae")
    graphs = Graphs(made.graphs)
    error, elbo, seen, unseen, importance, active = likelihood.evaluate(graphs, data)
    grey = data.test.images.astype(np.float64) / 255
    with torch.no_grad():
        plans = made.learner.exports()
        mean, _ = plans["encode"].module(torch.from_numpy(grey).float())
        rebuilt = plans["decode"].module(mean).double().numpy()
        binary = torch.from_numpy(likelihood.binarise(data.test.images))
        code, log_variance = (part.double() for part in plans["encode"].module(binary))
        noise = torch.from_numpy(np.random.default_rng(1).standard_normal(code.shape))
        pixels = plans["decode"].module((code + (log_variance / 2).exp() * noise).float()).double()
    squares = np.square(rebuilt - grey).mean(axis=(1, 2, 3))
    assert error.value == pytest.approx(squares.mean(), rel=1e-4)
    assert error.standard_error == pytest.approx(squares.std(ddof=1) / 10, rel=1e-3)
    assert error.baselines[0].name == "PCA, 4 components"
    nll = torch.nn.functional.binary_cross_entropy(pixels, binary.double(), reduction="none").sum(dim=(1, 2, 3))
    bound = -(nll + vae.kl_divergence(code, log_variance))
    assert elbo.value == pytest.approx(bound.mean().item(), rel=1e-4)
    assert active.value == int((code.numpy().var(axis=0) > 0.01).sum())
    assert elbo.value < importance.value < elbo.value + 50
    assert abs(seen.value - elbo.value) < 20
    assert abs(unseen.value - elbo.value) < 20
    assert unseen.samples == len(data.validation.images)
    divergence = vae.kl_divergence(code, log_variance).mean().item()
    total, *units = map(float, re.findall(r"\d+\.\d\d(?=[ ,]|$)", active.protocol))
    assert total == pytest.approx(divergence, abs=0.01)
    assert sum(units) == pytest.approx(divergence, abs=0.03)
    assert units == sorted(units, reverse=True)
    assert (error.better, elbo.better, active.better) == ("lower", "higher", "higher")
    assert {metric.samples for metric in (error, elbo, seen, importance, active)} == {100}
