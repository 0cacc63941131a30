"""What an ONNX file may be, checked on its bytes before any runtime sees it."""

from collections.abc import Iterator

import onnx
from google.protobuf.message import DecodeError

from models.manifest import OPSET, Graph, Tensor

DTYPES: dict[int, str] = {
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.INT32: "int32",
    onnx.TensorProto.INT64: "int64",
}


class GraphError(ValueError):
    """The file is no graph that may be loaded, or not the one that the manifest declares."""


def check(data: bytes, declared: Graph) -> None:
    """Refuse what could surprise a runtime.

    Raises:
        GraphError: the bytes are no ONNX model, name external data, use an operator outside
            the standard set or functions of their own, are of another operator set, or have
            inputs or outputs that are not the declared ones.
    """
    if data[4:8] == b"ORTM":  # onnxruntime would read its own format, whatever else the bytes are
        raise GraphError("it is in onnxruntime's own format, not an ONNX model")
    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise GraphError(f"not an ONNX model: {error}") from error
    if [(opset.domain or "ai.onnx", opset.version) for opset in model.opset_import] != [("ai.onnx", OPSET)]:
        raise GraphError(f"operators must be of the standard set {OPSET} and of no other domain")
    if model.functions or model.training_info:
        raise GraphError("the model defines functions or training steps of its own")
    for graph in _graphs(model.graph):
        for node in graph.node:
            if node.domain not in ("", "ai.onnx"):
                raise GraphError(f"operator {node.op_type} is of the unknown domain {node.domain!r}")
        constants = [attribute for node in graph.node for attribute in node.attribute]
        if graph.sparse_initializer or any(a.HasField("sparse_tensor") or a.sparse_tensors for a in constants):
            raise GraphError("sparse weights are not served")
    for tensor in _weights(model.graph):
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise GraphError(f"weight {tensor.name!r} lies outside the file")
    names = {tensor.name for tensor in model.graph.initializer}
    for kind, values, wanted in (
        ("inputs", [value for value in model.graph.input if value.name not in names], declared.inputs),
        ("outputs", list(model.graph.output), declared.outputs),
    ):
        found = {value.name: value.type.tensor_type for value in values}
        if set(found) != set(wanted):
            raise GraphError(f"{kind} are {sorted(found, key=str)}, declared are {sorted(wanted)}")
        for name, tensor in wanted.items():
            if not _same(found[name], tensor):
                raise GraphError(f"{kind[:-1]} {name!r} is not the declared {tensor.dtype} {list(tensor.shape)}")


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and those inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                yield from _graphs(inner)


def _weights(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    for inner in _graphs(graph):
        yield from inner.initializer
        for node in inner.node:
            for attribute in node.attribute:
                yield from (attribute.t, *attribute.tensors)


def _same(found: onnx.TypeProto.Tensor, declared: Tensor) -> bool:
    if DTYPES.get(found.elem_type) != declared.dtype or len(found.shape.dim) != len(declared.shape):
        return False
    axes = [axis.dim_value if axis.HasField("dim_value") else axis.dim_param for axis in found.shape.dim]
    return axes == list(declared.shape)
