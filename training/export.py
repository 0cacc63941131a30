"""From a trained learner to verified graphs: export, store weights as float16, prove against torch.

A graph that does not agree with torch, at several batch sizes and shapes, is not handed on.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from models.manifest import OPSET, Graph
from models.sample import Recording
from training.graphs import Graphs
from training.learners.learner import Export, Learner
from training.learners.operators import TRANSLATIONS

SMALL = 256
"""Tensors of fewer values stay float32: they cost nothing."""
HALF = ".half"
"""Ends the name of a tensor that is stored as float16."""


class NotEqual(Exception):
    """onnxruntime does not compute what torch computes; the message says where and by how much."""


def export(learner: Learner[Any]) -> tuple[dict[str, bytes], dict[str, Recording]]:
    """ONNX bytes of every graph, proven, and a recorded run of each.

    Weights are rounded to float16 first, in torch as well, so that the proof compares equals.

    Raises:
        NotEqual: an output is further from torch's than the learner's tolerance.
    """
    learner = learner.cpu().eval()
    graphs: dict[str, bytes] = {}
    recordings: dict[str, Recording] = {}
    declared = {name: graph for task in learner.tasks() for name, graph in task.graphs.items()}
    torch.manual_seed(0)
    for name, plan in learner.exports().items():
        graphs[name], recordings[name] = proven(name, plan, declared[name])
    return graphs, recordings


def proven(name: str, plan: Export, declared: Graph) -> tuple[bytes, Recording]:
    """The bytes of one graph, its module rounded to float16 as they are, and a recorded run.

    Raises:
        NotEqual: an output is further from torch's than the plan's tolerance.
    """
    _round(plan.module)
    data = to_onnx(plan, declared)
    return data, _prove(name, plan, declared, data)


def _round(module: nn.Module) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.numel() >= SMALL:
                parameter.copy_(parameter.half().float())


def to_onnx(plan: Export, declared: Graph) -> bytes:
    """The bytes of one graph, not yet proven."""
    axes: dict[str, Any] = {}
    free = {letter: torch.export.Dim.DYNAMIC for tensor in declared.inputs.values() for letter in tensor.shape}
    for name, tensor in declared.inputs.items():
        axes[name] = {place: free[axis] for place, axis in enumerate(tensor.shape) if isinstance(axis, str)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for chatty in ("torch.onnx", "onnxscript"):
            logging.getLogger(chatty).setLevel(logging.ERROR)
        program = torch.onnx.export(
            plan.module,
            plan.examples[0],
            input_names=list(declared.inputs),
            output_names=list(declared.outputs),
            dynamic_shapes=tuple(axes.values()),
            opset_version=OPSET,
            dynamo=True,
            custom_translation_table=TRANSLATIONS,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    return _polish(program.model_proto, declared)


def _polish(model: onnx.ModelProto, declared: Graph) -> bytes:
    """Declared axis names, float16 weights with a cast, nothing that tells of the machine it was made on."""
    del model.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.value_info[:]
    for values, tensors in ((model.graph.input, declared.inputs), (model.graph.output, declared.outputs)):
        for value in values:
            del value.metadata_props[:]
            del value.type.tensor_type.shape.dim[:]
            for axis in tensors[value.name].shape:
                dim = value.type.tensor_type.shape.dim.add()
                if isinstance(axis, int):
                    dim.dim_value = axis
                else:
                    dim.dim_param = axis
    casts: list[onnx.NodeProto] = []
    for place, tensor in enumerate(model.graph.initializer):
        values = numpy_helper.to_array(tensor)
        half = values.astype(np.float16) if values.dtype == np.float32 and values.size >= SMALL else None
        # What the exporter fused, a normalisation into a convolution say, is no longer exact in half precision.
        if half is not None and np.array_equal(half.astype(np.float32), values):
            stored = numpy_helper.from_array(half, tensor.name + HALF)
            casts.append(helper.make_node("Cast", [stored.name], [tensor.name], to=onnx.TensorProto.FLOAT))
            model.graph.initializer[place].CopyFrom(stored)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {node.domain or "ai.onnx" for node in model.graph.node}
    for place in reversed(range(len(model.opset_import))):
        if (model.opset_import[place].domain or "ai.onnx") not in used:
            del model.opset_import[place]
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _prove(name: str, plan: Export, declared: Graph, data: bytes) -> Recording:
    graphs = Graphs({name: data})
    first: Recording | None = None
    for example in plan.examples:
        with torch.no_grad():
            found = plan.module(*example)
        expected = dict(zip(declared.outputs, found if isinstance(found, tuple) else (found,), strict=True))
        inputs = {key: tensor.numpy() for key, tensor in zip(declared.inputs, example, strict=True)}
        outputs = graphs.run(name, **inputs)
        for output, tolerance in plan.tolerance.items():
            distance = float(np.abs(outputs[output] - expected[output].numpy()).max(initial=0))
            if not distance <= tolerance:
                shapes = {key: array.shape for key, array in inputs.items()}
                raise NotEqual(f"{name}.{output} is {distance:.3g} from torch at {shapes}; {tolerance:.3g} is allowed")
        first = first or Recording(inputs, outputs)
    assert first is not None
    return first
