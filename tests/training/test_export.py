import copy
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from models import graphs as contract
from models.manifest import OPSET
from tests import tiny
from tests.tiny import Exported
from training import export, recipe
from training.export import SMALL, NotEqual
from training.graphs import Graphs
from training.learners.learner import Batch


@pytest.fixture(params=recipe.names())
def made(request: pytest.FixtureRequest) -> Exported:
    return tiny.exported(request.param)


def declared(made: Exported) -> dict[str, Any]:
    return {name: graph for task in made.learner.tasks() for name, graph in task.graphs.items()}


def weights(data: bytes) -> dict[str, np.ndarray[Any, Any]]:
    return {
        tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load_model_from_string(data).graph.initializer
    }


def numbers(module: nn.Module) -> list[Tensor]:
    """Parameters and buffers, as far as they are no integers."""
    tensors = (*module.parameters(), *module.buffers())
    return [tensor.detach() for tensor in tensors if tensor.is_floating_point()]


def longer(made: Exported, name: str) -> Batch:
    """An input of other sizes than any that was proven: seven rows, and another free axis doubled."""
    torch.manual_seed(4)
    example = made.learner.exports()[name].examples[-1]
    grown = []
    for (_, tensor), part in zip(declared(made)[name].inputs.items(), example, strict=True):
        part = part[torch.arange(7) % len(part)]
        for axis, size in enumerate(tensor.shape):
            if axis and isinstance(size, str):
                part = torch.cat((part, part), dim=axis)
        grown.append(part)
    return tuple(grown)


def test_every_declared_graph_is_exported_and_accepted_by_the_store(made: Exported) -> None:
    assert set(made.graphs) == set(made.recordings) == set(declared(made))
    for name, graph in declared(made).items():
        contract.check(made.graphs[name], graph)


def test_a_graph_is_one_file_of_the_standard_operators(made: Exported) -> None:
    for name, data in made.graphs.items():
        model = onnx.load_model_from_string(data)
        assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)] == [("", 18)]
        assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
        assert not any(tensor.external_data for tensor in model.graph.initializer)
        assert not model.functions
        onnx.checker.check_model(model, full_check=True)
        assert len(data) < 100_000, f"{name} holds more than its weights"


def test_axes_bear_the_declared_names(made: Exported) -> None:
    for name, graph in declared(made).items():
        model = onnx.load_model_from_string(made.graphs[name])
        for values, tensors in ((model.graph.input, graph.inputs), (model.graph.output, graph.outputs)):
            assert [value.name for value in values] == list(tensors)
            for value in values:
                axes = [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
                assert axes == list(tensors[value.name].shape)


def test_a_graph_tells_nothing_of_the_machine_it_was_made_on(made: Exported) -> None:
    for data in made.graphs.values():
        model = onnx.load_model_from_string(data)
        assert not model.metadata_props
        assert not any(node.doc_string or node.metadata_props for node in model.graph.node)
        assert export.__file__.encode().rsplit(b"/", 2)[0] not in data


def test_large_weights_are_stored_as_half_precision_without_loss(made: Exported) -> None:
    for name, plan in made.learner.exports().items():
        large = [tensor.numpy() for tensor in numbers(plan.module) if tensor.numel() >= SMALL]
        assert large
        for values in large:
            assert np.array_equal(values, values.astype(np.float16).astype(np.float32)), "torch has what is stored"
        ordered = {np.sort(values, axis=None).tobytes() for values in large}
        stored = weights(made.graphs[name])
        halves = [values for values in stored.values() if values.dtype == np.float16]
        assert halves or any(values.dtype == np.int8 for values in stored.values())
        for values in halves:
            assert np.sort(values.astype(np.float32), axis=None).tobytes() in ordered, "it is a weight, to the bit"
        for values in stored.values():
            if values.dtype == np.float32 and values.size >= SMALL:
                with np.errstate(over="ignore"):
                    assert not np.array_equal(values, values.astype(np.float16)), "what fits in half is stored so"


def test_small_weights_stay_as_trained(made: Exported) -> None:
    for name, plan in made.learner.exports().items():
        small = [values for values in weights(made.graphs[name]).values() if values.size < SMALL]
        assert all(values.dtype != np.float16 for values in small)
        kept = [parameter for parameter in plan.module.parameters() if parameter.numel() < SMALL]
        assert not kept or any(not torch.equal(part, part.half().float()) for part in kept)


def test_onnxruntime_agrees_with_torch_at_sizes_that_were_not_tried(made: Exported) -> None:
    runner = Graphs(made.graphs)
    for name, plan in made.learner.exports().items():
        graph, example = declared(made)[name], longer(made, name)
        with torch.no_grad():
            expected = plan.module(*example)
        outputs = runner.run(name, **{key: part.numpy() for key, part in zip(graph.inputs, example, strict=True)})
        expected = expected if isinstance(expected, tuple) else (expected,)
        assert set(plan.tolerance) == set(graph.outputs) == set(outputs)
        for output, wanted in zip(graph.outputs, expected, strict=True):
            assert outputs[output].shape == tuple(wanted.shape)
            assert np.abs(outputs[output] - wanted.numpy()).max() <= plan.tolerance[output]


def test_rows_do_not_depend_on_their_neighbours(made: Exported) -> None:
    runner = Graphs(made.graphs)
    for name, plan in made.learner.exports().items():
        inputs = dict(zip(declared(made)[name].inputs, (part.numpy() for part in longer(made, name)), strict=True))
        together = runner.run(name, **inputs)
        alone = runner.in_batches(name, 1, **inputs)
        for output, tolerance in plan.tolerance.items():
            assert np.abs(together[output] - alone[output]).max() <= tolerance


def test_a_recording_is_a_run_of_the_graph(made: Exported) -> None:
    runner = Graphs(made.graphs)
    for name, recording in made.recordings.items():
        again = runner.run(name, **recording.inputs)
        assert set(again) == set(recording.outputs)
        for output, values in recording.outputs.items():
            assert np.array_equal(again[output], values)


def test_a_graph_that_differs_from_torch_is_not_handed_on(made: Exported) -> None:
    for name, plan in made.learner.exports().items():
        graph = declared(made)[name]
        export._prove(name, plan, graph, made.graphs[name])
        changed = replace(plan, module=copy.deepcopy(plan.module))
        with torch.no_grad():
            for weight in numbers(changed.module):  # a module may have some that this graph does not use
                weight[(0,) * weight.ndim] += 0.5
        with pytest.raises(NotEqual, match=rf"{name}\.\w+ is .* from torch at .* is allowed"):
            export._prove(name, changed, graph, made.graphs[name])


def test_an_answer_that_is_no_number_agrees_with_nothing(made: Exported) -> None:
    name, plan = next(iter(made.learner.exports().items()))
    changed = replace(plan, module=copy.deepcopy(plan.module))
    with torch.no_grad():
        for tensor in numbers(changed.module):
            tensor.fill_(torch.nan)
    with pytest.raises(NotEqual, match="nan from torch"):
        export._prove(name, changed, declared(made)[name], made.graphs[name])
