"""Exported graphs, run by onnxruntime: what is measured is what is shipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray


class Graphs:
    """Named graphs from their ONNX bytes, on the CPU."""

    def __init__(self, graphs: Mapping[str, bytes]) -> None:
        options = ort.SessionOptions()
        # Threads that go on spinning after a run would take their time from the graph that is run, or timed, next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.sessions = {
            name: ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
            for name, data in graphs.items()
        }

    def inputs(self, graph: str) -> dict[str, list[int | str]]:
        """Shapes of one graph's inputs by name; a letter is a free axis."""
        return {tensor.name: tensor.shape for tensor in self.sessions[graph].get_inputs()}

    def run(self, graph: str, **inputs: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Outputs of one graph by name."""
        session = self.sessions[graph]
        names = [output.name for output in session.get_outputs()]
        return {name: np.asarray(array) for name, array in zip(names, session.run(names, inputs), strict=True)}

    def in_batches(self, graph: str, rows: int, **inputs: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """The same for many rows, `rows` at a time."""
        total = len(next(iter(inputs.values())))
        parts = [
            self.run(graph, **{name: array[start : start + rows] for name, array in inputs.items()})
            for start in range(0, total, rows)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
