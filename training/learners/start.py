"""The other way round: from the graphs of a published version to the weights that a run begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from training.export import HALF
from training.learners.learner import Learner
from training.learners.operators import from_steps
from training.learners.quantised import Bytes, QuantisedGrow, transposed
from training.settings import SettingError

STEPS = ".steps"
TOLD = 15 / 255
"""What a network that was told the noise is taken to have been told, where it now is told nothing."""


def begin(learner: Learner[Any], folder: Path) -> bool:
    """Put the weights of the version in `folder` into `learner`, whose graphs must be of the same form.

    Its layers may have more channels. The version's are then the first of them and do not hear of the others, which
    stay as they were drawn: with all its channels the network begins as exact as the version is.

    Returns whether the version computes in integers.

    Raises:
        SettingError: a graph is missing, or a weight is, or does not fit its place or has none.
    """
    in_integers = False
    missing = {id(parameter): name for name, parameter in learner.named_parameters()}
    for name, plan in learner.exports().items():
        stored = _weights(folder / f"{name}.onnx")
        in_integers |= any(key.endswith(STEPS) for key in stored)
        known = dict(plan.module.named_parameters())
        _put_ranges(stored, plan.module)
        _tell_nothing(stored, known)
        if homeless := [key for key in stored if key.endswith((".weight", ".bias")) and key not in known]:
            raise SettingError(f"start={folder}: {homeless[0]} of {name} has no place with these settings")
        for key, parameter in known.items():
            if key not in stored:
                continue
            if not _fits(stored[key], parameter):
                have, want = (tuple(tensor.shape) for tensor in (stored[key], parameter))
                raise SettingError(f"start={folder}: {key} of {name} is {have} there and {want} with these settings")
            _put(stored[key], parameter, plan.module.get_submodule(key.rpartition(".")[0]))
            missing.pop(id(parameter), None)
    if missing:
        raise SettingError(f"start={folder}: it has no weight {next(iter(missing.values()))}")
    return in_integers


def _put_ranges(stored: dict[str, Tensor], module: nn.Module) -> None:
    """The steps to which a version in integers rounds. A network that learns on finds its own."""
    for name, rounding in module.named_modules():
        if isinstance(rounding, Bytes) and f"{name}.scale" in stored:
            rounding.scale.copy_(stored[f"{name}.scale"])
            rounding.zero.copy_(stored[f"{name}.zero"])


def _tell_nothing(stored: dict[str, Tensor], known: dict[str, nn.Parameter]) -> None:
    """Take the plane of the noise from a `UNet` that has one, if the new one has none; its share goes to the bias."""
    head, bias = "head.weight", "head.bias"
    if not {head, bias} <= stored.keys() & known.keys():
        return
    if stored[head].shape[1] == known[head].shape[1] + 1:
        stored[bias] = stored[bias].float() + TOLD * stored[head][:, -1].float().sum(dim=(1, 2))
        stored[head] = stored[head][:, :-1]


def _fits(stored: Tensor, parameter: Tensor) -> bool:
    return (
        stored.ndim == parameter.ndim
        and all(have <= room for have, room in zip(stored.shape[:2], parameter.shape[:2], strict=True))
        and stored.shape[2:] == parameter.shape[2:]
    )


@torch.no_grad()
def _put(stored: Tensor, parameter: Tensor, layer: nn.Module) -> None:
    """The stored weight into the corner of `layer`'s, and zero where its outputs would take further inputs."""
    if stored.ndim > 1:
        outputs = 1 if isinstance(layer, (nn.ConvTranspose2d, QuantisedGrow)) else 0
        parameter.narrow(outputs, 0, stored.shape[outputs]).zero_()
    parameter[tuple(map(slice, stored.shape))] = stored


def _weights(path: Path) -> dict[str, Tensor]:
    """Stored tensors by the names that torch gave them."""
    try:
        graph = onnx.load(path).graph
    except Exception as error:  # protobuf's decoding error is no public class
        raise SettingError(f"start={path.parent}: {path.name} cannot be read: {error}") from error
    stored = {
        tensor.name.removesuffix(HALF): torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in graph.initializer
    }
    for node in graph.node:
        if node.op_type == "QuantizeLinear":  # zeros that are alike may be stored once, by the name of one of them
            stored[f"{node.input[1].removesuffix('.scale')}.zero"] = stored[node.input[2]]
    for name in [name for name in stored if name.endswith(STEPS)]:  # of a convolution in integers
        layer = name.removesuffix(STEPS)
        weight = from_steps(stored[name], stored[f"{layer}.scale"])
        grows = weight.shape[2:] == (1, 1)  # as of all layers in integers `QuantisedGrow` alone does
        stored[f"{layer}.weight"] = transposed(weight) if grows else weight
    return stored
