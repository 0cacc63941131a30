"""/v2: the Open Inference Protocol, by its own client and byte by byte."""

import hashlib
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from models.manifest import Denoise, Recommend
from models.sample import read
from models.store import Store
from tests.service.conftest import Served, png, serving
from tests.versions import denoise, encode, generate, publish_all, recommend

NUMPY = {"FP32": np.float32, "INT32": np.int32, "INT64": np.int64}
BUILT = {built[0].name: built for built in (recommend(), denoise(), encode(), generate())}


@pytest.fixture(scope="module")
def server(zoo: Path) -> Iterator[Served]:
    with serving(zoo) as (server, _):
        yield server


@pytest.fixture
def client(server: Served) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        yield client


@pytest.fixture
def plain(server: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client:
        yield client


def samples(name: str) -> dict[str, tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]]:
    """Recorded inputs and outputs of the graphs of a version, by graph."""
    manifest, files = BUILT[name]
    found = read(files["sample.npz"], manifest.graphs)
    return {graph: (dict(one.inputs), dict(one.outputs)) for graph, one in found.items()}


def tensor(name: str, array: NDArray[Any], *, binary: bool) -> triton.InferInput:
    datatype = {np.dtype(kind): name for name, kind in NUMPY.items()}[array.dtype]
    given = triton.InferInput(name, list(array.shape), datatype)
    given.set_data_from_numpy(array, binary_data=binary)
    return given


def test_the_server_and_its_health(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    told = client.get_server_metadata()
    assert told["name"] == "harmonium"
    assert "binary_tensor_data" in told["extensions"]


@pytest.mark.parametrize("name", sorted(BUILT))
def test_every_graph_tells_what_it_takes_and_gives(client: triton.InferenceServerClient, name: str) -> None:
    for graph, declared in BUILT[name][0].graphs.items():
        full = f"{name}.{graph}"
        assert client.is_model_ready(full)
        assert client.is_model_ready(full, "1")
        assert not client.is_model_ready(full, "2")
        told = client.get_model_metadata(full, "1")
        assert (told["name"], told["versions"]) == (full, ["1"])
        for key, tensors in (("inputs", declared.inputs), ("outputs", declared.outputs)):
            assert {one["name"] for one in told[key]} == set(tensors)
            for one in told[key]:
                shape = tensors[one["name"]].shape
                assert NUMPY[one["datatype"]] == np.dtype(tensors[one["name"]].dtype)
                assert one["shape"] == [axis if isinstance(axis, int) else -1 for axis in shape]


@pytest.mark.parametrize("name", sorted(BUILT))
@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_a_graph_answers_its_recorded_sample(
    client: triton.InferenceServerClient, name: str, binary_in: bool, binary_out: bool
) -> None:
    for graph, (inputs, outputs) in samples(name).items():
        answer = client.infer(
            f"{name}.{graph}",
            [tensor(key, array, binary=binary_in) for key, array in inputs.items()],
            outputs=[triton.InferRequestedOutput(key, binary_data=binary_out) for key in outputs],
            request_id="mine",
        )
        told = answer.get_response()
        assert (told["model_name"], told["model_version"], told["id"]) == (f"{name}.{graph}", "1", "mine")
        for key, expected in outputs.items():
            found = answer.as_numpy(key)
            assert found is not None
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_outputs_that_nobody_named_are_all_of_them(client: triton.InferenceServerClient) -> None:
    (inputs, outputs), *_ = samples("digits-vae").values()
    answer = client.infer("digits-vae.encode", [tensor(key, array, binary=True) for key, array in inputs.items()])
    assert {one["name"] for one in answer.get_response()["outputs"]} == set(outputs)
    for key, expected in outputs.items():
        np.testing.assert_allclose(answer.as_numpy(key), expected, rtol=1e-4, atol=1e-5)


def test_the_client_understands_a_refusal(client: triton.InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException, match=r"There is no graph 'digits-vae.decode' in version 1"):
        client.get_model_metadata("digits-vae.decode")
    latent = tensor("latent", np.zeros((1, 5), np.float32), binary=True)
    label = tensor("label", np.zeros(1, np.int64), binary=True)
    with pytest.raises(InferenceServerException, match=r"/inputs/0/shape: is \[1, 5\]; \[1, 4\] is right"):
        client.infer("digits-gan.decode", [latent, label])


def test_the_index_tells_what_is_served_and_why_the_rest_is_not(tmp_path: Path) -> None:
    (keys := tmp_path / "keys").write_text(f"ops admin {hashlib.sha256(b'secret').hexdigest()}")
    publish_all(tmp_path)
    (tmp_path / "photo-dae" / "2").mkdir()
    (tmp_path / "photo-dae" / "2" / "manifest.json").write_text("{}")
    with (
        serving(tmp_path, keys=str(keys)) as (server, _),
        triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client,
    ):
        told = client.get_model_repository_index({"Authorization": "Bearer secret"})
    ready = {(one["name"], one["version"]) for one in told if one["state"] == "READY"}
    assert ready == {(f"{name}.{graph}", "1") for name, built in BUILT.items() for graph in built[0].graphs}
    (refused,) = [one for one in told if one["state"] == "UNAVAILABLE"]
    assert (refused["name"], refused["version"]) == ("photo-dae", "2")
    assert "name: Field required" in refused["reason"]


def asked(**changes: Any) -> dict[str, Any]:
    latent = {"name": "latent", "shape": [1, 4], "datatype": "FP32", "data": [0.5, -1, 0.25, 2]}
    label = {"name": "label", "shape": [1], "datatype": "INT64", "data": [3]}
    return {"inputs": [latent | changes.pop("latent", {}), label | changes.pop("label", {})]} | changes


def infer(client: httpx.Client, graph: str = "digits-gan.decode", **body: Any) -> httpx.Response:
    return client.post(f"/v2/models/{graph}/infer", json=body)


def test_json_may_be_nested_and_other_fields_are_passed_over(plain: httpx.Client) -> None:
    flat = infer(plain, **asked())
    assert flat.status_code == 200
    assert flat.headers["content-type"] == "application/json"
    assert (flat.headers["x-model"], flat.headers["x-model-version"]) == ("digits-gan", "1")
    nested = infer(plain, **asked(latent={"data": [[0.5, -1, 0.25, 2]]}, model_name="x", parameters={"priority": 1}))
    assert nested.json()["outputs"] == flat.json()["outputs"]
    (image,) = flat.json()["outputs"]
    assert image["shape"] == [1, 1, 28, 28]
    assert len(image["data"]) == 784
    assert "id" not in flat.json()


@pytest.mark.parametrize(
    ("changes", "pointer", "told"),
    [
        ({"latent": {"name": "z"}}, "/inputs/0/name", "'z' is no input: there are label, latent"),
        ({"label": {"name": "latent"}}, "/inputs/1/name", "'latent' is given twice"),
        ({"latent": {"datatype": "FP64"}}, "/inputs/0/datatype", "is 'FP64'; FP32 is right"),
        ({"latent": {"shape": [2, 4]}}, "/inputs/0/data", "has 4 values; 8 are right"),
        ({"latent": {"shape": [4]}}, "/inputs/0/shape", "is [4]; [B, 4] is right"),
        ({"latent": {"shape": [-1, 4]}}, "/inputs/0/shape/0", "greater than or equal to 0"),
        ({"latent": {"data": "abcd"}}, "/inputs/0/data", "must be a list of numbers"),
        ({"latent": {"data": [True, False, True, True]}}, "/inputs/0/data", "must be a list of numbers"),
        ({"latent": {"data": [[1], [2, 3], [4]]}}, "/inputs/0/data", "must be a list of numbers"),
        ({"latent": {"data": [1e300, 0, 0, 0]}}, "/inputs/0/data", "has a value that FP32 does not hold"),
        ({"latent": {"data": [1000, 0, 0, 0]}}, "/inputs", "latent has 1000; from -100 to 100 is right"),
        ({"latent": {"shape": [0, 4], "data": []}, "label": {"shape": [0], "data": []}}, "/inputs", "have no rows"),
        ({"label": {"data": [3.0]}}, "/inputs/1/data", "must be a list of integers"),
        ({"label": {"data": [10]}}, "/inputs", "label has 10; from 0 to 9 is right"),
        ({"label": {"shape": [2], "data": [1, 2]}}, "/inputs/1/shape", "is [2]; [1] is right"),
        ({"label": {"parameters": {"binary_data_size": 8}}}, "/inputs/1", "needs 8 bytes after the JSON; 0 are left"),
        ({"label": {"parameters": {"binary_data_size": True}}}, "/inputs/1/parameters/binary_data_size", "8 is right"),
        ({"outputs": [{"name": "picture"}]}, "/outputs/0/name", "'picture' is no output: there are image"),
        (
            {"outputs": [{"name": "image", "parameters": {"classification": 3}}]},
            "/outputs/0/parameters/classification",
            "is not served",
        ),
    ],
)
def test_what_a_graph_does_not_take_is_pointed_at(
    plain: httpx.Client, changes: dict[str, Any], pointer: str, told: str
) -> None:
    answer = infer(plain, **asked(**changes))
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "/problems/invalid-fields"
    assert problem["error"] == problem["detail"]
    assert problem["errors"][0]["pointer"] == pointer
    assert told in problem["errors"][0]["detail"]


def test_a_missing_input_is_named(plain: httpx.Client) -> None:
    answer = infer(plain, inputs=asked()["inputs"][:1])
    assert answer.status_code == 422
    assert "/inputs: lacks label" in answer.json()["error"]


@pytest.mark.parametrize("length", ["-1", "9999999", "x", "1" * 20])
def test_a_wrong_length_of_the_json_is_refused(plain: httpx.Client, length: str) -> None:
    headers = {"inference-header-content-length": length}
    answer = plain.post("/v2/models/digits-gan.decode/infer", content=json.dumps(asked()), headers=headers)
    assert answer.status_code == 422
    assert "Inference-Header-Content-Length says" in answer.json()["error"]


def test_bytes_that_no_tensor_needs_are_refused(plain: httpx.Client) -> None:
    text = json.dumps(asked()).encode()
    headers = {"inference-header-content-length": str(len(text))}
    answer = plain.post("/v2/models/digits-gan.decode/infer", content=text + b"12", headers=headers)
    assert answer.status_code == 422
    assert "has 2 bytes after its JSON; its tensors need 0" in answer.json()["error"]
    answer = plain.post("/v2/models/digits-gan.decode/infer", content=text[:-3])
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/malformed-body")


@pytest.mark.parametrize("value", [np.nan, np.inf, -5.0])
def test_bytes_are_checked_as_numbers_are(client: triton.InferenceServerClient, value: float) -> None:
    image = np.full((1, 1, 28, 28), 0.5, np.float32)
    image[0, 0, 3, 4] = value
    with pytest.raises(InferenceServerException, match=r"image has .*; from -4 to 5 is right"):
        client.infer("digits-vae.encode", [tensor("image", image, binary=True)])


def recommending(client: triton.InferenceServerClient, index: Any, rating: Any) -> Any:
    given = np.array(index, np.int32), np.array(rating, np.float32)
    return client.infer(
        "movies-rbm.score",
        [tensor("item_index", given[0], binary=True), tensor("rating", given[1], binary=True)],
    )


def test_histories_of_items_that_are_not_there_are_refused(client: triton.InferenceServerClient) -> None:
    task = BUILT["movies-rbm"][0].task(Recommend)
    assert task is not None
    assert recommending(client, [[0, -1]], [[5, 0]]).as_numpy("score").shape == (1, task.items)
    for index in (task.items, -2):
        with pytest.raises(InferenceServerException, match="item_index has"):
            recommending(client, [[0, index]], [[5, 5]])
    with pytest.raises(InferenceServerException, match="rating has 9"):
        recommending(client, [[0, 1]], [[5, 9]])
    with pytest.raises(InferenceServerException, match="item_index has no column"):
        recommending(client, np.zeros((1, 0)), np.zeros((1, 0)))
    most = task.max_ratings
    with pytest.raises(InferenceServerException, match=f"have {most + 1} ratings a row; {most} are allowed"):
        recommending(client, np.zeros((1, most + 1)), np.ones((1, most + 1)))


@pytest.mark.parametrize(
    ("shape", "sigma", "told"),
    [
        ((1, 3, 6, 8), 0.1, "image is 6 x 8; sides must be multiples of 4"),
        ((1, 3, 0, 8), 0.1, "image has no pixels"),
        ((1, 3, 8, 8), 0.5, "sigma has 0.5; from 0 to 0.294118 is right"),
        ((1, 3, 8, 8), -0.1, "sigma has -0.1"),
        (
            (1, 3, 2000, 1000),
            0.1,
            "image has 2000000 pixels a row; 1000000 are allowed, and /v1/denoise takes any size",
        ),
    ],
)
def test_pictures_that_a_denoiser_does_not_take_are_refused(
    client: triton.InferenceServerClient, shape: tuple[int, ...], sigma: float, told: str
) -> None:
    assert BUILT["photo-dae"][0].task(Denoise) is not None
    image = tensor("image", np.zeros(shape, np.float32), binary=True)
    with pytest.raises(InferenceServerException, match=told):
        client.infer("photo-dae.clean", [image, tensor("sigma", np.array([sigma], np.float32), binary=True)])


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/v2/models/nobody.encode", 404, "unknown-model"),
        ("/v2/models/digits-vae", 404, "unknown-model"),
        ("/v2/models/digits-vae.encode/versions/7", 404, "unknown-version"),
        ("/v2/models/digits-vae.encode/versions/x", 404, "unknown-version"),
        ("/v2/models/.encode/ready", 404, "unknown-model"),
        ("/v2/nothing", 404, "unknown-path"),
        ("/v2/models/digits-vae.encode/infer", 405, "method"),
    ],
)
def test_unknown_paths(plain: httpx.Client, path: str, status: int, kind: str) -> None:
    answer = plain.get(path)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{kind}")
    assert answer.json()["error"]


def test_too_many_rows_are_refused_by_the_setting(tmp_path: Path) -> None:
    Store([tmp_path]).publish(*generate())
    with serving(tmp_path, max_pictures=2) as (_, client):
        three = asked(
            latent={"shape": [3, 4], "data": [0.0] * 12},
            label={"shape": [3], "data": [0] * 3},
        )
        answer = infer(client, **three)
        assert answer.status_code == 422
        assert answer.json()["setting"] == "HARMONIUM_MAX_PICTURES"


OPERATOR = {"Authorization": "Bearer secret"}


@pytest.fixture
def operated(tmp_path: Path) -> Iterator[tuple[Path, triton.InferenceServerClient, httpx.Client]]:
    """A folder of models, and clients with an operator's key of a service that does not look at it by itself."""
    (keys := tmp_path / "keys").write_text(f"ops infer,admin {hashlib.sha256(b'secret').hexdigest()}")
    publish_all(folder := tmp_path / "models")
    with (
        serving(folder, keys=str(keys), scan_seconds=3600) as (server, plain),
        triton.InferenceServerClient(f"127.0.0.1:{server.port}") as client,
    ):
        plain.headers.update(OPERATOR)
        yield folder, client, plain


@pytest.mark.parametrize("named", ["digits-gan", "digits-gan.decode"])
def test_a_model_is_unloaded_and_loaded_again(
    operated: tuple[Path, triton.InferenceServerClient, httpx.Client], named: str
) -> None:
    _, client, plain = operated
    client.unload_model(named, OPERATOR)
    refusal = plain.post("/v1/generate", json={"seed": 1})
    assert (refusal.status_code, refusal.json()["type"]) == (404, "/problems/unknown-model")
    assert refusal.json()["detail"] == "digits-gan is not served now: an operator unloaded it."
    (listed,) = [model for model in plain.get("/v1/models").json()["models"] if model["name"] == "digits-gan"]
    assert [version["state"] for version in listed["versions"]] == ["unloaded"]
    assert plain.get("/readyz").json()["ready"]  # it was somebody's choice
    entries = client.get_model_repository_index(OPERATOR)
    assert [one["state"] for one in entries if one["name"].startswith("digits-gan")] == ["UNAVAILABLE"]
    client.load_model(named, OPERATOR)
    assert plain.post("/v1/generate", json={"seed": 1}).status_code == 200


def test_load_finds_a_new_version_at_once(
    operated: tuple[Path, triton.InferenceServerClient, httpx.Client],
) -> None:
    folder, client, plain = operated
    manifest, files = generate()
    Store([folder]).publish(manifest, files)
    assert plain.post("/v1/generate", json={}).headers["x-model-version"] == "1"
    client.load_model("digits-gan", OPERATOR)
    assert plain.post("/v1/generate", json={}).headers["x-model-version"] == "2"


def test_load_and_unload_refuse_what_they_cannot_do(
    operated: tuple[Path, triton.InferenceServerClient, httpx.Client],
) -> None:
    folder, client, plain = operated
    for act in (client.load_model, client.unload_model):
        with pytest.raises(InferenceServerException, match="There is no model 'nowhere'"):
            act("nowhere", OPERATOR)
    with pytest.raises(InferenceServerException, match="/parameters/config"):
        client.load_model("digits-gan", OPERATOR, config="{}")
    (folder / "photo-dae" / "1" / "clean.onnx").write_bytes(b"broken")
    client.unload_model("photo-dae", OPERATOR)
    with pytest.raises(InferenceServerException, match=r"Version 1 was refused: clean\.onnx"):
        client.load_model("photo-dae", OPERATOR)
    assert plain.post("/v2/repository/models/digits-gan/load").status_code == 200  # a body is not needed
    with pytest.raises(InferenceServerException, match="There is no graph 'nonsense' in digits-gan"):
        client.unload_model("digits-gan.nonsense", OPERATOR)
    assert plain.post("/v1/generate", json={}).status_code == 200
    answer = plain.post("/v2/repository/models/digits-gan/unload", headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401


def test_a_call_that_has_begun_is_answered_by_an_unloaded_model(
    operated: tuple[Path, triton.InferenceServerClient, httpx.Client],
) -> None:
    _, client, plain = operated
    picture = png(1000, 1000, 3)
    with ThreadPoolExecutor(1) as other, httpx.Client(base_url=plain.base_url, headers=OPERATOR, timeout=60) as slow:
        call = other.submit(slow.post, "/v1/denoise", content=picture, headers={"content-type": "image/png"})
        while "harmonium_queue_depth{" not in (text := plain.get("/metrics").text) or not re.search(
            r'harmonium_queue_depth\{.*queue="pictures".*\} [1-9]', text
        ):
            assert not call.done()
        client.unload_model("photo-dae", OPERATOR)
        refused = plain.post("/v1/denoise", content=picture, headers={"content-type": "image/png"})
        assert refused.status_code == 404
        assert call.result().status_code == 200
