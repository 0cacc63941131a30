from collections.abc import Callable

import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from models import graphs
from models.graphs import GraphError
from tests import versions
from tests.models import reproducible

MANIFEST, FILES = versions.encode()
ENCODE, DECLARED = FILES["encode.onnx"], MANIFEST.graphs["encode"]
BUILT = [
    versions.recommend(explains=True),
    versions.denoise(grey=True),
    versions.denoise(grey=True, blind=True),
    versions.encode_and_generate(classes=3),
    versions.generate(classes=0),
]


@pytest.mark.parametrize("built", BUILT, ids=lambda built: built[0].name)
def test_a_graph_as_declared_is_accepted(built: versions.Built) -> None:
    manifest, files = built
    for name, declared in manifest.graphs.items():
        graphs.check(files[f"{name}.onnx"], declared)


def changed(change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = onnx.load_model_from_string(ENCODE)
    change(model)
    return model.SerializeToString()


def outside(tensor: TensorProto) -> TensorProto:
    """The same tensor, its values in another file."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    return tensor


def weight(name: str = "w") -> TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, [1], b"\0\0\0\0", raw=True)


def sparse() -> onnx.SparseTensorProto:
    return helper.make_sparse_tensor(outside(weight()), helper.make_tensor("i", TensorProto.INT64, [1], [0]), [4])


def node(operator: str = "Identity", **attributes: object) -> onnx.NodeProto:
    return helper.make_node(operator, [], ["unused"], **attributes)


def branch(*nodes: onnx.NodeProto, **inside: object) -> onnx.NodeProto:
    """A node with a graph inside it."""
    output = helper.make_tensor_value_info("unused", TensorProto.FLOAT, [4])
    return node("If", then_branch=helper.make_graph(list(nodes), "inner", [], [output], **inside))


def add(inner: onnx.NodeProto) -> Callable[[onnx.ModelProto], object]:
    return lambda model: model.graph.node.append(inner)


def rename(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "picture"
    model.graph.node[0].input[0] = "picture"


REFUSED: dict[str, tuple[bytes, str]] = {
    "no ONNX": (b"no graph at all", "not an ONNX model"),
    "empty": (b"", "operators must be of the standard set"),
    "truncated": (ENCODE[:-100], "not an ONNX model"),
    "another operator set": (changed(lambda m: setattr(m.opset_import[0], "version", 17)), "standard set 18"),
    "a second operator set": (
        changed(lambda m: m.opset_import.append(helper.make_opsetid("com.microsoft", 1))),
        "no other domain",
    ),
    "two versions of the operator set": (
        changed(lambda m: m.opset_import.insert(0, helper.make_opsetid("", 21))),
        "standard set 18",
    ),
    "foreign operator": (changed(add(node("Gelu", domain="com.microsoft"))), "Gelu is of the unknown domain"),
    "foreign operator inside": (
        changed(add(branch(node("Gelu", domain="com.microsoft")))),
        "Gelu is of the unknown domain",
    ),
    "function": (changed(lambda m: m.functions.add(name="f", domain="")), "functions or training steps"),
    "training step": (changed(lambda m: m.training_info.add()), "functions or training steps"),
    "external weight": (changed(lambda m: outside(m.graph.initializer[0])), "lies outside the file"),
    "external weight inside": (changed(add(branch(initializer=[outside(weight())]))), "'w' lies outside the file"),
    "external constant": (changed(add(node("Constant", value=outside(weight())))), "'w' lies outside the file"),
    "external constant inside": (
        changed(add(branch(node("Constant", value=outside(weight()))))),
        "'w' lies outside the file",
    ),
    "sparse weight": (changed(lambda m: m.graph.sparse_initializer.append(sparse())), "sparse weights"),
    "sparse weight inside": (changed(add(branch(sparse_initializer=[sparse()]))), "sparse weights"),
    "sparse constant": (changed(add(node("Constant", sparse_value=sparse()))), "sparse weights"),
    "other input": (changed(rename), "inputs are ['picture'], declared are ['image']"),
    "more inputs": (
        changed(lambda m: m.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["B"]))),
        "inputs are ['image', 'more']",
    ),
    "fewer outputs": (changed(lambda m: m.graph.output.pop()), "outputs are ['mean']"),
    "name that is no UTF-8": (
        ENCODE.replace(b"log_variance", b"log_varianc\xff"),
        "outputs are [b'log_varianc\\xff', ",
    ),
    "input that is a weight": (
        changed(lambda m: m.graph.initializer.append(weight("image"))),
        "inputs are [], declared are ['image']",
    ),
    "other type": (
        changed(lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.DOUBLE)),
        "input 'image' is not the declared float32 ['B', 1, 28, 28]",
    ),
    "a sequence": (
        changed(
            lambda m: m.graph.output[0].type.CopyFrom(
                helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, ["B", 4]))
            )
        ),
        "output 'mean' is not the declared",
    ),
    "fixed axis": (
        changed(lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[0], "dim_value", 1)),
        "input 'image' is not the declared",
    ),
    "free axis": (
        changed(lambda m: setattr(m.graph.output[0].type.tensor_type.shape.dim[1], "dim_param", "Z")),
        "output 'mean' is not the declared",
    ),
    "fewer axes": (
        changed(lambda m: m.graph.output[0].type.tensor_type.shape.dim.pop()),
        "output 'mean' is not the declared",
    ),
    "no shape": (
        changed(lambda m: m.graph.output[0].type.tensor_type.ClearField("shape")),
        "output 'mean' is not the declared",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_graph_that_could_surprise_is_refused(kind: str) -> None:
    data, reason = REFUSED[kind]
    with pytest.raises(GraphError) as refused:
        graphs.check(data, DECLARED)
    assert reason in str(refused.value)


def test_a_model_that_onnxruntime_would_read_as_its_own_format_is_refused() -> None:
    """An unknown field in front makes the same bytes an ONNX model and an `.ort` file."""
    data = b"\xc2\x0c\x05\x00ORTM" + ENCODE
    assert onnx.load_model_from_string(data).graph == onnx.load_model_from_string(ENCODE).graph
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.Fail, match="ORT model verification failed"):
        onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    with pytest.raises(GraphError, match="onnxruntime's own format"):
        graphs.check(data, DECLARED)


@given(st.integers(0, 600) | st.integers(len(ENCODE) - 300, len(ENCODE)), st.binary(max_size=8), st.booleans())
@settings(reproducible, max_examples=400)
def test_any_bytes_are_the_declared_graph_or_refused(place: int, patch: bytes, insert: bool) -> None:
    """The weights are in the middle; what stands before and after them is the structure."""
    rest = ENCODE[place:] if insert else ENCODE[place + len(patch) :]
    for data in (patch, ENCODE[:place], ENCODE[:place] + patch + rest):
        try:
            graphs.check(data, DECLARED)
        except GraphError:
            continue
        found = onnx.load_model_from_string(data).graph
        assert {value.name for value in found.output} == set(DECLARED.outputs)
