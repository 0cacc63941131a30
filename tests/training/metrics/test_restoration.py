import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from models.noise import haar
from tests import tiny
from training.data.photographs import Photographs, Picture
from training.graphs import Graphs
from training.metrics import restoration


def picture(*shape: int, seed: int = 0) -> Picture:
    """Smooth, so that there is something to restore."""
    values = np.random.default_rng(seed).uniform(0, 255, shape)
    blurred = ndimage.gaussian_filter(values, (4, 4) + (0,) * (len(shape) - 2))
    return ((blurred - blurred.min()) / np.ptp(blurred) * 255).astype(np.uint8)


def test_psnr_by_hand() -> None:
    clean = np.array([[10, 20], [30, 40]], np.uint8)
    image = np.array([[13, 20], [30, 36]]) / 255
    assert restoration.psnr(image, clean) == pytest.approx(10 * math.log10(255**2 / ((9 + 16) / 4)), abs=1e-12)


def test_psnr_is_that_of_the_answer_in_eight_bit() -> None:
    clean = np.array([[0, 255], [7, 9]], np.uint8)
    image = np.array([[-0.3, 1.2], [7.49 / 255, 8.51 / 255]])
    assert restoration.psnr(image, clean) == 100, "clipped and rounded it is the picture"
    assert restoration.psnr(image + 0.02 / 255, clean) == pytest.approx(10 * math.log10(255**2 / 0.25), abs=1e-9)


@given(sigma=st.integers(5, 50), index=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_noise_is_the_one_that_its_seed_draws(sigma: int, index: int) -> None:
    clean = picture(16, 16, 3)
    drawn = clean + np.random.default_rng(1000 * sigma + index).normal(0, sigma, clean.shape)
    found = restoration.noisy(clean, sigma, index, eight_bit=False)
    assert found.dtype == np.float32
    assert np.array_equal(found, (drawn / 255).astype(np.float32))
    eight_bit = restoration.noisy(clean, sigma, index, eight_bit=True)
    assert np.array_equal(np.round(eight_bit * 255), np.clip(np.round(drawn), 0, 255))
    assert np.abs(eight_bit * 255 - np.round(eight_bit * 255)).max() < 1e-4
    assert not np.array_equal(found, restoration.noisy(clean, sigma, index + 1, eight_bit=False))


@pytest.mark.parametrize("shape", [(24, 31), (24, 31, 3)])
def test_the_median_works_on_each_channel_by_itself(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    for size in (3, 5):
        found = restoration.median(image, size)
        assert found.shape == shape
        y, x, half = 12, 20, size // 2
        window = image[y - half : y + half + 1, x - half : x + half + 1].reshape(size * size, -1)
        assert np.array_equal(found[y, x], np.median(window, axis=0) if len(shape) == 3 else np.median(window))


@pytest.mark.parametrize("shape", [(40, 33), (40, 33, 3)])
def test_non_local_means_helps_and_keeps_the_shape(shape: tuple[int, ...]) -> None:
    clean = picture(*shape)
    noisy = restoration.noisy(clean, 25, 0, eight_bit=False)
    found = restoration.non_local_means(noisy, 25)
    assert found.shape == shape
    assert restoration.psnr(found, clean) > restoration.psnr(noisy, clean) + 3


@pytest.mark.parametrize("shape", [(64, 80), (65, 79, 3), (17, 33)])
def test_any_size_is_restored_in_grey_and_in_colour(shape: tuple[int, ...]) -> None:
    graphs, image = Graphs(tiny.exported("photo-dae").graphs), restoration.noisy(picture(*shape), 15, 0, eight_bit=True)
    found = restoration.restore(graphs, image, 15)
    assert found.shape == shape
    assert np.isfinite(found).all()


def test_padding_is_cut_off_again() -> None:
    graphs = Graphs(tiny.exported("photo-dae").graphs)
    image = restoration.noisy(picture(64, 80, 3), 15, 0, eight_bit=True)
    found = restoration.restore(graphs, image, 15)
    direct = graphs.run("clean", image=image.transpose(2, 0, 1)[None], sigma=np.array([15 / 255], np.float32))["clean"]
    assert np.array_equal(found, direct[0].transpose(1, 2, 0))
    cropped = restoration.restore(graphs, image[:60, :70], 15)
    assert np.allclose(cropped[:30, :30], found[:30, :30], atol=1e-5), "far from the padding nothing changes"


@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 3)])
def test_who_is_not_told_sigma_estimates_it(shape: tuple[int, ...]) -> None:
    graphs = Graphs(tiny.exported("photo-dae").graphs)
    image = restoration.noisy(picture(*shape), 40, 0, eight_bit=False)
    planes = np.atleast_3d(image).transpose(2, 0, 1)[:, None]
    estimate = 255 * float(np.median(graphs.run("estimate", image=np.ascontiguousarray(planes))["sigma"]))
    assert restoration.noise_level(graphs, image) == pytest.approx(estimate, rel=1e-5)
    blind = restoration.restore(graphs, image, None)
    assert np.allclose(blind, restoration.restore(graphs, image, estimate), rtol=0, atol=1e-6)
    assert not np.allclose(blind, restoration.restore(graphs, image, estimate + 30), rtol=0, atol=1e-6)


def test_grey_and_the_noise_level_have_a_way_without_a_graph_for_them() -> None:
    """Versions that were made with `clean` alone are served in three equal channels and by the Haar estimate."""
    graphs = Graphs({"clean": tiny.exported("photo-dae").graphs["clean"]})
    image = restoration.noisy(picture(64, 64), 40, 0, eight_bit=False)
    assert restoration.noise_level(graphs, image) == pytest.approx(40, rel=0.1)
    found = restoration.restore(graphs, image, None)
    colour = restoration.restore(graphs, np.stack([image] * 3, axis=2), 255 * haar(image[None]))
    assert np.allclose(found, colour.mean(axis=2), rtol=0, atol=1e-6)


def test_one_picture_has_figures_without_a_standard_error() -> None:
    data = Photographs([], [], [picture(32, 32)], "one picture", "0" * 64)
    metrics = restoration.evaluate(Graphs(tiny.exported("photo-dae").graphs), data)
    assert len(metrics) == len({metric.name for metric in metrics}) == 17
    assert {metric.data for metric in metrics} == {"one picture"}
    for metric in metrics:
        assert metric.standard_error is None
        assert metric.samples == 1
        names = [baseline.name for baseline in metric.baselines]
        told = ["noisy input", "median 3x3", "median 5x5", "non-local means, told"]
        assert names == ([] if "blind" in metric.name else told)


def test_the_figures_are_means_over_pictures() -> None:
    pictures = [picture(32, 32, seed=seed) for seed in range(3)]
    data = Photographs([], pictures, [], "none", "0" * 64)
    graphs = Graphs(tiny.exported("photo-dae").graphs)
    (metric,) = [
        metric for metric in restoration.evaluate(graphs, data) if metric.name == "PSNR, sigma 25, told, 8-bit noise"
    ]
    inputs = [restoration.noisy(clean, 25, index, eight_bit=True) for index, clean in enumerate(pictures)]
    values = [
        restoration.psnr(restoration.restore(graphs, image, 25), clean)
        for image, clean in zip(inputs, pictures, strict=True)
    ]
    assert metric.data == "validation photographs"
    assert metric.value == pytest.approx(np.mean(values), abs=1e-9)
    assert metric.standard_error == pytest.approx(np.std(values, ddof=1) / math.sqrt(3), abs=1e-9)
    noisy = [restoration.psnr(image, clean) for image, clean in zip(inputs, pictures, strict=True)]
    assert metric.baselines[0].value == pytest.approx(np.mean(noisy), abs=1e-9)
    assert noisy[0] == pytest.approx(10 * math.log10(255**2 / 25**2), abs=0.7)
