import torch
from torch.nn import functional

from tests import tiny
from training.learners.dae import Dae
from training.learners.rectified import PATIENCE, Rectified
from training.learners.unet import Block

IMAGE = torch.rand(2, 4, 6, 6)
"""Above zero everywhere."""


def block_with_a_dead_channel() -> Block:
    torch.manual_seed(0)
    block = Block(4)
    with torch.no_grad():
        block.first.weight[2] = -block.first.weight[2].abs()
    return block


def test_it_is_a_relu() -> None:
    values = torch.randn(2, 4, 5, 5)
    assert torch.equal(Rectified(4)(values), functional.relu(values))


def test_a_dead_channel_gets_a_new_filter_and_the_network_stays_what_it_is() -> None:
    block = block_with_a_dead_channel()
    dead, before = block.first.weight[2].clone(), block(IMAGE)
    alive = block.first.weight[[0, 1, 3]].clone(), block.second.weight[:, [0, 1, 3]].clone()
    for _ in range(PATIENCE - 1):
        block(IMAGE)
    assert torch.equal(block.first.weight[2], dead)
    assert torch.allclose(block(IMAGE), before, atol=1e-6)
    assert not torch.equal(block.first.weight[2], dead)
    assert torch.equal(block.first.weight[[0, 1, 3]], alive[0])
    assert torch.equal(block.second.weight[:, [0, 1, 3]], alive[1])


def test_a_revived_channel_learns() -> None:
    block = block_with_a_dead_channel()
    block(IMAGE).square().sum().backward()
    assert block.second.weight.grad is not None
    assert not block.second.weight.grad[:, 2].any()
    for _ in range(PATIENCE):
        block(torch.randn(IMAGE.shape))
    block.second.weight.grad = None
    block(torch.randn(IMAGE.shape)).square().sum().backward()
    assert block.second.weight.grad is not None
    assert block.second.weight.grad[:, 2].any()


def test_one_value_in_all_batches_keeps_a_channel() -> None:
    block = block_with_a_dead_channel()
    kept = block.first.weight.clone()
    block(-IMAGE)  # passes the channel that is otherwise dead
    for _ in range(PATIENCE):
        block(IMAGE)
    assert torch.equal(block.first.weight, kept)


def test_evaluation_changes_nothing_and_counts_for_nothing() -> None:
    block = block_with_a_dead_channel().eval()
    kept = {name: value.clone() for name, value in block.state_dict().items()}
    for _ in range(PATIENCE + 1):
        block(IMAGE)
    assert all(torch.equal(value, kept[name]) for name, value in block.state_dict().items())


def test_both_networks_of_a_denoiser_watch_over_all_their_blocks() -> None:
    for quantised in ("false", "true"):
        made = tiny.learner("photo-dae", f"quantised={quantised}")
        assert isinstance(made, Dae)
        for phase in ("colour", "grey"):
            made.losses(phase, made.draw(), 0.0)
        watched = [module for module in made.modules() if isinstance(module, Rectified)]
        assert len(watched) == 2 * sum(1 for name, _ in made.colour.named_modules() if name.endswith("first"))
        assert all(int(module.batches) == 1 for module in watched)
