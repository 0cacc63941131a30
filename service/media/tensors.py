"""Tensors as the Open Inference Protocol sends them: in JSON, or as bytes behind it.

https://github.com/kserve/open-inference-protocol, with the extension for binary tensors. Of a mixed body the header
`Inference-Header-Content-Length` tells where its JSON ends; the bytes of the binary tensors follow, little-endian, in
the order in which the JSON names them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from service.problems import Fault, InvalidFields

DATATYPES = {"float32": "FP32", "int32": "INT32", "int64": "INT64"}
"""The protocol's names of the types that graphs take and give."""
SIZE = "Inference-Header-Content-Length"
BINARY = "application/octet-stream"
MOST_TENSORS = 16
MOST_AXES = 8
Arrays = dict[str, NDArray[Any]]


class Tensor(Protocol):
    """What a graph declares of an input or output: a number in `shape` is fixed, a letter is a free axis."""

    @property
    def dtype(self) -> str: ...

    @property
    def shape(self) -> tuple[int | str, ...]: ...


class Open(BaseModel):
    """The protocol is open: what a client sends besides, servers ignore."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, allow_inf_nan=False)


class Input(Open):
    name: str
    shape: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(max_length=MOST_AXES)]
    datatype: str
    data: Any = None
    parameters: dict[str, Any] = {}


class Output(Open):
    name: str
    parameters: dict[str, Any] = {}


class InferRequest(Open):
    id: Annotated[str, Field(max_length=128)] = ""
    inputs: Annotated[list[Input], Field(min_length=1, max_length=MOST_TENSORS)]
    outputs: Annotated[list[Output], Field(max_length=MOST_TENSORS)] = []
    parameters: dict[str, Any] = {}


@dataclass(frozen=True)
class Wanted:
    """The outputs that are answered, in that order, and which of them as bytes."""

    names: Sequence[str]
    binary: frozenset[str]


def arrays(ask: InferRequest, behind: bytes, declared: Mapping[str, Tensor]) -> Arrays:
    """The inputs of a graph that has these, `behind` being the bytes after the JSON. Free axes fit each other.

    Raises:
        InvalidFields: one is missing, unknown, or not what the graph takes.
    """
    found: Arrays = {}
    axes: dict[str, int] = {}
    place = 0
    for index, given in enumerate(ask.inputs):
        at = f"/inputs/{index}"
        tensor = declared.get(given.name)
        if tensor is None or given.name in found:
            what = "is given twice" if given.name in found else f"is no input: there are {', '.join(declared)}"
            raise InvalidFields([Fault(f"{at}/name", f"{given.name!a} {what}")])
        _check_shape(given, tensor, axes, at)
        size = given.parameters.get("binary_data_size")
        if size is None:
            found[given.name] = _of_json(given, tensor.dtype, at)
        else:
            found[given.name] = _of_bytes(given, size, behind[place:], tensor.dtype, at)
            place += size
    if missing := [name for name in declared if name not in found]:
        raise InvalidFields([Fault("/inputs", f"lacks {', '.join(missing)}")])
    if place != len(behind):
        raise InvalidFields([Fault("", f"has {len(behind)} bytes after its JSON; its tensors need {place}")])
    return found


def wanted(ask: InferRequest, declared: Mapping[str, Tensor]) -> Wanted:
    """Which outputs a graph that has these shall answer: those that are named, or all.

    Raises:
        InvalidFields: the graph has no output of a name.
    """
    binary = ask.parameters.get("binary_data_output") is True
    if not ask.outputs:
        return Wanted(list(declared), frozenset(declared) if binary else frozenset())
    for index, output in enumerate(ask.outputs):
        if output.name not in declared:
            detail = f"{output.name!a} is no output: there are {', '.join(declared)}"
            raise InvalidFields([Fault(f"/outputs/{index}/name", detail)])
        if "classification" in output.parameters:
            raise InvalidFields([Fault(f"/outputs/{index}/parameters/classification", "is not served")])
    names = list(dict.fromkeys(output.name for output in ask.outputs))
    as_bytes = {output.name for output in ask.outputs if output.parameters.get("binary_data", binary) is True}
    return Wanted(names, frozenset(as_bytes))


def write(head: Mapping[str, Any], outputs: Mapping[str, NDArray[Any]], form: Wanted) -> tuple[bytes, int]:
    """The body of an answer, and the length of its JSON, which is the whole where no output is wanted as bytes."""
    told: list[dict[str, Any]] = []
    behind: list[bytes] = []
    for name in form.names:
        array = outputs[name]
        entry: dict[str, Any] = {"name": name, "datatype": DATATYPES[array.dtype.name], "shape": list(array.shape)}
        if name in form.binary:
            data = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
            behind.append(data)
            entry["parameters"] = {"binary_data_size": len(data)}
        else:
            entry["data"] = array.ravel().tolist()
        told.append(entry)
    text = json.dumps({**head, "outputs": told}, separators=(",", ":")).encode()
    return b"".join([text, *behind]), len(text)


def metadata(tensors: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """Inputs or outputs as the protocol describes them; a free axis is -1."""
    return [
        {
            "name": name,
            "datatype": DATATYPES[tensor.dtype],
            "shape": [axis if isinstance(axis, int) else -1 for axis in tensor.shape],
        }
        for name, tensor in tensors.items()
    ]


def _check_shape(given: Input, tensor: Tensor, axes: dict[str, int], at: str) -> None:
    if given.datatype != DATATYPES[tensor.dtype]:
        raise InvalidFields([Fault(f"{at}/datatype", f"is {given.datatype!a}; {DATATYPES[tensor.dtype]} is right")])
    fits = len(given.shape) == len(tensor.shape) and all(
        length == (axis if isinstance(axis, int) else axes.setdefault(axis, length))
        for length, axis in zip(given.shape, tensor.shape, strict=True)
    )
    if not fits:
        right = ", ".join(str(axes.get(axis, axis) if isinstance(axis, str) else axis) for axis in tensor.shape)
        raise InvalidFields([Fault(f"{at}/shape", f"is {given.shape}; [{right}] is right")])


def _of_json(given: Input, dtype: str, at: str) -> NDArray[Any]:
    kinds = "if" if dtype.startswith("float") else "i"
    try:
        data = np.asarray(given.data)
    except ValueError:  # lists of different lengths
        data = np.asarray(None)
    if data.dtype.kind not in kinds and data.size:
        what = "numbers" if "f" in kinds else "integers"
        raise InvalidFields([Fault(f"{at}/data", f"must be a list of {what}, flat or nested as the shape is")])
    if data.size != math.prod(given.shape):
        raise InvalidFields([Fault(f"{at}/data", f"has {data.size} values; {math.prod(given.shape)} are right")])
    bounds = np.finfo(dtype) if "f" in kinds else np.iinfo(dtype)
    if data.size and (data.min() < bounds.min or data.max() > bounds.max):
        raise InvalidFields([Fault(f"{at}/data", f"has a value that {given.datatype} does not hold")])
    return data.astype(dtype).reshape(given.shape)


def _of_bytes(given: Input, size: Any, behind: bytes, dtype: str, at: str) -> NDArray[Any]:
    kind = np.dtype(dtype).newbyteorder("<")
    right = math.prod(given.shape) * kind.itemsize
    if isinstance(size, bool) or size != right:
        raise InvalidFields([Fault(f"{at}/parameters/binary_data_size", f"is {size!a}; {right} is right")])
    if len(behind) < right:
        raise InvalidFields([Fault(at, f"needs {right} bytes after the JSON; {len(behind)} are left")])
    return np.frombuffer(behind, kind, math.prod(given.shape)).astype(dtype, copy=False).reshape(given.shape)
