"""One graph on one device, by onnxruntime."""

import contextlib
import ctypes
import functools
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Device = Literal["cpu", "cuda"]
Arrays = Mapping[str, NDArray[Any]]
CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
CUDA_OPTIONS = {
    # Samples were recorded in float32. TF32, the default, keeps 10 of the 23 bits of a factor's mantissa.
    "use_tf32": "0",
    # cuDNN's rules choose the algorithm for a shape: at once for a picture of a new size, and alike in every process.
    # EXHAUSTIVE, the default, may measure the candidates for each new shape; DEFAULT takes what always works, slowly.
    "cudnn_conv_algo_search": "HEURISTIC",
    # Each session has GPU memory of its own: it grows by what is asked for, not to the next power of two.
    "arena_extend_strategy": "kSameAsRequested",
}


class NoDevice(RuntimeError):
    """CUDA cannot be had; the message is the reason."""


class NotFinite(ArithmeticError):
    """A graph gave NaN or infinity: nothing of it may be sent."""


class Session:
    """A graph that is ready to run. The bytes are those that were verified, never a path."""

    def __init__(self, graph: bytes, device: Device, *, keep_memory: bool = True) -> None:
        """`device` is where the graph runs, never only where it should: onnxruntime is asked afterwards.

        On the CPU memory is kept from run to run, which small graphs are faster by, unless `keep_memory` is false.

        On CUDA, nodes that compute shapes still run on the CPU, where onnxruntime puts them on purpose, and so would
        one that has no kernel for CUDA. `session.disable_cpu_ep_fallback` would forbid both.

        Raises:
            NoDevice: onnxruntime cannot start CUDA. Of a graph that it cannot read, it raises its own kinds.
        """
        options = ort.SessionOptions()
        # One thread that does not spin: the event loop needs the core, and more requests use more cores anyway.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = keep_memory
        providers: list[str | tuple[str, dict[str, str]]] = [CPU]
        if device == "cuda":
            if reason := cuda_hindrance():
                raise NoDevice(reason)
            options.use_deterministic_compute = True  # or sums are added up in an order that changes
            providers.insert(0, (CUDA, CUDA_OPTIONS))
        try:
            # By its fallback, a session that meets a fault of the GPU, now or in a later run, prints it and goes on
            # on the CPU for good.
            self._session = ort.InferenceSession(graph, options, providers=providers, enable_fallback=0)
        except RuntimeError as error:  # of a graph onnxruntime's own kinds tell, which are none
            if device == "cuda":
                raise NoDevice(cuda_sentence(error)) from error
            raise
        # Without that it still goes to the CPU in silence when it cannot load its library for CUDA.
        if device == "cuda" and CUDA not in self._session.get_providers():
            raise NoDevice(_why_not_loaded())
        self.device: Device = device
        self._outputs = [output.name for output in self._session.get_outputs()]

    def nodes(self) -> dict[Device, int]:
        """How many nodes of the graph, as onnxruntime simplified it, run on each device."""
        parts = self._session.get_provider_graph_assignment_info()
        counts = {name: sum(len(part.get_nodes()) for part in parts if part.ep_name == name) for name in (CPU, CUDA)}
        return {"cpu": counts[CPU], "cuda": counts[CUDA]}

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Outputs by name."""
        arrays = cast(list[NDArray[Any]], self._session.run(self._outputs, dict(inputs)))
        return dict(zip(self._outputs, arrays, strict=True))

    def run_rows(self, rows: list[Arrays]) -> list[dict[str, NDArray[Any]] | Exception]:
        """Run rows of equal shapes (without the batch axis) as one batch; a row that is not finite is a NotFinite."""
        outputs = self.run({name: np.stack([row[name] for row in rows]) for name in rows[0]})
        answers: list[dict[str, NDArray[Any]] | Exception] = []
        for index in range(len(rows)):
            row = {name: array[index] for name, array in outputs.items()}
            finite = all(np.isfinite(array).all() for array in row.values())
            answers.append(row if finite else NotFinite(f"output is not finite: {sorted(row)}"))
        return answers

    def run_rows_alike(self, rows: list[Arrays], most: int) -> list[dict[str, NDArray[Any]] | Exception]:
        """`run_rows`, of at most `most` rows, with the same bits for a row whoever shares its batch.

        On the CPU onnxruntime multiplies a single row by another routine (a vector's) than several,
        with other last bits; from two rows up they were equal at every size measured. So a lone row
        runs beside a copy of itself. On CUDA the size of a batch chooses the routine, so every batch
        is filled up to `most`; that this is enough on a GPU, `benchmarks/graphs.py` measures there.
        """
        size = most if self.device == "cuda" else max(2, len(rows))
        return self.run_rows([*rows, *[rows[-1]] * (size - len(rows))])[: len(rows)]


def has_cuda() -> bool:
    """Whether the onnxruntime that is installed was built for CUDA; that says nothing of this machine."""
    return CUDA in ort.get_available_providers()


@functools.cache
def cuda_hindrance() -> str | None:
    """Why no session can run on CUDA, as far as it is known before one is made; None if nothing is known against it.

    Makes CUDA's libraries known where there is a driver, so this comes before the first session on CUDA.
    """
    if not has_cuda():
        return "this onnxruntime was built without CUDA"
    try:
        ctypes.CDLL("libcuda.so.1")  # onnxruntime's library for CUDA is linked with it
    except OSError as error:
        return f"the NVIDIA driver cannot be loaded: {error}"
    # Where a convolution has no routine without TF32, onnxruntime takes one with it in spite of `use_tf32`.
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
    with contextlib.redirect_stdout(sys.stderr):  # it prints what it does not find
        ort.preload_dlls()  # those of NVIDIA's Python packages, which no loader looks for
    return None


def _why_not_loaded() -> str:
    """onnxruntime only logs why it cannot load its library for CUDA; asked to register that library, it raises it."""
    library = Path(ort.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    try:
        ort.register_execution_provider_library("CUDA once more", str(library))
    except Exception as error:
        return cuda_sentence(error)
    return "onnxruntime could not load its library for CUDA"


def cuda_sentence(error: Exception) -> str:
    """What onnxruntime says of a fault of CUDA, without the places in its source."""
    found = re.search(r"with error: (?P<missing>.+)|(?P<failure>\w+ failure \d+: [^;]+?) *;", str(error))
    return (found["missing"] or found["failure"]) if found else str(error).strip()
