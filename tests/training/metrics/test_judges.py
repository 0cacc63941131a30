import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest

from models.manifest import OPSET
from tests import tiny
from training.data import mnist
from training.graphs import Graphs
from training.learners.judge import FEATURES
from training.metrics import judges
from training.metrics.distances import Gaussian
from training.metrics.judges import FOLDER, GRAPH, RECORD, REFERENCE, Record

PUBLIC = {mnist.DIGITS.name: 0.993, mnist.FASHION.name: 0.923}
"""Public data sets, and how often their judge must be right."""


def test_what_is_made_is_found_by_the_hash_of_its_data(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiny.twin("digits-gan")
    assert judges.find(data) is None, "none is kept for a twin"
    monkeypatch.setattr(judges, "FOLDER", kept)
    judge = judges.find(data)
    assert judge is not None
    assert (judge.record.data, judge.record.data_sha256) == ("synthetic", data.sha256)
    assert (judge.record.seed, judge.record.steps, judge.record.measured) == (0, 60, 100)
    classes, features = judge.look(data.measured.images)
    assert judge.record.accuracy == (classes == data.test.labels).mean()
    found = Gaussian.of(features)
    assert np.allclose(judge.reference.mean, found.mean, atol=1e-4)
    assert np.allclose(judge.reference.covariance, found.covariance, atol=1e-3)


def test_weights_are_half_and_normalisations_folded(kept: Path) -> None:
    model = onnx.load(kept / "bars" / f"{GRAPH}.onnx")
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    large = [tensor for tensor in model.graph.initializer if np.prod(tensor.dims) >= 256]
    assert {tensor.data_type for tensor in large} == {onnx.TensorProto.FLOAT16}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_data_set_has_a_good_and_small_judge(name: str) -> None:
    record = Record.model_validate_json((FOLDER / name / RECORD).read_bytes())
    graph = (FOLDER / name / f"{GRAPH}.onnx").read_bytes()
    assert record.graph_sha256 == hashlib.sha256(graph).hexdigest()
    assert record.accuracy >= PUBLIC[name]
    assert record.measured == 10_000
    assert len(graph) < 600_000
    outputs = Graphs({GRAPH: graph}).run(GRAPH, image=np.zeros((2, 1, 28, 28), np.float32))
    assert {key: array.shape for key, array in outputs.items()} == {"logits": (2, 10), "features": (2, FEATURES)}
    with np.load(FOLDER / name / REFERENCE) as reference:
        assert (reference["mean"].shape, reference["covariance"].shape) == ((FEATURES,), (FEATURES, FEATURES))
        assert np.linalg.eigvalsh(reference["covariance"]).min() > -1e-9


def test_kept_judges_are_of_different_data() -> None:
    records = [Record.model_validate_json(path.read_bytes()) for path in FOLDER.glob(f"*/{RECORD}")]
    assert sorted(path.parent.name for path in FOLDER.glob(f"*/{RECORD}")) == sorted(PUBLIC)
    assert len({record.data_sha256 for record in records}) == len(PUBLIC)
