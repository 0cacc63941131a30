from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch.nn import functional

from tests import tiny
from training import loop
from training.export import export
from training.graphs import Graphs
from training.learners.dae import Dae, DaeSettings
from training.learners.learner import Learner
from training.learners.quantised import Bytes, QuantisedBlock, QuantisedConv, QuantisedGrow, transposed
from training.learners.quantised_unet import SHRUNK_FROM, QuantisedUNet
from training.learners.unet import Block, UNet


def followed(*batches: torch.Tensor) -> Bytes:
    """Having seen these in training."""
    found = Bytes().train()
    for values in batches:
        found(values)
    return found


def test_values_become_one_of_256_over_the_range_that_was_seen() -> None:
    seen = torch.linspace(-1, 3, 1000).view(1, 1, 10, 100)
    rounded = followed(seen).eval()(seen)
    assert len(rounded.unique()) == 256
    assert (rounded - seen).abs().max() <= 4 / 255
    assert (rounded == 0).any()  # zero is one of them, or padding would be something


def test_after_a_relu_all_256_are_above_zero() -> None:
    found = followed(torch.linspace(0, 2, 1000).view(1, 1, 10, 100))
    assert int(found.zero) == 0
    assert torch.isclose(found.scale, torch.tensor(2 / 255))


def test_the_range_follows_what_passes_by_and_stays_in_evaluation() -> None:
    ones = torch.linspace(-1, 1, 1000).view(1, 1, 10, 100)
    found = followed(ones, 3 * ones)
    assert torch.isclose(found.high, torch.tensor(1.02))
    assert torch.isclose(found.low, torch.tensor(-1.02))
    before = found.scale.clone()
    found.eval()(100 * ones)
    assert torch.equal(found.scale, before)


def test_gradients_pass_through_what_is_in_range_alone() -> None:
    found = followed(torch.linspace(-1, 1, 1000).view(1, 1, 10, 100))
    values = torch.tensor([-50.0, -0.3, 0.0, 0.77, 50.0]).view(1, 1, 1, 5).requires_grad_()
    found.low.fill_(-1)
    found(values).sum().backward()
    assert values.grad is not None
    assert values.grad.flatten().tolist() == [0, 1, 1, 1, 0]


def test_settled_weights_are_those_of_training_in_seven_bits() -> None:
    torch.manual_seed(0)
    conv = QuantisedConv(4, 4, 3, padding=1)
    with torch.no_grad():
        conv.weight[1] = 0  # a channel of zeros has no widest weight
        conv.weight[2] *= 1000
    image = torch.randn(2, 4, 8, 8)
    trained = conv.train()(image)
    conv.settle()
    assert torch.equal(conv.steps.abs().amax(dim=(1, 2, 3)), torch.tensor([63, 0, 63, 63], dtype=torch.int8))
    assert torch.allclose(conv.eval()(image), trained, rtol=1e-5, atol=1e-5)
    exact = functional.conv2d(image, conv.weight, padding=1)
    assert (trained - exact).abs().mean() < 0.02 * exact.abs().mean()


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_moves_as_it_is_told(stride: int) -> None:
    torch.manual_seed(0)
    conv, image = QuantisedConv(3, 5, 2, stride=stride).train(), torch.randn(2, 3, 8, 6)
    conv.rounding = False
    assert torch.equal(conv(image), functional.conv2d(image, conv.weight, stride=stride))


def test_growing_is_a_transposed_convolution() -> None:
    torch.manual_seed(0)
    grow, image = QuantisedGrow(6, 3).train(), torch.randn(2, 6, 5, 4)
    grow.rounding = False
    expected = functional.conv_transpose2d(image, grow.weight, stride=2)
    assert torch.allclose(grow(image), expected, rtol=1e-5, atol=1e-6)
    grow.settle()
    grow.eval()
    assert (grow(image) - expected).abs().mean() < 0.02 * expected.abs().mean()
    assert torch.equal(transposed(grow.filters()), grow.weight)


def test_a_block_adds_as_one_in_float_and_says_what() -> None:
    torch.manual_seed(0)
    block, plain = QuantisedBlock(4).train(), Block(4)
    plain.load_state_dict(block.state_dict(), strict=False)
    image = torch.randn(2, 4, 8, 8)
    total, added = block(image)
    assert (added - (plain(image) - image)).abs().max() < 0.05
    assert (total - plain(image)).abs().max() < 0.05
    assert len(added.unique()) <= 256 >= len(total.unique())


@pytest.mark.parametrize("channels", [(4,), (4, 6, 8)])
def test_where_nothing_is_added_the_picture_stays_exact(channels: tuple[int, ...]) -> None:
    """What the first layer and block made of the picture is not rounded, so that a clean one comes back."""
    torch.manual_seed(0)
    settings = DaeSettings(channels=channels, crop=32, batch_size=4, steps=1, learning_rate=1e-3, quantised=True)
    network = QuantisedUNet(3, settings, told=True).train()
    with torch.no_grad():
        for block in network.modules():
            if isinstance(block, (Block, QuantisedBlock)):
                block.second.weight.zero_()
        for grow in network.grow:
            assert isinstance(grow, QuantisedGrow)
            grow.weight.zero_()
    features = torch.randn(2, channels[0], 16, 16)
    assert torch.equal(network.inner(features), features)


def test_onnxruntime_runs_all_but_the_ends_in_integers(tmp_path: Path) -> None:
    settings = DaeSettings(
        channels=(8, 16), blocks=2, crop=32, batch_size=4, steps=1, learning_rate=1e-3, quantised=True
    )
    torch.manual_seed(0)
    dae = Dae(settings, tiny.twin("photo-dae"))
    dae.losses("colour", dae.draw(), 0)["loss"].backward()
    dae.losses("grey", dae.draw(), 0)
    dae.settle()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in dae.colour.parameters())
    graphs, recordings = export(dae)  # proves that onnxruntime agrees with torch
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "run.onnx")
    session = ort.InferenceSession(graphs["clean"], options, providers=["CPUExecutionProvider"])
    ran = [node.op_type for node in onnx.load(tmp_path / "run.onnx").graph.node]
    assert ran.count("QLinearConv") == 2 * (settings.blocks * 3 - 1) + 2  # down, bottom, up; shrink and grow
    assert ran.count("Conv") == 4  # head, the two of the first block, and tail
    assert ran.count("QuantizeLinear") == ran.count("DequantizeLinear") == 1  # in between all is in integers
    stored = {tensor.name: tensor.data_type for tensor in onnx.load_from_string(graphs["clean"]).graph.initializer}
    assert sum(kind == onnx.TensorProto.INT8 for kind in stored.values()) == 12
    (again,) = session.run(None, {name: np.asarray(value) for name, value in recordings["clean"].inputs.items()})
    assert np.array_equal(again, recordings["clean"].outputs["clean"])


def test_a_network_of_one_scale_is_exported_too() -> None:
    made = tiny.learner("photo-dae", "quantised=true", "channels=4", "blocks=2")
    for phase in ("colour", "grey"):
        made.losses(phase, made.draw(), 0.0)
    made.settle()
    assert set(export(made)[0]) >= {"clean", "clean_grey"}  # proven against torch


def test_a_wider_network_in_integers_begins_with_the_weights_of_a_narrower_one(tmp_path: Path) -> None:
    old = tiny.learner("photo-dae", "channels=4,6")
    for name, graph in export(old)[0].items():
        (tmp_path / f"{name}.onnx").write_bytes(graph)
    new = tiny.learner("photo-dae", "channels=6,8", "quantised=true", f"start={tmp_path}")
    new.prepare()
    assert isinstance(old, Dae)
    assert isinstance(new, Dae)
    for module in new.modules():
        if isinstance(module, (Bytes, QuantisedConv)):
            module.rounding = False
    assert not torch.allclose(new.colour.head.weight[:4], old.colour.head.weight, atol=0.01), "of another basis"
    image, sigma = torch.rand(2, 3, 16, 24), torch.tensor([0.02, 0.1])
    assert torch.allclose(new.colour.train()(image, sigma), old.colour(image, sigma), atol=1e-5)


@pytest.mark.parametrize(("channels", "blocks"), [("4", 2), ("4,6", 1), ("4,6,8", 2)])
def test_turning_the_finest_scale_changes_rounding_alone(channels: str, blocks: int) -> None:
    """What is computed stays, and ranges are those of the next batch."""
    form = f"channels={channels}", f"blocks={blocks}"
    made = tiny.learner("photo-dae", "quantised=true", *form, "precision=float32")
    assert isinstance(made, Dae)
    image, sigma = torch.rand(2, 3, 32, 32), torch.tensor([0.02, 0.1])

    def exactly() -> torch.Tensor:
        for module in made.modules():
            if isinstance(module, (Bytes, QuantisedConv)):
                module.rounding = False
        return made.colour.train()(image, sigma)

    before, head = exactly(), made.colour.head.weight.clone()
    made.colour.turn(lambda: made.losses("colour", made.draw(), 0.0))
    assert all(module.low == module.high == 0 for module in made.colour.modules() if isinstance(module, Bytes))
    assert torch.allclose(exactly(), before, atol=1e-5)
    assert not torch.allclose(made.colour.head.weight, head, atol=0.01)


def in_floats(*, told: bool) -> tuple[QuantisedUNet, UNet]:
    """A network in integers that rounds nothing, and a plain one of the same weights."""
    torch.manual_seed(0)
    settings = DaeSettings(channels=(4, 6), crop=32, batch_size=4, steps=1, learning_rate=1e-3, quantised=True)
    network, plain = QuantisedUNet(3, settings, told=told).train(), UNet(3, settings, told=told)
    plain.load_state_dict(network.state_dict(), strict=False)
    for module in network.modules():
        if isinstance(module, (Bytes, QuantisedConv)):
            module.rounding = False
    return network, plain


@pytest.mark.parametrize("sigma", [None, torch.tensor([0.0, 0.2, 2.0])])
def test_a_network_in_integers_is_one_in_floats_but_for_rounding(sigma: torch.Tensor | None) -> None:
    network, plain = in_floats(told=sigma is not None)
    image = torch.rand(3, 3, 16, 24)
    assert torch.allclose(network(image, sigma), plain(image, sigma), atol=1e-5)


def test_what_is_rounded_is_smaller_where_noise_is_strong() -> None:
    network, plain = in_floats(told=True)
    image, sigma = torch.rand(3, 3, 16, 24), torch.tensor([0.0, SHRUNK_FROM, 10 * SHRUNK_FROM])
    taken: list[torch.Tensor] = []
    network.entered.register_forward_pre_hook(lambda _, given: taken.append(given[0]))
    plain.get_submodule("down.0.0").register_forward_hook(lambda _, __, made: taken.append(made))
    network(image, sigma)
    plain(image, sigma)
    rounded, features = taken
    smaller = [(rounded / features)[row].median().item() for row in range(3)]
    assert smaller == pytest.approx([1, 2**-0.5, 101**-0.5], rel=1e-4)


@cache
def in_integers() -> tuple[Learner[Any], Mapping[str, bytes]]:
    """Treat it as read-only."""
    old = tiny.learner("photo-dae", "quantised=true")
    for phase in ("colour", "grey"):
        old.losses(phase, old.draw(), 0.0)
    old.settle()
    return old, export(old)[0]


@pytest.mark.parametrize("quantised", ["true", "false"])
def test_a_run_can_start_from_integers(tmp_path: Path, quantised: str) -> None:
    old, graphs = in_integers()
    for name, graph in graphs.items():
        (tmp_path / f"{name}.onnx").write_bytes(graph)
    torch.manual_seed(1)
    new = tiny.learner("photo-dae", f"quantised={quantised}", f"start={tmp_path}")
    new.prepare()
    new.settle()
    stored, found = old.state_dict(), new.state_dict()
    for name, mine in new.named_parameters():
        layer = name.removesuffix(".weight")
        if f"{layer}.steps" not in stored:
            assert torch.equal(mine, stored[name])
            continue
        rounded = stored[f"{layer}.steps"] * stored[f"{layer}.scale"].view(-1, 1, 1, 1)
        assert torch.equal(mine, transposed(rounded) if "grow" in name else rounded)
        if quantised == "true":
            assert torch.equal(found[f"{layer}.steps"], stored[f"{layer}.steps"])


def test_integers_stay_what_they_were_where_only_the_estimate_learns(tmp_path: Path) -> None:
    _, graphs = in_integers()
    for name, graph in graphs.items():
        (tmp_path / f"{name}.onnx").write_bytes(graph)
    run = tiny.learner("photo-dae", "quantised=true", f"start={tmp_path}", "learn=estimate", "steps=3")
    loop.train(run, tmp_path / "run", quiet=True)
    before, after = Graphs(graphs), Graphs(export(run)[0])
    picture, sigma = np.random.default_rng(0).random((2, 1, 32, 48), np.float32), np.array([0.05, 0.2], np.float32)
    for name, image in (("clean", picture.repeat(3, axis=1)), ("clean_grey", picture)):
        now, then = (graph.run(name, image=image, sigma=sigma)["clean"] for graph in (after, before))
        assert np.array_equal(now, then), name
    assert not np.array_equal(*(graph.run("estimate", image=picture)["sigma"] for graph in (after, before)))


@pytest.mark.parametrize("channels", [48, 70, 97])
def test_a_range_is_that_of_all_channels(channels: int) -> None:
    """One channel is louder than all others, whichever it is."""
    for loud in range(0, channels, 7):
        rounding, values = Bytes().train(), torch.zeros(20, channels, 40, 40)
        values[:, loud] = 9
        rounding(values)
        assert rounding.high == 9, loud


@pytest.mark.parametrize("planes", [3, 1])
def test_with_the_declared_overlap_tiles_in_integers_are_the_whole_picture(planes: int) -> None:
    """A difference of any size may fall on another step, so there has to be none."""
    made = tiny.learner("photo-dae", "quantised=true")
    assert isinstance(made, Dae)
    for phase in ("colour", "grey"):
        made.losses(phase, made.draw(), 0.0)
    made.settle()
    made.eval()
    (task,) = made.tasks()
    network, sigma = made.colour if planes == 3 else made.grey, torch.tensor([0.2])
    picture = torch.rand(1, planes, 1, 1) + sigma * torch.randn(1, planes, 64, 256)
    with torch.no_grad():
        whole, tile = network(picture, sigma), network(picture[..., 128 - task.overlap :], sigma)
    assert torch.allclose(tile[..., task.overlap :], whole[..., 128:], rtol=0, atol=1e-6)
