"""`sample.npz`: recorded inputs and outputs of every graph, and how they are replayed.

Arrays are called `GRAPH/in/INPUT` and `GRAPH/out/OUTPUT`. They are drawn at random or
synthetic, so that the file may be shipped whatever the training data's licence says.
"""

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.manifest import Graph, Manifest, Tensor

Arrays = Mapping[str, NDArray[Any]]
MAX_BYTES = 64 * 2**20


class SampleError(ValueError):
    """The sample cannot be read, does not fit its graphs, or does not replay."""


@dataclass(frozen=True)
class Recording:
    """One run of one graph."""

    inputs: Arrays
    outputs: Arrays


def write(recordings: Mapping[str, Recording]) -> bytes:
    """All recordings as one compressed `.npz`."""
    arrays: dict[str, NDArray[Any]] = {}
    for graph, run in recordings.items():
        arrays |= {f"{graph}/in/{name}": array for name, array in run.inputs.items()}
        arrays |= {f"{graph}/out/{name}": array for name, array in run.outputs.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def read(data: bytes, graphs: Mapping[str, Graph]) -> dict[str, Recording]:
    """The recording of every graph.

    Raises:
        SampleError: not an `.npz` of plain arrays, larger than 64 MiB unpacked, an array
            missing, or one whose type or shape is not the graph's.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise SampleError(f"sample.npz unpacks to more than {MAX_BYTES} bytes")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            found = {name: np.asarray(arrays[name]) for name in arrays.files}  # an entry may be bytes
    except SampleError:
        raise
    except Exception as error:  # numpy and zipfile raise a dozen kinds for a broken file
        raise SampleError(f"sample.npz cannot be read: {error}") from error
    runs: dict[str, Recording] = {}
    for graph, spec in graphs.items():
        runs[graph] = Recording(
            {name: _take(found, f"{graph}/in/{name}", tensor) for name, tensor in spec.inputs.items()},
            {name: _take(found, f"{graph}/out/{name}", tensor) for name, tensor in spec.outputs.items()},
        )
    if found:
        raise SampleError(f"sample.npz holds arrays of no graph: {sorted(found)}")
    return runs


def replay(manifest: Manifest, data: bytes, run: Callable[[str, Arrays], Arrays]) -> None:
    """Run every graph on its recorded inputs and compare with the recorded outputs.

    `run(graph, inputs)` gives the outputs by name.

    Raises:
        SampleError: an output is not finite or further from the recorded one than the
            manifest's tolerance.
    """
    for graph, recording in read(data, manifest.graphs).items():
        outputs = run(graph, recording.inputs)
        for name, tolerance in manifest.sample.tolerance[graph].items():
            got, recorded = outputs[name], recording.outputs[name]
            if got.shape != recorded.shape or not np.isfinite(got).all():
                raise SampleError(f"{graph}.{name} is not finite, or not of its recorded shape")
            distance = float(np.abs(got - recorded).max(initial=0.0))
            if not distance <= tolerance:
                raise SampleError(f"{graph}.{name} is {distance:.3g} from its record; {tolerance:.3g} is allowed")


def _take(found: dict[str, NDArray[Any]], name: str, tensor: Tensor) -> NDArray[Any]:
    if name not in found:
        raise SampleError(f"sample.npz has no array {name}")
    array = found.pop(name)
    fits = len(array.shape) == len(tensor.shape) and all(
        isinstance(axis, str) or axis == size for axis, size in zip(tensor.shape, array.shape, strict=True)
    )
    if array.dtype != tensor.dtype or not fits:
        raise SampleError(f"{name} is {array.dtype} {array.shape}, not {tensor.dtype} {tensor.shape}")
    return array
