import copy
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests import tiny
from tests.processes import ROOT
from training import loop, recipe
from training.data.photographs import Photographs
from training.export import export
from training.learners.dae import Dae, DaeSettings
from training.learners.unet import FAINT, SEAM, UNet, UNetSettings
from training.recipes.photo_dae import RECIPE
from training.settings import SettingError


def learner(pictures: list[np.ndarray[Any, Any]] | None = None, **changes: Any) -> Dae:
    settings = DaeSettings(
        **{"channels": (4,), "blocks": 1, "crop": 16, "batch_size": 400, "steps": 1, "learning_rate": 1e-3} | changes
    )
    data = tiny.twin("photo-dae")
    return Dae(settings, data if pictures is None else Photographs(pictures, [], [], "none", data.sha256))


def batch(dae: Dae) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(0)
    return dae.draw()


COLOUR_AND_GREY = pytest.mark.parametrize("planes", [3, 1])


def network(*channels: int, planes: int = 3, blocks: int = 1) -> UNet:
    torch.manual_seed(0)
    settings = UNetSettings(channels=channels, blocks=blocks, batch_size=2, steps=1, learning_rate=1e-3)
    return UNet(planes, settings, told=True)


def likely(count: int, rows: int, share: float) -> bool:
    """Within five standard deviations of a binomial draw."""
    return abs(count - rows * share) < 5 * math.sqrt(rows * share * (1 - share))


def test_a_batch_holds_crops_in_colour_and_grey_ones() -> None:
    clean, noisy, sigma, told, *grey = batch(learner(grey_share=0.3))
    assert clean.shape == noisy.shape == (280, 3, 16, 16)
    assert sigma.shape == told.shape == (280,)
    assert [tuple(part.shape) for part in grey] == [(120, 1, 16, 16)] * 2 + [(120,)] * 2


def test_half_of_the_crops_are_stretched_until_parts_are_black_or_white() -> None:
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    plain = torch.linspace(0, 1, 256)
    clean = batch(learner([picture], contrast=2.0, smallest_scale=1.0, batch_size=800))[0][:, 0].flatten(1)
    changed = ((clean.sort(dim=1).values - plain).abs() > 1e-5).any(dim=1)
    assert likely(int(changed.sum()), 400, 0.5)
    assert clean.min() == 0
    assert clean.max() == 1
    ends = ((clean == 0) | (clean == 1)).sum(dim=1)
    assert ends[~changed].max() == 2
    assert 100 < ends.max() <= 129, "at twice the contrast half of the scale goes to its ends"


def test_without_stretching_crops_are_as_they_were() -> None:
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    clean = batch(learner([picture], contrast=1.0, smallest_scale=1.0, batch_size=8))[0]
    torch.testing.assert_close(clean.flatten(1).sort(dim=1).values[:, ::3], torch.linspace(0, 1, 256).expand(4, -1))


def test_grey_is_the_mean_of_the_channels() -> None:
    picture = np.broadcast_to(np.array([10, 20, 90], np.uint8), (16, 16, 3))
    clean_grey = batch(learner([picture], grey_share=0.5, contrast=1.0))[4]
    torch.testing.assert_close(clean_grey, torch.full_like(clean_grey, 40 / 255))


@pytest.mark.parametrize(("share", "grey"), [(0.01, 1), (0.99, 3)])
def test_there_is_always_a_crop_of_each_kind(share: float, grey: int) -> None:
    drawn = batch(learner(grey_share=share, batch_size=4))
    assert [len(part) for part in drawn] == [4 - grey] * 4 + [grey] * 4


@pytest.mark.parametrize("first", [0, 4])
def test_clipped_crops_are_pictures_of_eight_bit_and_others_are_not(first: int) -> None:
    _, noisy, sigma, _ = batch(learner(clipped_share=0.4, grey_share=0.5))[first : first + 4]
    steps = noisy * 255
    on_grid = ((steps - steps.round()).abs() < 1e-4).flatten(1).all(dim=1)
    assert likely(int(on_grid.sum()), 200, 0.4)
    assert noisy[on_grid].min() == 0
    assert noisy[on_grid].max() == 1
    loud = ~on_grid & (sigma > 30 / 255)
    outside = ((noisy[loud] < 0) | (noisy[loud] > 1)).flatten(1).any(dim=1)
    assert outside.float().mean() > 0.5, "float noise is not clipped"


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_sigma_is_drawn_by_its_power_up_to_its_greatest_and_is_that_of_the_noise(power: float) -> None:
    clean, noisy, sigma, _ = batch(learner(sigma_max=40.0, sigma_power=power, clipped_share=0.0))[:4]
    most = 40 / 255
    assert sigma.min() >= 0
    assert sigma.max() <= most
    assert abs((sigma / most).pow(1 / power).mean() - 1 / 2) < 5 / math.sqrt(12 * 400)
    noise = (noisy - clean).flatten(1) / sigma[:, None]
    values = noise.shape[1]
    assert ((noise.std(dim=1) - 1).abs() < 5 / math.sqrt(2 * values)).all()
    assert (noise.mean(dim=1).abs() < 5 / math.sqrt(values)).all()


@pytest.mark.parametrize("error", [0.0, 0.2])
def test_the_told_sigma_is_off_by_the_share_that_is_set(error: float) -> None:
    _, _, sigma, told = batch(learner(level_error=error))[:4]
    off = told / sigma - 1
    assert off.abs().max() <= error + 1e-6
    assert off.max() >= 0.9 * error
    assert off.min() <= -0.9 * error


def silent(dae: Dae) -> None:
    """Let both networks give back what they get."""
    for unet in (dae.colour, dae.grey):
        torch.nn.init.zeros_(unet.tail.weight)


@pytest.mark.parametrize(("phase", "first"), [("colour", 0), ("grey", 4)])
def test_the_loss_is_the_mean_of_the_root_mean_square_errors_of_the_crops(phase: str, first: int) -> None:
    dae = learner(batch_size=8, grey_share=0.25)
    silent(dae)
    drawn = batch(dae)
    clean, noisy = drawn[first : first + 2]
    mse = np.square(255 * (noisy - clean).double().numpy()).mean(axis=(1, 2, 3))
    errors = np.sqrt(mse + FAINT**2)
    losses = dae.losses(phase, drawn, 0.0)
    assert losses["loss"].item() == pytest.approx(errors.mean(), rel=1e-5)
    assert losses["psnr"].item() == pytest.approx(20 * np.log10(255 / errors).mean(), rel=1e-5)


@pytest.mark.parametrize("phase", ["colour", "grey"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_crop_that_is_already_restored_has_a_finite_gradient(value: float, phase: str) -> None:
    dae = learner([np.full((16, 16, 3), 255 * value, np.uint8)], batch_size=4)
    clean, _, sigma, _, grey, *_ = batch(dae)
    still = (clean, clean, 0 * sigma, 0 * sigma, grey, grey, 0 * sigma, 0 * sigma)
    silent(dae)
    dae.losses(phase, still, 0.0)["loss"].backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in dae.parameters())


@pytest.mark.parametrize("phase", ["colour", "grey", "estimate"])
def test_a_phase_moves_its_own_weights_and_no_others(phase: str) -> None:
    dae = learner(batch_size=4)
    dae.losses(phase, batch(dae), 0.0)["loss"].backward()
    moved = {name.partition(".")[0] for name, weight in dae.named_parameters() if weight.grad is not None}
    assert moved == {phase if phase != "estimate" else "noise_level"}
    owned = [weight for group in dae.optimizers()[phase].param_groups for weight in group["params"]]
    assert {id(weight) for weight in owned} == {id(w) for w in dae.parameters() if w.grad is not None}


def test_the_loss_of_the_estimate_is_its_logarithmic_error_above_one_level() -> None:
    dae = learner(batch_size=8, grey_share=0.5)
    drawn = batch(dae)
    dae.noise_level = torch.nn.Flatten()  # type: ignore[assignment]
    dae.noise_level.forward = lambda planes: torch.full((len(planes),), 24 / 255)  # type: ignore[method-assign]
    sigma = 255 * torch.cat((drawn[2], drawn[6]))
    expected = (25 / (sigma + 1)).log().abs().mean().item()
    assert dae.losses("estimate", drawn, 0.0)["loss"].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scale", [0.25, 2.0, 8.0])
@COLOUR_AND_GREY
def test_but_for_the_first_bias_the_network_scales_with_its_input_bit_for_bit(scale: float, planes: int) -> None:
    unet = network(4, 6, 8, planes=planes)
    first = unet.head.bias
    assert first is not None
    image, sigma = torch.rand(2, planes, 24, 32), torch.tensor([0.1, 0.3])
    with torch.no_grad():
        assert not torch.allclose(unet(scale * image, scale * sigma), scale * unet(image, sigma))
        first.zero_()
        found, expected = unet(scale * image, scale * sigma), scale * unet(image, sigma)
        assert torch.equal(found, expected)  # powers of two are exact; another bias would show
        assert not torch.allclose(unet(scale * image, sigma), expected)


@pytest.mark.parametrize("channels", [(4,), (4, 6), (4, 4, 6, 8)])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 3), (4, 2)])
@COLOUR_AND_GREY
def test_any_multiple_of_the_coarsest_pixel_is_a_size(
    channels: tuple[int, ...], height: int, width: int, planes: int
) -> None:
    multiple = 2 ** len(channels)
    image = torch.rand(2, planes, height * multiple, width * multiple)
    with torch.no_grad():
        clean = network(*channels, planes=planes)(image, torch.tensor([0.1, 0.2]))
    assert clean.shape == image.shape
    assert clean.isfinite().all()


@pytest.mark.parametrize(("channels", "blocks"), [((4,), 1), ((4, 4), 2), ((4, 4, 4), 1)])
def test_the_reach_is_how_far_an_output_depends_on_inputs(channels: tuple[int, ...], blocks: int) -> None:
    unet = network(*channels, blocks=blocks)
    multiple = 2 ** len(channels)
    side = 4 * (unet.reach + multiple) // multiple * multiple
    furthest = 0
    for offset in range(multiple):  # an output's dependence differs with its place on the coarsest grid
        image = torch.rand(1, 3, side, side, requires_grad=True)
        at = side // 2 + offset
        clean = unet(image, torch.tensor([0.1]))
        (gradient,) = torch.autograd.grad(clean[0, :, at, at].sum(), image)
        rows = gradient[0].abs().sum(dim=(0, 2)).nonzero()[:, 0]
        furthest = max(furthest, int(at - rows.min()), int(rows.max() - at))
    assert unet.reach - multiple <= furthest <= unet.reach


@pytest.mark.parametrize(("channels", "blocks"), [((4,), 1), ((4, 4), 2), ((4, 4, 4), 1)])
@pytest.mark.parametrize("planes", [3, 1])
def test_with_the_declared_overlap_tiles_show_no_seam(channels: tuple[int, ...], blocks: int, planes: int) -> None:
    dae = learner(channels=channels, blocks=blocks)
    (task,) = dae.tasks()
    multiple = 2 ** len(channels)
    assert task.size_multiple == multiple
    assert task.overlap % multiple == 0
    assert 0 < task.overlap < dae.colour.reach + multiple
    torch.manual_seed(0)
    unet = dae.colour if planes == 3 else dae.grey
    sigma = torch.tensor([75 / 255])
    picture = torch.rand(1, planes, 1, 1) + sigma * torch.randn(1, planes, 128, 256)

    def seam(overlap: int) -> float:
        with torch.no_grad():
            whole, tile = unet(picture, sigma), unet(picture[..., 128 - overlap :], sigma)
        return 255 * float((whole[..., 128:] - tile[..., overlap:]).abs().max())

    assert seam(task.overlap) < 5 * SEAM
    assert seam(0) > 5 * SEAM, "it can fail"


def test_phases_at_the_same_time_learn_what_they_do_one_after_the_other(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    runs: list[Dae] = []
    try:
        for count in (1, 2):  # of three phases then two run at the same time, each in one thread
            torch.set_num_threads(count)
            torch.manual_seed(0)
            runs.append(learner(steps=3))
            loop.train(runs[-1], tmp_path / str(count), quiet=True)
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(mine, its) for mine, its in zip(runs[0].parameters(), runs[1].parameters(), strict=True))


@cache
def exported(**changes: Any) -> tuple[Dae, Mapping[str, bytes]]:
    """Treat it as read-only."""
    torch.manual_seed(1)
    dae = learner(batch_size=4, **changes)
    return dae, export(dae)[0]


def published(folder: Path, **changes: Any) -> Dae:
    """The learner whose graphs `folder` holds then."""
    dae, graphs = exported(**changes)
    for name, graph in graphs.items():
        (folder / f"{name}.onnx").write_bytes(graph)
    return dae


def test_a_run_can_start_from_a_published_version(tmp_path: Path) -> None:
    old = published(tmp_path)
    torch.manual_seed(2)
    new = learner(batch_size=4, start=str(tmp_path))
    pairs = list(zip(new.parameters(), old.parameters(), strict=True))
    assert not all(torch.equal(mine, its) for mine, its in pairs)
    new.prepare()
    assert all(torch.equal(mine, its) for mine, its in pairs)


@pytest.mark.parametrize(("network", "learning"), [("grey", "grey."), ("estimate", "noise_level.")])
def test_one_network_may_learn_and_the_others_stay_as_they_were(tmp_path: Path, network: str, learning: str) -> None:
    published(tmp_path)
    begun, run = (learner(batch_size=4, steps=3, start=str(tmp_path), learn=(network,)) for _ in range(2))
    begun.prepare()
    loop.train(run, tmp_path / "run", quiet=True)
    for (name, now), before in zip(run.named_parameters(), begun.parameters(), strict=True):
        assert torch.equal(now, before) != name.startswith(learning), name


def test_a_network_that_would_not_be_whole_without_learning_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"--set learn=.*set start"):
        RECIPE.settings.changed(["learn=grey"])
    form = {"channels": (4, 6)}
    published(tmp_path, **form)  # in floats: it knows no ranges of integers
    with pytest.raises(SettingError, match="learn=colour too"):
        learner(batch_size=4, start=str(tmp_path), learn=("grey",), quantised=True, **form).prepare()


def test_only_networks_that_there_are_can_learn() -> None:
    with pytest.raises(SettingError, match=r"--set learn=.*: colour, grey$"):
        recipe.find("photo-restore").settings.changed(["learn=estimate", "start=x/1"])


def test_integers_need_more_than_the_block_that_stays_in_float() -> None:
    with pytest.raises(SettingError, match=r"--set quantised=.*blocks=2"):
        RECIPE.settings.changed(["channels=4", "blocks=1", "quantised=true"])


def test_a_run_with_more_channels_begins_as_exact_as_the_version_it_starts_from(tmp_path: Path) -> None:
    old = copy.deepcopy(published(tmp_path, channels=(4, 6)))
    new = learner(channels=(6, 10), start=str(tmp_path))
    new.prepare()
    for mine, its in ((new.colour, old.colour), (new.grey, old.grey)):
        image, sigma = torch.rand(2, mine.tail.out_channels // 4, 16, 24), torch.tensor([0.02, 0.1])
        difference = mine(image, sigma) - its(image, sigma)
        assert difference.abs().max() < 1e-5
        (its(image, sigma) - image).square().sum().backward()
        (mine(image, sigma) - image).square().sum().backward()
        grow = mine.grow[0].weight
        assert isinstance(grow, torch.nn.Parameter)
        assert grow.grad is not None
        assert (grow.grad[6:, :4] != 0).all(), "from where it is, the network can learn to use the further channels"


@pytest.mark.parametrize("name", ["photo-dae", "photo-dae-fast"])
def test_a_run_of_the_recipe_can_start_from_the_shipped_version(name: str) -> None:
    (folder,) = (ROOT / "models/zoo" / name).iterdir()
    settings = recipe.find(name).settings
    assert isinstance(settings, DaeSettings)
    dae = Dae(settings.model_copy(update={"start": str(folder)}), tiny.twin("photo-dae"))
    before = [parameter.clone() for parameter in dae.parameters()]
    dae.prepare()
    assert not any(torch.equal(old, new) for old, new in zip(before, dae.parameters(), strict=True) if old.numel() > 2)
    assert dae.settings.model_dump()["start"] == f"{name}/{folder.name}"


def test_a_version_of_another_form_is_no_start(tmp_path: Path) -> None:
    published(folder := tmp_path)
    with pytest.raises(SettingError, match=r"head.weight of clean is \(4, 13, 3, 3\) there and \(2, 13, 3, 3\) with"):
        learner(channels=(2,), start=str(folder)).prepare()
    with pytest.raises(SettingError, match=r"it has no weight colour.bottom.1.first.weight"):
        learner(blocks=2, start=str(folder)).prepare()
    (larger := folder / "larger").mkdir()
    published(larger, blocks=2)
    with pytest.raises(SettingError, match=r"bottom.1.first.weight of clean has no place with these settings"):
        learner(start=str(larger)).prepare()
    (folder / "clean_grey.onnx").write_bytes(b"no graph")
    with pytest.raises(SettingError, match=r"clean_grey.onnx cannot be read"):
        learner(start=str(folder)).prepare()
    with pytest.raises(SettingError, match=r"clean.onnx cannot be read"):
        learner(start=str(tmp_path / "nowhere")).prepare()


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


@COLOUR_AND_GREY
def test_each_picture_is_cleaned_by_itself(planes: int) -> None:
    unet = network(4, 6, planes=planes)
    image, sigma = torch.rand(3, planes, 8, 12), torch.tensor([0.0, 0.1, 0.2])
    with torch.no_grad():
        together = unet(image, sigma)
        alone = torch.cat([unet(image[row : row + 1], sigma[row : row + 1]) for row in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)
