"""Pictures and arrays that denoise and encode refuse."""

import io

import httpx
import numpy as np
import pytest

from tests.agreement import client as api
from tests.agreement.asking import FORMATS, NPY, PNG, Array, ask, digit, noisy, png_file, refused, saved, send


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(64, np.uint8),
        np.zeros((1, 1, 16, 16, 3), np.uint8),
        np.zeros((16, 16, 7), np.uint8),
        np.zeros((0, 16), np.uint8),
        np.zeros((16, 16), np.int32),
        np.zeros((16, 16), np.complex64),
        np.zeros((16, 16), "U4"),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
@pytest.mark.parametrize("task", ["denoise", "encode"])
def test_array_of_another_shape_or_type_is_refused(client: httpx.Client, task: str, array: Array) -> None:
    refused(send(client, task, api.npy(array), NPY), 422, "unreadable-array")


@pytest.mark.parametrize("task", ["denoise", "encode"])
def test_object_array_is_refused(client: httpx.Client, task: str) -> None:
    file = io.BytesIO()
    np.save(file, np.array([[None, 1], [2, 3]], object), allow_pickle=True)
    refused(send(client, task, file.getvalue(), NPY), 422, "unreadable-array")


@pytest.mark.parametrize("kept", [3, 40, -1])
def test_truncated_array_is_refused(client: httpx.Client, kept: int) -> None:
    refused(send(client, "denoise", api.npy(noisy())[:kept], NPY), 422, "unreadable-array")


@pytest.mark.parametrize("content_type", list(FORMATS))
@pytest.mark.parametrize("task", ["denoise", "encode"])
def test_truncated_picture_is_refused(client: httpx.Client, task: str, content_type: str) -> None:
    data = saved(noisy(), content_type)
    refused(send(client, task, data[: len(data) // 2], content_type), 422, "unreadable-picture")


@pytest.mark.parametrize("content_type", list(FORMATS))
@pytest.mark.parametrize("task", ["denoise", "encode"])
def test_bytes_that_are_no_picture_are_refused(client: httpx.Client, task: str, content_type: str) -> None:
    refused(send(client, task, b"this is no picture" * 10, content_type), 422, "unreadable-picture")


@pytest.mark.parametrize("task", ["denoise", "encode"])
def test_picture_is_measured_by_its_header(client: httpx.Client, task: str) -> None:
    data = png_file(60_000, 60_000, 8, 2, b"\0")
    assert refused(send(client, task, data, PNG), 413, "picture-too-large").members["setting"]


@pytest.mark.parametrize("task", ["denoise", "encode"])
def test_picture_of_a_batch_is_measured_by_its_header(client: httpx.Client, task: str) -> None:
    data = png_file(60_000, 60_000, 8, 2, b"\0")
    refused(ask(client, task, {"images": [api.base64_of(data)]}), 413, "picture-too-large")


@pytest.mark.parametrize("task", ["denoise", "encode"])
def test_image_at_fault_is_pointed_at(client: httpx.Client, task: str) -> None:
    images = [api.base64_of(saved(digit())), api.base64_of(b"this is no picture")]
    response = ask(client, task, {"images": images})
    assert response.status_code == 422
    assert api.problem(response).pointers == ["/images/1"]


@pytest.mark.parametrize("images", [None, "x", [], [7], ["%%%"]])
@pytest.mark.parametrize("task", ["denoise", "encode"])
def test_images_of_the_wrong_kind_are_refused(client: httpx.Client, task: str, images: object) -> None:
    """Reading: "%%%" is no base64, and a batch of nothing is out of range."""
    refused(ask(client, task, {"images": images}), 422, "invalid-fields")


@pytest.mark.parametrize("task", ["denoise", "encode"])
def test_images_are_required(client: httpx.Client, task: str) -> None:
    assert refused(ask(client, task, {}), 422, "invalid-fields").pointers == ["/images"]
