import io
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models import sample
from models.manifest import Graph
from models.sample import Recording, SampleError
from tests import versions
from tests.models import reproducible

GRAPH = Graph.model_validate(
    {
        "inputs": {"index": {"dtype": "int32", "shape": ("B", "N")}, "label": {"dtype": "int64", "shape": ("B",)}},
        "outputs": {"score": {"dtype": "float32", "shape": ("B", 3)}},
        "max_batch": 4,
    }
)
INDEX, LABEL, SCORE = np.zeros((2, 5), np.int32), np.zeros(2, np.int64), np.zeros((2, 3), np.float32)
GOOD = {"g/in/index": INDEX, "g/in/label": LABEL, "g/out/score": SCORE}

sizes = st.integers(0, 4)


@given(
    arrays.arrays(np.int32, st.tuples(sizes, sizes)),
    arrays.arrays(np.int64, st.tuples(sizes)),
    arrays.arrays(np.float32, st.tuples(sizes, st.just(3))),
)
@reproducible
def test_what_was_recorded_is_read(index: np.ndarray, label: np.ndarray, score: np.ndarray) -> None:
    written = sample.write({"g": Recording({"index": index, "label": label}, {"score": score})})
    read = sample.read(written, {"g": GRAPH})["g"]
    for found, wanted in ((read.inputs["index"], index), (read.inputs["label"], label), (read.outputs["score"], score)):
        assert (found.dtype, found.shape, found.tobytes()) == (wanted.dtype, wanted.shape, wanted.tobytes())


def test_the_same_recordings_are_the_same_bytes() -> None:
    assert versions.recommend()[1] == versions.recommend()[1]


@given(st.binary(max_size=60), st.integers(0, 500))
@reproducible
def test_any_bytes_are_a_sample_or_refused(patch: bytes, place: int) -> None:
    good = packed(GOOD)
    for data in (patch, good[:place] + patch + good[place + len(patch) :], good[:place]):
        try:
            read = sample.read(data, {"g": GRAPH})["g"]
        except SampleError:
            continue
        assert (read.inputs["index"].ndim, read.outputs["score"].dtype) == (2, np.float32)


def packed(arrays: dict[str, np.ndarray], **entries: bytes) -> bytes:
    """An .npz of `arrays`, pickled ones too, and of raw `entries`."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, **arrays)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "cannot be read"),
        (b"PK\x03\x04 and no more", "cannot be read"),
        (packed(GOOD)[:-30], "cannot be read"),
        (packed(GOOD | {"g/out/score": np.array([{"a": 1}], object)}), "cannot be read: Object arrays"),
        (packed(GOOD, bomb=bytes(sample.MAX_BYTES)), "unpacks to more than"),
        (packed(GOOD | {"other": SCORE}), "arrays of no graph: ['other']"),
        (packed({name: GOOD[name] for name in list(GOOD)[1:]}), "no array g/in/index"),
        (packed(GOOD | {"g/in/index": INDEX.astype(np.int64)}), "g/in/index is int64"),
        (packed(GOOD | {"g/in/index": INDEX.astype(">i4")}), "g/in/index is >i4"),
        (packed(GOOD | {"g/out/score": np.zeros((2, 4), np.float32)}), "g/out/score is float32 (2, 4)"),
        (packed(GOOD | {"g/out/score": np.zeros(3, np.float32)}), "g/out/score is float32 (3,)"),
        (packed({name: GOOD[name] for name in list(GOOD)[:2]}, **{"g/out/score.npy": b"text"}), "g/out/score is |S4"),
    ],
)
def test_a_broken_sample_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(SampleError) as refused:
        sample.read(data, {"g": GRAPH})
    assert reason in str(refused.value)


BUILT = {
    "recommend": versions.recommend(),
    "explain": versions.recommend(explains=True),
    "denoise": versions.denoise(grey=True),
    "encode": versions.encode(),
    "generate": versions.generate(),
    "unconditional": versions.generate(classes=0),
    "both": versions.encode_and_generate(classes=2),
}


@pytest.mark.parametrize("name", BUILT)
def test_every_version_made_by_hand_replays(name: str) -> None:
    manifest, files = BUILT[name]
    ran = []

    def run(graph: str, inputs: sample.Arrays) -> sample.Arrays:
        ran.append(graph)
        return versions.run(files[f"{graph}.onnx"], inputs)

    sample.replay(manifest, files["sample.npz"], run)
    assert sorted(ran) == sorted(manifest.graphs)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda mean: mean + np.float32(0.0002), "encode.mean is 0.0002 from its record; 0.0001 is allowed"),
        (lambda mean: mean * np.float32(np.nan), "encode.mean is not finite"),
        (lambda mean: mean + np.float32(np.inf), "encode.mean is not finite"),
        (lambda mean: mean[:1], "encode.mean is not finite, or not of its recorded shape"),
    ],
)
def test_a_graph_that_answers_differently_is_refused(spoil: Callable[[np.ndarray], np.ndarray], reason: str) -> None:
    manifest, files = BUILT["encode"]

    def run(graph: str, inputs: sample.Arrays) -> sample.Arrays:
        outputs = versions.run(files[f"{graph}.onnx"], inputs)
        return outputs | {"mean": spoil(outputs["mean"])}

    with pytest.raises(SampleError) as refused:
        sample.replay(manifest, files["sample.npz"], run)
    assert reason in str(refused.value)


def test_a_difference_within_the_tolerance_is_allowed() -> None:
    manifest, files = BUILT["encode"]

    def run(graph: str, inputs: sample.Arrays) -> sample.Arrays:
        outputs = versions.run(files[f"{graph}.onnx"], inputs)
        return {name: array + np.float32(versions.TOLERANCE / 2) for name, array in outputs.items()}

    sample.replay(manifest, files["sample.npz"], run)
