import math
from typing import Any

import numpy as np
import pytest
import torch

from tests import tiny
from training.data.photographs import Photographs
from training.learners.dae import Dae, DaeSettings, UNet


def learner(pictures: list[np.ndarray[Any, Any]] | None = None, **changes: Any) -> Dae:
    settings = DaeSettings(
        **{"channels": (4,), "blocks": 1, "crop": 16, "batch_size": 400, "steps": 1, "learning_rate": 1e-3} | changes
    )
    data = tiny.twin("photo-dae")
    return Dae(settings, data if pictures is None else Photographs(pictures, [], [], "none", data.sha256))


def batch(dae: Dae) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    return dae.draw()


def network(*channels: int, blocks: int = 1) -> UNet:
    torch.manual_seed(0)
    return UNet(channels, blocks)


def likely(count: int, rows: int, share: float) -> bool:
    """Within five standard deviations of a binomial draw."""
    return abs(count - rows * share) < 5 * math.sqrt(rows * share * (1 - share))


def test_grey_crops_have_equal_channels_and_equal_noise() -> None:
    clean, noisy, _ = batch(learner(grey_share=0.3))
    grey = (clean == clean[:, :1]).flatten(1).all(dim=1)
    assert likely(int(grey.sum()), 400, 0.3)
    assert torch.equal(grey, (noisy == noisy[:, :1]).flatten(1).all(dim=1))
    assert not (noisy[grey] == clean[grey]).flatten(1).all(dim=1).any()


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 400)])
def test_the_share_of_grey_crops_reaches_both_ends(share: float, expected: int) -> None:
    clean, _, _ = batch(learner(grey_share=share))
    assert int((clean == clean[:, :1]).flatten(1).all(dim=1).sum()) == expected


def test_clipped_crops_are_pictures_of_eight_bit_and_others_are_not() -> None:
    _, noisy, sigma = batch(learner(clipped_share=0.4))
    steps = noisy * 255
    on_grid = ((steps - steps.round()).abs() < 1e-4).flatten(1).all(dim=1)
    assert likely(int(on_grid.sum()), 400, 0.4)
    assert noisy[on_grid].min() == 0
    assert noisy[on_grid].max() == 1
    loud = ~on_grid & (sigma > 30 / 255)
    outside = ((noisy[loud] < 0) | (noisy[loud] > 1)).flatten(1).any(dim=1)
    assert outside.float().mean() > 0.5, "float noise is not clipped"


def test_sigma_is_uniform_up_to_its_greatest_and_is_that_of_the_noise() -> None:
    clean, noisy, sigma = batch(learner(sigma_max=40.0, grey_share=0.0, clipped_share=0.0))
    most = 40 / 255
    assert sigma.shape == (400,)
    assert sigma.min() >= 0
    assert sigma.max() <= most
    assert abs(sigma.mean() - most / 2) < 5 * most / math.sqrt(12 * 400)
    noise = (noisy - clean).flatten(1) / sigma[:, None]
    values = noise.shape[1]
    assert ((noise.std(dim=1) - 1).abs() < 5 / math.sqrt(2 * values)).all()
    assert (noise.mean(dim=1).abs() < 5 / math.sqrt(values)).all()


def test_crops_come_in_all_eight_orientations() -> None:
    picture = np.random.default_rng(0).integers(256, size=(16, 16, 3), dtype=np.uint8)
    clean, _, _ = batch(learner([picture], grey_share=0.0))
    turned = [np.rot90(side, turns) for side in (picture, picture[:, ::-1]) for turns in range(4)]
    expected = {side.transpose(2, 0, 1).tobytes() for side in turned}
    found = {row.numpy().tobytes() for row in (clean * 255).round().to(torch.uint8)}
    assert len(expected) == 8
    assert found == expected


def test_a_picture_smaller_than_the_crop_is_mirrored() -> None:
    picture = np.random.default_rng(0).integers(256, size=(40, 20, 3), dtype=np.uint8)
    clean, _, _ = batch(learner([picture], crop=32, grey_share=0.0, batch_size=8))
    assert clean.shape == (8, 3, 32, 32)
    assert torch.equal(clean[..., 20:, :], clean[..., 7:19, :].flip(2))


def test_large_pictures_are_drawn_more_often() -> None:
    black, white = np.zeros((16, 16, 3), np.uint8), np.full((48, 16, 3), 255, np.uint8)
    clean, _, _ = batch(learner([black, white]))
    assert likely(int(clean.mean(dim=(1, 2, 3)).round().sum()), 400, 0.75)


def test_the_loss_is_the_mean_distance_on_the_scale_of_pixels() -> None:
    dae = learner(batch_size=8)
    torch.nn.init.zeros_(dae.network.tail.weight)  # the network now gives back what it gets
    clean, noisy, sigma = batch(dae)
    losses = dae.losses("denoise", (clean, noisy, sigma), 0.0)
    distance = (noisy - clean).double().numpy()
    assert losses["loss"].item() == pytest.approx(255 * np.abs(distance).mean(), rel=1e-6)
    psnr = (-10 * np.log10(np.square(distance).mean(axis=(1, 2, 3)))).mean()
    assert losses["psnr"].item() == pytest.approx(psnr, abs=1e-3)


@pytest.mark.parametrize("scale", [0.25, 2.0, 8.0])
def test_the_network_scales_with_its_input_bit_for_bit(scale: float) -> None:
    unet = network(4, 6, 8)
    image, sigma = torch.rand(2, 3, 24, 32), torch.tensor([0.1, 0.3])
    with torch.no_grad():
        found, expected = unet(scale * image, scale * sigma), scale * unet(image, sigma)
        assert torch.equal(found, expected)  # powers of two are exact; a bias anywhere would show
        assert not torch.allclose(unet(scale * image, sigma), expected)


@pytest.mark.parametrize("channels", [(4,), (4, 6), (4, 4, 6, 8)])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 3), (4, 2)])
def test_any_multiple_of_the_coarsest_pixel_is_a_size(channels: tuple[int, ...], height: int, width: int) -> None:
    multiple = 2 ** len(channels)
    image = torch.rand(2, 3, height * multiple, width * multiple)
    with torch.no_grad():
        clean = network(*channels)(image, torch.tensor([0.1, 0.2]))
    assert clean.shape == image.shape
    assert clean.isfinite().all()


@pytest.mark.parametrize(("channels", "blocks"), [((4,), 1), ((4, 4), 2), ((4, 4, 4), 1)])
def test_the_declared_overlap_covers_all_that_an_output_depends_on(channels: tuple[int, ...], blocks: int) -> None:
    tiny = learner(channels=channels, blocks=blocks)
    (task,) = tiny.tasks()
    multiple = 2 ** len(channels)
    assert task.size_multiple == multiple
    assert task.overlap % multiple == 0
    assert tiny.network.reach <= task.overlap < tiny.network.reach + multiple
    torch.manual_seed(0)
    side = 4 * task.overlap
    furthest = 0
    for offset in range(multiple):  # an output's dependence differs with its place on the coarsest grid
        image = torch.rand(1, 3, side, side, requires_grad=True)
        at = side // 2 + offset
        clean = tiny.network(image, torch.tensor([0.1]))
        (gradient,) = torch.autograd.grad(clean[0, :, at, at].sum(), image)
        rows = gradient[0].abs().sum(dim=(0, 2)).nonzero()[:, 0]
        furthest = max(furthest, int(at - rows.min()), int(rows.max() - at))
    assert tiny.network.reach - multiple <= furthest <= tiny.network.reach


def test_a_picture_moved_by_the_multiple_comes_out_moved() -> None:
    unet = network(4, 6)
    torch.manual_seed(1)
    image, sigma = torch.rand(1, 3, 96, 96), torch.tensor([0.1])
    middle = slice(40, 60)  # out of reach of the edges: less than 40 pixels at two scales with one block each

    def moved_by(pixels: int) -> float:
        with torch.no_grad():
            plain, moved = unet(image, sigma), unet(image.roll(pixels, dims=3), sigma)
        return (moved.roll(-pixels, dims=3) - plain)[..., middle, middle].abs().max().item()

    assert moved_by(4) < 1e-6
    assert moved_by(8) < 1e-6
    assert moved_by(1) > 1e-3


def test_each_picture_is_cleaned_by_itself() -> None:
    unet = network(4, 6)
    image, sigma = torch.rand(3, 3, 8, 12), torch.tensor([0.0, 0.1, 0.2])
    with torch.no_grad():
        together = unet(image, sigma)
        alone = torch.cat([unet(image[row : row + 1], sigma[row : row + 1]) for row in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)
