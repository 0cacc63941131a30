import numpy as np
import onnxruntime
import pytest

from service.runtime.session import CUDA, NoDevice, NotFinite, Session
from tests.versions import film_items, generate, recommend


def rows(count: int, length: int = 8) -> list[dict[str, np.ndarray]]:
    draw = np.random.default_rng(0)
    return [
        {
            "item_index": draw.integers(0, 40, length).astype(np.int32),
            "rating": draw.uniform(0.5, 5, length).astype(np.float32),
        }
        for _ in range(count)
    ]


def test_a_row_has_the_same_bits_in_every_batch() -> None:
    session = Session(recommend(hidden=256)[1]["score.onnx"], "cpu")
    asks = rows(16)
    together = session.run_rows_alike(asks)
    for size in (1, 2, 3, 5, 7):
        for start in range(0, 16, size):
            batch = session.run_rows_alike(asks[start : start + size])
            assert len(batch) == len(asks[start : start + size])
            for answer, expected in zip(batch, together[start : start + size], strict=True):
                assert isinstance(answer, dict)
                assert isinstance(expected, dict)
                for name, array in expected.items():
                    assert np.array_equal(answer[name], array)


def test_a_row_that_is_not_finite_is_kept_from_its_caller_and_harms_no_other() -> None:
    session = Session(recommend()[1]["score.onnx"], "cpu")
    bad, good = rows(2)
    bad["rating"][0] = np.nan
    first, second = session.run_rows([bad, good])
    assert isinstance(first, NotFinite)
    assert isinstance(second, dict)
    assert second["score"].shape == (len(film_items()),)


def test_the_device_is_what_onnxruntime_says() -> None:
    graph = generate()[1]["decode.onnx"]
    if CUDA in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    assert Session(graph, "cpu").device == "cpu"
    assert Session(graph, "auto").device == "cpu"
    with pytest.raises(NoDevice, match="HARMONIUM_DEVICE is cuda"):
        Session(graph, "cuda")
