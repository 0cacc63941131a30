import numpy as np
import pytest

from service.runtime.session import NoDevice, NotFinite, Session, cuda_sentence, has_cuda
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
    together = session.run_rows_alike(asks, 16)
    for size in (1, 2, 3, 5, 7):
        for start in range(0, 16, size):
            batch = session.run_rows_alike(asks[start : start + size], 16)
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


def test_the_device_is_where_the_graph_runs() -> None:
    assert Session(generate()[1]["decode.onnx"], "cpu").device == "cpu"


@pytest.mark.skipif(has_cuda(), reason="this onnxruntime was built for CUDA")
def test_without_a_build_for_cuda_there_is_no_cuda() -> None:
    with pytest.raises(NoDevice, match="built without CUDA"):
        Session(generate()[1]["decode.onnx"], "cuda")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "[ONNXRuntimeError] : 1 : FAIL : Failed to load library /x/libonnxruntime_providers_cuda.so with error: "
            "libcublasLt.so.13: cannot open shared object file: No such file or directory",
            "libcublasLt.so.13: cannot open shared object file: No such file or directory",
        ),
        (
            "/src/cuda_call.cc:154 void CudaCall(int) [with ERRTYPE = cudaError; bool THRW = true] CUDA failure 35: "
            "CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; hostname=vm ; line=355 ; "
            "expr=cudaSetDevice(info_.device_id); \n\n",
            "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version",
        ),
        (
            "clean.clean is 0.1 from its record; 0.001 is allowed",
            "clean.clean is 0.1 from its record; 0.001 is allowed",
        ),
    ],
)
def test_reasons_are_one_sentence(said: str, told: str) -> None:
    assert cuda_sentence(RuntimeError(said)) == told
