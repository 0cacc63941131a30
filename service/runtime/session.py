"""One graph on one device, by onnxruntime."""

from collections.abc import Mapping
from typing import Any, Literal, cast

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

Device = Literal["auto", "cpu", "cuda"]
Arrays = Mapping[str, NDArray[Any]]
CUDA = "CUDAExecutionProvider"


class NoDevice(RuntimeError):
    """The device that was asked for cannot be had."""


class NotFinite(ArithmeticError):
    """A graph gave NaN or infinity: nothing of it may be sent."""


class Session:
    """A graph that is ready to run. The bytes are those that were verified, never a path."""

    def __init__(self, graph: bytes, device: Device) -> None:
        """Raises NoDevice if `device` is "cuda" and onnxruntime runs the graph elsewhere."""
        options = ort.SessionOptions()
        # One thread that does not spin: the event loop needs the core, and more requests use more cores anyway.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        wanted = [CUDA] if device != "cpu" and CUDA in ort.get_available_providers() else []
        self._session = ort.InferenceSession(graph, options, providers=[*wanted, "CPUExecutionProvider"])
        # onnxruntime falls back in silence: only what it says afterwards counts.
        self.device: Literal["cpu", "cuda"] = "cuda" if CUDA in self._session.get_providers() else "cpu"
        if device == "cuda" and self.device != "cuda":
            reason = "onnxruntime could not start it" if wanted else "this onnxruntime was built without it"
            raise NoDevice(f"HARMONIUM_DEVICE is cuda, but {reason}")
        self._outputs = [output.name for output in self._session.get_outputs()]

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

    def run_rows_alike(self, rows: list[Arrays]) -> list[dict[str, NDArray[Any]] | Exception]:
        """`run_rows` with the same bits for a row whoever shares its batch.

        onnxruntime multiplies a single row by another routine (a vector's) than several,
        with other last bits; from two rows up they were equal at every size measured on a
        CPU. So a lone row runs beside a copy of itself.
        """
        return self.run_rows([*rows, *rows] if len(rows) == 1 else rows)[: len(rows)]
