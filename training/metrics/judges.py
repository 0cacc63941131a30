"""Judges that are kept: classifiers of public data sets, made once, so that all models of these data have one unit.

`training/judges/NAME/` holds `judge.onnx`, `judge.json` (how it was made, and how good it is) and `reference.npz`: mean
and covariance of the features of the pictures that versions are measured on.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.manifest import Closed, Graph, Tensor
from training import export
from training.data.labelled import Images, Pictures
from training.graphs import Graphs
from training.learners import judge
from training.metrics.distances import Features, Gaussian

FOLDER = Path(__file__).parent.parent / "judges"
GRAPH, RECORD, REFERENCE = "judge", "judge.json", "reference.npz"


class Record(Closed):
    """`judge.json`: what a judge was made from, how, and how often it is right on the `measured` test pictures."""

    data: str
    data_sha256: str
    graph_sha256: str
    seed: int
    steps: int
    seconds: float
    """Of processor time, for training."""
    accuracy: float
    measured: int
    torch: str


@dataclass(frozen=True)
class Kept:
    """An exported judge with its `record`, and the `reference` that Frechet distances are from."""

    graphs: Graphs
    record: Record
    reference: Gaussian

    def look(self, images: Images) -> tuple[NDArray[np.int64], Features]:
        """Predicted classes [N] and features [N,64] of uint8 pictures [N,C,H,W]."""
        return _look(self.graphs, images)


def find(data: Pictures) -> Kept | None:
    """The judge that was made from these very data, if there is one.

    Raises:
        ValueError: its graph is not the one of its record.
    """
    for path in sorted(FOLDER.glob(f"*/{RECORD}")):
        record = Record.model_validate_json(path.read_bytes())
        if record.data_sha256 == data.sha256:
            graph = (path.parent / f"{GRAPH}.onnx").read_bytes()
            if hashlib.sha256(graph).hexdigest() != record.graph_sha256:
                raise ValueError(f"{path.parent}: {GRAPH}.onnx is not the graph that {RECORD} tells of; make it anew")
            with np.load(path.parent / REFERENCE) as stored:
                reference = Gaussian(*(stored[name].astype(np.float64) for name in ("mean", "covariance")))
            return Kept(Graphs({GRAPH: graph}), record, reference)
    return None


def make(data: Pictures, home: Path, steps: int, seed: int = 0) -> Record:
    """Train a judge on the training pictures and write it to the folder `home`, over what is there.

    Raises:
        training.export.NotEqual: onnxruntime does not compute what torch computes; nothing is written.
    """
    start = time.process_time()
    made = judge.train_judge(data.train, len(data.classes), steps, seed)
    seconds = time.process_time() - start
    graph, _ = export.proven(GRAPH, judge.exports(made, data.shape), _declared(data))
    classes, features = _look(Graphs({GRAPH: graph}), data.measured.images)
    reference = Gaussian.of(features)
    record = Record(
        data=data.name,
        data_sha256=data.sha256,
        graph_sha256=hashlib.sha256(graph).hexdigest(),
        seed=seed,
        steps=steps,
        seconds=round(seconds, 1),
        accuracy=float((classes == data.measured.labels).mean()),
        measured=len(classes),
        torch=version("torch"),
    )
    home.mkdir(parents=True, exist_ok=True)
    (home / f"{GRAPH}.onnx").write_bytes(graph)
    np.savez(home / REFERENCE, mean=reference.mean, covariance=reference.covariance)
    (home / RECORD).write_text(record.model_dump_json(indent=2) + "\n")
    return record


def _look(graphs: Graphs, images: Images) -> tuple[NDArray[np.int64], Features]:
    parts = [images[start : start + judge.ROWS] for start in range(0, len(images), judge.ROWS)]
    found = [graphs.run(GRAPH, image=part.astype(np.float32) / 255) for part in parts]
    classes = np.concatenate([outputs["logits"].argmax(axis=1) for outputs in found])
    return classes, np.concatenate([outputs["features"] for outputs in found]).astype(np.float64)


def _declared(data: Pictures) -> Graph:
    rows = {"image": data.shape, "logits": (len(data.classes),), "features": (judge.FEATURES,)}
    tensors = {name: Tensor(dtype="float32", shape=("B", *axes)) for name, axes in rows.items()}
    return Graph(inputs={"image": tensors.pop("image")}, outputs=tensors, max_batch=judge.ROWS)
