import pytest
import torch
from torch.nn import functional

from tests import tiny
from training.learners.dae import Dae
from training.learners.rectified import Rectified
from training.learners.unet import PATIENCE, Block

ABOVE_ZERO = torch.rand(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))


def block_with_a_dead_channel() -> Block:
    torch.manual_seed(0)
    block = Block(4)
    with torch.no_grad():
        block.first.weight[2] = -block.first.weight[2].abs()
    return block


def test_it_is_a_relu() -> None:
    values = torch.randn(2, 4, 5, 5)
    assert torch.equal(Rectified(4)(values), functional.relu(values))


def test_dead_is_what_no_batch_has_passed_since_it_was_last_asked() -> None:
    relu, one, other = Rectified(3), -torch.ones(2, 3, 2, 2), -torch.ones(2, 3, 2, 2)
    one[0, 0, 1, 1], other[1, 2, 0, 0] = 1e-6, 7.0
    relu(one)
    relu(other)
    assert relu.dead().tolist() == [False, True, False]
    relu(other)
    assert relu.dead().tolist() == [True, True, False]


def test_in_evaluation_it_watches_nothing() -> None:
    relu = Rectified(3).eval()
    relu(torch.ones(1, 3, 2, 2))
    assert relu.dead().all()


def test_a_dead_channel_gets_a_new_filter_and_the_block_stays_what_it_is() -> None:
    block = block_with_a_dead_channel()
    old, before = {name: weight.clone() for name, weight in block.named_parameters()}, block(ABOVE_ZERO)
    new = block.revive()
    assert torch.allclose(block(ABOVE_ZERO), before, atol=1e-6)
    assert not torch.equal(block.first.weight[2], old["first.weight"][2])
    for name, weight in block.named_parameters():
        mask = new[name].expand(weight.shape)
        assert torch.equal(weight[~mask], old[name][~mask])
        assert mask.sum() == mask.numel() / 4
    assert new["first.weight"][2].all()
    assert new["second.weight"][:, 2].all()


@pytest.mark.parametrize("revived", [False, True])
def test_a_revived_channel_learns(revived: bool) -> None:
    block = block_with_a_dead_channel()
    block(ABOVE_ZERO)
    if revived:
        block.revive()
    block(torch.rand(2, 4, 6, 6)).square().sum().backward()
    assert block.second.weight.grad is not None
    assert block.second.weight.grad[:, 2].any() == revived


@pytest.mark.parametrize("pairs", [(), ("learn=grey", "start=x/1")])
def test_a_denoiser_revives_the_networks_that_learn_now_and_then(pairs: tuple[str, ...]) -> None:
    dae = tiny.learner("photo-dae", *pairs)
    assert isinstance(dae, Dae)
    for phase in dae.settings.learn:
        dae.losses(phase, dae.draw(), 0.0)
    with torch.no_grad():
        for network in (dae.colour, dae.grey):
            network.bottom[0].rectified.passed[1] = False
    assert dae.revive(PATIENCE - 1) == {}
    parameters = dict(dae.named_parameters())
    before = {name: weight.clone() for name, weight in parameters.items()}
    new = dae.revive(PATIENCE)
    assert {name.split(".")[0] for name in new} == set(dae.settings.learn) - {"estimate"}
    for name, weight in parameters.items():
        changed = weight != before[name]
        assert not (changed & ~new[name]).any() if name in new else not changed.any()
        if name.endswith("bottom.0.first.weight"):
            assert changed[1].all() == (name in new)
