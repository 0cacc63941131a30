from pathlib import Path

import numpy as np
import pytest
import torch

from training.data.photographs import Photographs, synthetic
from training.export import export
from training.learners.dae import Dae, DaeSettings
from training.learners.restorer import Restorer
from training.learners.unet import UNetSettings


def learner(**changes: object) -> Restorer:
    given = {"channels": (4,), "blocks": 1, "crop": 32, "batch_size": 8, "steps": 1, "learning_rate": 1e-3}
    return Restorer(UNetSettings.model_validate(given | changes), synthetic(0))


def batch(restorer: Restorer, seed: int = 0) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(seed)
    return restorer.draw()


def test_a_batch_holds_crops_as_they_were_and_damaged_in_colour_and_grey() -> None:
    drawn = batch(learner(grey_share=0.25))
    assert [tuple(part.shape) for part in drawn] == [(6, 3, 32, 32)] * 2 + [(2, 1, 32, 32)] * 2
    for part in drawn:
        levels = 255 * part
        assert (levels - levels.round()).abs().max() < 1e-4, "pictures of eight bit"
    changed = (drawn[0] != drawn[1]).flatten(1).any(dim=1)
    assert changed.float().mean() > 0.5


def test_what_is_drawn_depends_on_torchs_seed_alone() -> None:
    restorer = learner()
    same, again, other = batch(restorer, 1), batch(restorer, 1), batch(restorer, 2)
    assert all(torch.equal(first, second) for first, second in zip(same, again, strict=True))
    assert not torch.equal(same[1], other[1])


@pytest.mark.parametrize("phase", ["colour", "grey"])
def test_a_phase_moves_its_own_weights_and_no_others(phase: str) -> None:
    restorer = learner()
    restorer.losses(phase, batch(restorer), 0.0)["loss"].backward()
    moved = {name.partition(".")[0] for name, weight in restorer.named_parameters() if weight.grad is not None}
    assert moved == {phase}


def test_a_run_can_start_from_a_published_version(tmp_path: Path) -> None:
    old = learner()
    for name, graph in export(old)[0].items():
        (tmp_path / f"{name}.onnx").write_bytes(graph)
    new = learner(start=str(tmp_path))
    new.prepare()
    assert all(torch.equal(mine, its) for mine, its in zip(new.parameters(), old.parameters(), strict=True))


def test_a_run_can_start_from_a_denoiser_as_though_it_were_told_a_little_noise(tmp_path: Path) -> None:
    settings = {"channels": (4,), "blocks": 1, "crop": 32, "batch_size": 8, "steps": 1, "learning_rate": 1e-3}
    old = Dae(DaeSettings.model_validate(settings), synthetic(0))
    for name, graph in export(old)[0].items():
        (tmp_path / f"{name}.onnx").write_bytes(graph)
    new = learner(start=str(tmp_path))
    new.prepare()
    image, level = torch.rand(1, 3, 32, 32), torch.tensor([15 / 255])
    inside = (..., slice(12, -12), slice(12, -12))  # beyond the border the level is told to be 0
    assert torch.allclose(new.colour(image)[inside], old.colour(image, level)[inside], atol=1e-5)
    assert not torch.allclose(new.colour(image)[inside], old.colour(image, 2 * level)[inside], atol=1e-4)


def test_it_learns_to_repair() -> None:
    flat = [np.full((48, 48, 3), level, np.uint8) for level in range(60, 200, 10)]
    data = Photographs(flat, [], [], "none", "0" * 64)
    settings = UNetSettings(channels=(8,), blocks=1, crop=32, batch_size=16, steps=1, learning_rate=3e-3)
    torch.manual_seed(0)
    restorer = Restorer(settings, data)
    optimizer = restorer.optimizers()["grey"]

    def loss(seed: int) -> torch.Tensor:
        return restorer.losses("grey", batch(restorer, seed), 0.0)["loss"]

    before = loss(999).item()
    for step in range(60):
        optimizer.zero_grad()
        loss(step).backward()
        optimizer.step()
    assert loss(999).item() < 0.7 * before
