import gc
import io
import re
import shutil
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from models.store import Store
from service import settings
from service.metrics import Metrics
from service.runtime.library import Library
from service.runtime.room import COST
from service.runtime.session import cuda_hindrance, has_cuda
from service.settings import Settings
from tests.processes import ROOT
from tests.service.conftest import png, refused, serving
from tests.versions import denoise, generate, publish_all


def until(client: httpx.Client, true: Callable[[dict[str, Any]], bool], name: str) -> dict[str, Any]:
    """Ask for the list of models again and again until it is as expected, for 20 seconds at most."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        models = {model["name"]: model for model in client.get("/v1/models").json()["models"]}
        if name in models and true(models[name]):
            return models[name]
    pytest.fail(f"{name} did not change in time")


def states(model: dict[str, Any]) -> dict[int, str]:
    return {version["version"]: version["state"] for version in model["versions"]}


def test_the_list_of_models(client: httpx.Client) -> None:
    models = client.get("/v1/models").json()["models"]
    assert [model["name"] for model in models] == ["digits-gan", "digits-vae", "movies-rbm", "photo-dae"]
    assert models[2] == {
        "name": "movies-rbm",
        "family": "rbm",
        "tasks": ["recommend"],
        "versions": [{"version": 1, "state": "live", "device": "cpu", "created": "2026-01-01T00:00:00Z"}],
        "default_for": ["recommend"],
    }


def test_the_public_part_of_a_manifest(client: httpx.Client) -> None:
    answer = client.get("/v1/models/photo-dae")
    tree = answer.json()
    assert answer.headers["x-model-version"] == "1"
    assert tree == client.get("/v1/models/photo-dae/versions/1").json()
    assert {"summary", "credit", "tasks", "metrics", "created", "family"} <= set(tree)
    assert tree["credit"]["licence"]
    assert tree["tasks"][0]["sigma_max"] == 75
    assert {"files", "made_by", "sample"}.isdisjoint(tree)


def test_models_that_are_not_there(client: httpx.Client) -> None:
    assert "photo-dae" in refused(client.get("/v1/models/nobody"), 404, "unknown-model")
    for number in ("2", "0", "x", "1" * 50, "-1"):
        refused(client.get(f"/v1/models/photo-dae/versions/{number}"), 404, "unknown-version")
    assert "photo-dae" in refused(client.post("/v1/generate", json={"model": "nobody"}), 404, "unknown-model")
    refused(client.post("/v1/generate", json={"version": 2}), 404, "unknown-version")
    refused(client.post("/v1/generate", json={"model": "photo-dae"}), 409, "wrong-task")
    refused(client.post("/v1/recommend", json={"users": [{}], "model": "photo-dae"}), 409, "wrong-task")
    for path in ("denoise", "encode"):
        headers = {"content-type": "image/png"}
        answer = client.post(f"/v1/{path}?model=movies-rbm", content=png(8, 8), headers=headers)
        refused(answer, 409, "wrong-task")


def test_a_published_version_becomes_live_and_the_old_can_be_pinned(tmp_path: Path) -> None:
    store = publish_all(tmp_path)
    with serving(tmp_path) as (_, client):
        first = client.post("/v1/generate", json={"seed": 1, "class": 1}).content
        store.publish(*generate(latent=9))
        model = until(client, lambda model: states(model) == {1: "loaded", 2: "live"}, "digits-gan")
        assert model["default_for"] == ["generate"]
        answer = client.post("/v1/generate", json={"seed": 1, "class": 1})
        assert (answer.headers["x-model-version"], answer.content != first) == ("2", True)
        pinned = client.post("/v1/generate", json={"seed": 1, "class": 1, "version": 1})
        assert (pinned.headers["x-model-version"], pinned.content) == ("1", first)
        store.retire("digits-gan", 2)
        until(client, lambda model: states(model) == {1: "live"}, "digits-gan")
        assert client.post("/v1/generate", json={"seed": 1, "class": 1}).content == first
        refused(client.post("/v1/generate", json={"version": 2}), 404, "unknown-version")


def test_a_broken_version_is_refused_with_its_reason_while_the_old_serves(tmp_path: Path) -> None:
    publish_all(tmp_path)
    shutil.copytree(tmp_path / "photo-dae" / "1", tmp_path / "photo-dae" / "2")
    with serving(tmp_path) as (_, client):
        model = until(client, lambda model: len(model["versions"]) == 2, "photo-dae")
        assert states(model) == {1: "live", 2: "refused"}
        assert "photo-dae/1" in model["versions"][1]["reason"]
        assert client.get("/readyz").status_code == 200
        headers = {"content-type": "image/png"}
        answer = client.post("/v1/denoise", content=png(8, 8), headers=headers)
        assert (answer.status_code, answer.headers["x-model-version"]) == (200, "1")
        answer = client.post("/v1/denoise?version=2", content=png(8, 8), headers=headers)
        assert "refused" in refused(answer, 404, "unknown-version")
        (tmp_path / "photo-dae" / "2" / "clean.onnx").write_bytes(b"")
        shutil.rmtree(tmp_path / "photo-dae" / "2")
        Store([tmp_path]).publish(*denoise())
        until(client, lambda model: states(model) == {1: "loaded", 2: "live"}, "photo-dae")


def test_a_version_that_does_not_replay_is_refused(tmp_path: Path) -> None:
    store = publish_all(tmp_path)
    manifest, files = generate(latent=4)
    store.publish(manifest, files | {"sample.npz": _sample_with_noise(files["sample.npz"])})
    with serving(tmp_path) as (_, client):
        model = until(client, lambda model: len(model["versions"]) == 2, "digits-gan")
        assert states(model) == {1: "live", 2: "refused"}
        assert "from its record" in model["versions"][1]["reason"]


def test_a_default_model_whose_every_version_is_refused_is_not_ready(tmp_path: Path) -> None:
    publish_all(tmp_path)
    (tmp_path / "photo-dae" / "1" / "clean.onnx").write_bytes(b"broken")
    with serving(tmp_path) as (_, client):
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert "photo-dae" in ready.json()["reasons"][0]
        assert ready.json()["models"] == ["digits-gan", "digits-vae", "movies-rbm"]
        answer = client.post("/v1/denoise", content=png(8, 8), headers={"content-type": "image/png"})
        assert "refused" in refused(answer, 404, "unknown-model")
        assert client.post("/v1/generate", json={}).status_code == 200


def test_no_models_and_no_device_are_not_ready(tmp_path: Path) -> None:
    with serving(tmp_path / "absent") as (_, client):
        assert "no model is loaded" in client.get("/readyz").json()["reasons"][0]
    publish_all(tmp_path)
    with serving(tmp_path, device="cuda") as (_, client):
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert "HARMONIUM_DEVICE is cuda" in ready.json()["reasons"][0]


def test_without_a_build_for_cuda_auto_is_the_cpu_and_needs_no_reason(tmp_path: Path) -> None:
    if has_cuda():
        pytest.skip("this onnxruntime was built for CUDA")
    Store([tmp_path]).publish(*generate())
    with serving(tmp_path, device="auto") as (_, client):
        ready = client.get("/readyz").json()
        assert (ready["ready"], ready["device"], "device_reason" in ready) == (True, "cpu", False)


def test_with_a_build_for_cuda_and_no_gpu_auto_is_the_cpu_and_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reason = cuda_hindrance()
    if not has_cuda() or reason is None:
        pytest.skip("this onnxruntime was built without CUDA, or there is a driver")
    publish_all(tmp_path)
    with serving(tmp_path, device="auto") as (_, client):
        ready = client.get("/readyz").json()
        assert (ready["ready"], ready["device"], ready["device_reason"]) == (True, "cpu", reason)
        for model in client.get("/v1/models").json()["models"]:
            assert [version["device_reason"] for version in model["versions"]] == [reason]
    assert [record.levelname for record in caplog.records if reason in record.getMessage()] == ["WARNING"]


def test_what_is_loaded_serves_on_while_its_folder_cannot_be_read(tmp_path: Path) -> None:
    """As when a network's disk fails: it has lost no version."""
    disk, root = tmp_path / "disk", tmp_path / "models"
    Store([disk]).publish(*generate())

    def mount(target: Path) -> None:
        """At once: a folder that is not there for a moment has lost its versions."""
        (tmp_path / "next").symlink_to(target)
        (tmp_path / "next").rename(root)

    mount(disk)
    with serving(root, scan_seconds=0.01) as (_, client):
        mount(root)  # on itself: nobody can read that, not even root
        until_version(client, lambda version: "reason" in version)
        assert client.post("/v1/generate", json={"seed": 1}).status_code == 200
        assert client.get("/readyz").json()["ready"]
        mount(disk)
        until_version(client, lambda version: "reason" not in version)
        shutil.rmtree(root / "digits-gan")
        while client.get("/v1/models").json()["models"]:
            pass


def until_version(client: httpx.Client, so: Callable[[dict[str, Any]], bool]) -> None:
    """Until the one version there is as wanted; it is live all the time."""
    while True:
        (version,) = client.get("/v1/models").json()["models"][0]["versions"]
        assert version["state"] == "live"
        if so(version):
            return


def test_a_default_model_without_a_folder_is_no_fault(tmp_path: Path) -> None:
    Store([tmp_path]).publish(*generate())
    with serving(tmp_path) as (_, client):
        assert client.get("/readyz").json() == {"ready": True, "models": ["digits-gan"], "device": "cpu", "reasons": []}


def test_a_default_model_that_a_setting_misspells_is_a_fault(tmp_path: Path) -> None:
    Store([tmp_path]).publish(*generate())
    with serving(tmp_path, default_generate="digit-gan") as (_, client):
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["reasons"]) == (
        503,
        ["HARMONIUM_DEFAULT_GENERATE is digit-gan, and there is no such model"],
    )


def _sample_with_noise(data: bytes) -> bytes:
    with np.load(io.BytesIO(data)) as arrays:
        changed = {name: arrays[name] + (0.1 if "/out/" in name else 0) for name in arrays.files}
    changed = {
        name: array.astype(np.int64 if name.endswith("label") else np.float32) for name, array in changed.items()
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **changed)
    return buffer.getvalue()


@pytest.mark.parametrize("damage", [b"broken", None])
def test_a_loaded_version_whose_folder_is_damaged_goes_on(tmp_path: Path, damage: bytes | None) -> None:
    publish_all(tmp_path)
    graph = tmp_path / "photo-dae" / "1" / "clean.onnx"
    sound = graph.read_bytes()
    with serving(tmp_path) as (_, client):
        if damage is None:
            graph.unlink()
        else:
            graph.write_bytes(damage)
        model = until(client, lambda model: "reason" in model["versions"][0], "photo-dae")
        assert states(model) == {1: "live"}
        assert "clean.onnx" in model["versions"][0]["reason"]
        assert client.get("/readyz").status_code == 200
        answer = client.post("/v1/denoise", content=png(8, 8), headers={"content-type": "image/png"})
        assert (answer.status_code, answer.headers["x-model-version"]) == (200, "1")
        graph.write_bytes(sound)
        until(client, lambda model: "reason" not in model["versions"][0], "photo-dae")


SMALL, LARGE = {"latent": 4}, {"latent": 100}
"""Versions of some 25 and 390 KB."""


def cost(folder: Path, name: str, number: int) -> int:
    """What a version counts, in bytes."""
    return COST * sum(path.stat().st_size for path in (folder / name / str(number)).iterdir())


def outcome(library: Library, name: str) -> dict[int, str | None]:
    """Why each version of a model is refused, or None for those that are served, after another scan."""
    library.shelf = library.scan()
    return library.shelf.refused(name) | dict.fromkeys(library.shelf.loaded(name))


def test_an_older_version_makes_room_for_a_newer_one_and_gets_it_back(tmp_path: Path) -> None:
    store = Store([tmp_path])
    store.publish(*generate(**LARGE))
    library = Library(Settings(models=str(tmp_path), max_model_bytes=cost(tmp_path, "digits-gan", 1) + 1000), Metrics())
    assert outcome(library, "digits-gan") == {1: None}
    store.publish(*generate(**LARGE))
    found = outcome(library, "digits-gan")
    assert found.pop(2, "") is None
    assert re.fullmatch(
        r"it needs [\d,]+ bytes of memory, and 1,000 of .* are left; .* HARMONIUM_MAX_MODEL_BYTES, makes room", found[1]
    )
    store.retire("digits-gan", 2)
    assert outcome(library, "digits-gan") == {1: None}


def test_a_newer_version_without_room_leaves_the_older_one(tmp_path: Path) -> None:
    store = Store([tmp_path])
    store.publish(*generate(**SMALL))
    library = Library(Settings(models=str(tmp_path), max_model_bytes=cost(tmp_path, "digits-gan", 1)), Metrics())
    store.publish(*generate(**LARGE))
    found = outcome(library, "digits-gan")
    assert found[1] is None
    assert "MAX_MODEL_BYTES" in (found[2] or "")


def test_a_loaded_version_whose_folder_grows_beyond_the_room_goes_on(tmp_path: Path) -> None:
    graph = Store([tmp_path]).publish(*generate(**LARGE)) / "decode.onnx"
    library = Library(Settings(models=str(tmp_path), max_model_bytes=cost(tmp_path, "digits-gan", 1) + 1000), Metrics())
    assert outcome(library, "digits-gan") == {1: None}
    sound = graph.read_bytes()
    graph.write_bytes(sound * 2)
    for _ in range(2):
        assert outcome(library, "digits-gan") == {1: None}
        assert "MAX_MODEL_BYTES" in (library.shelf.reason("digits-gan", 1) or "")
    graph.write_bytes(sound)
    assert outcome(library, "digits-gan") == {1: None}
    assert library.shelf.reason("digits-gan", 1) is None


def test_a_loaded_version_takes_no_more_room_when_its_folder_is_damaged(tmp_path: Path) -> None:
    store = Store([tmp_path])
    graph = store.publish(*generate(**LARGE)) / "decode.onnx"
    each = cost(tmp_path, "digits-gan", 1) + 1000
    library = Library(Settings(models=str(tmp_path), max_model_bytes=2 * each), Metrics())
    assert outcome(library, "digits-gan") == {1: None}
    graph.write_bytes(graph.read_bytes() + bytes(10_000))
    for _ in range(2):
        assert outcome(library, "digits-gan") == {1: None}
        assert "decode.onnx" in (library.shelf.reason("digits-gan", 1) or "")
    store.publish(*generate(name="a-gan", **LARGE))
    assert outcome(library, "a-gan") == {1: None}


def test_default_models_come_before_others_and_these_before_older_versions(tmp_path: Path) -> None:
    store = Store([tmp_path])
    for name in ("digits-gan", "a-gan", "a-gan", "digits-gan"):
        store.publish(*generate(name=name, **LARGE))
    each = cost(tmp_path, "digits-gan", 2) + 1000
    for room, expected in (
        (1, {"digits-gan": [2], "a-gan": []}),
        (2, {"digits-gan": [2], "a-gan": [2]}),
        (3, {"digits-gan": [1, 2], "a-gan": [2]}),
    ):
        library = Library(Settings(models=str(tmp_path), max_model_bytes=room * each), Metrics())
        shelf = library.scan()
        assert {name: sorted(shelf.loaded(name)) for name in shelf.names()} == expected


def test_the_memory_that_the_document_names_is_enough_and_no_more_than_is_needed() -> None:
    page = " ".join((ROOT / "docs/operate.md").read_text().split())
    named = re.search(r"default models need `--memory (\d+)m`, all that are shipped `(\d+)m`", page)
    assert named is not None

    def loaded(megabytes: int) -> set[str]:
        room = settings.for_models(megabytes * 2**20)
        shelf = Library(Settings(models=str(ROOT / "models/zoo"), max_model_bytes=room), Metrics()).scan()
        return {name for name in shelf.names() if shelf.loaded(name)}

    defaults = set(Settings().defaults.values())
    shipped = {path.parent.name for path in ROOT.glob("models/zoo/*/[0-9]*")}
    for megabytes, names in zip(map(int, named.groups()), (defaults, shipped), strict=True):
        assert names <= loaded(megabytes)
        assert not names <= loaded(megabytes - 5)


def test_a_broken_version_takes_no_room(tmp_path: Path) -> None:
    store = Store([tmp_path])
    store.publish(*generate(**LARGE))
    (store.publish(*generate(**LARGE)) / "decode.onnx").write_bytes(b"broken")
    library = Library(Settings(models=str(tmp_path), max_model_bytes=cost(tmp_path, "digits-gan", 1)), Metrics())
    assert outcome(library, "digits-gan")[1] is None


def test_without_room_for_a_default_model_the_service_is_not_ready(tmp_path: Path) -> None:
    publish_all(tmp_path)
    with serving(tmp_path, max_model_bytes=cost(tmp_path, "digits-vae", 1)) as (_, client):
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert "MAX_MODEL_BYTES" in ready.text


def test_a_version_that_was_dropped_is_gone_at_once(tmp_path: Path) -> None:
    """Its memory must not wait for the collector of cycles, which does not know how much it is."""
    store = publish_all(tmp_path)
    library = Library(Settings(models=str(tmp_path)), Metrics())
    library.shelf = library.scan()
    versions = [weakref.ref(model) for model in library.shelf.models()]
    for name in library.shelf.names():
        store.retire(name, 1)
    gc.disable()
    try:
        library.shelf = library.scan()
        assert [version() for version in versions] == [None] * 4
    finally:
        gc.enable()
