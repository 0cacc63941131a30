"""Choosing a model and a version."""

import httpx
import pytest

from tests.agreement import client as api
from tests.agreement.asking import (
    BODIES,
    DEFAULTS,
    DENOISED,
    GIF,
    JSON,
    NPY,
    PNG,
    TASKS,
    WEBP,
    ZIP,
    body,
    call,
    digit,
    noisy,
    refused,
    saved,
    send,
)


@pytest.mark.parametrize("task", TASKS)
def test_default_model_answers(client: httpx.Client, task: str) -> None:
    assert call(client, task).json()["model"] == DEFAULTS[task]


@pytest.mark.parametrize("task", TASKS)
def test_greatest_version_that_is_loaded_answers(client: httpx.Client, task: str) -> None:
    model = next(model for model in api.models(client).value["models"] if model["name"] == DEFAULTS[task])
    greatest = max(each["version"] for each in model["versions"] if each["state"] in ("live", "loaded"))
    assert call(client, task).json()["version"] == greatest


@pytest.mark.parametrize("task", TASKS)
def test_model_and_version_are_chosen_by_fields(client: httpx.Client, versions: dict[str, int], task: str) -> None:
    version = versions[DEFAULTS[task]]
    answer = call(client, task, model=DEFAULTS[task], version=version).json()
    assert (answer["model"], answer["version"]) == (DEFAULTS[task], version)


@pytest.mark.parametrize("task", ["denoise", "encode"])
@pytest.mark.parametrize("content_type", BODIES)
def test_model_and_version_are_chosen_by_query(
    client: httpx.Client, versions: dict[str, int], task: str, content_type: str
) -> None:
    version = versions[DEFAULTS[task]]
    params = {"model": DEFAULTS[task], "version": str(version)}
    answer = send(client, task, body(digit(), content_type), content_type, JSON, params).json()
    assert (answer["model"], answer["version"]) == (DEFAULTS[task], version)


@pytest.mark.parametrize("task", TASKS)
def test_headers_name_model_and_version(client: httpx.Client, versions: dict[str, int], task: str) -> None:
    headers = call(client, task).headers
    assert (headers["x-model"], headers["x-model-version"]) == (DEFAULTS[task], str(versions[DEFAULTS[task]]))


@pytest.mark.parametrize("accept", DENOISED)
def test_headers_of_every_clean_picture_name_model_and_version(
    client: httpx.Client, versions: dict[str, int], accept: str
) -> None:
    headers = api.denoise(client, saved(noisy()), PNG, accept).headers
    assert (headers["x-model"], headers["x-model-version"]) == ("photo-dae", str(versions["photo-dae"]))


@pytest.mark.parametrize("accept", [JSON, NPY])
def test_headers_of_every_encoding_name_model_and_version(
    client: httpx.Client, versions: dict[str, int], accept: str
) -> None:
    headers = send(client, "encode", saved(digit()), PNG, accept).headers
    assert (headers["x-model"], headers["x-model-version"]) == ("digits-vae", str(versions["digits-vae"]))


@pytest.mark.parametrize("accept", [PNG, WEBP, ZIP, NPY, JSON])
def test_headers_of_every_generated_form_name_model_and_version(
    client: httpx.Client, versions: dict[str, int], accept: str
) -> None:
    headers = api.generate(client, api.seeds(2), accept).headers
    assert (headers["x-model"], headers["x-model-version"]) == ("digits-gan", str(versions["digits-gan"]))


def test_headers_of_an_animation_name_model_and_version(client: httpx.Client, versions: dict[str, int]) -> None:
    headers = api.generate(client, api.interpolate({"seed": 1}, {"seed": 2}, 2), GIF).headers
    assert (headers["x-model"], headers["x-model-version"]) == ("digits-gan", str(versions["digits-gan"]))


@pytest.mark.parametrize("path", ["", "/versions/{version}", "/items?query=matrix", "/items/260/similar"])
def test_headers_of_what_is_told_of_a_model_name_it(client: httpx.Client, versions: dict[str, int], path: str) -> None:
    headers = client.get("/v1/models/movies-rbm" + path.format(version=versions["movies-rbm"])).headers
    assert (headers["x-model"], headers["x-model-version"]) == ("movies-rbm", str(versions["movies-rbm"]))


@pytest.mark.parametrize("task", TASKS)
def test_unknown_model_is_refused(client: httpx.Client, task: str) -> None:
    refused(call(client, task, model="nobody"), 404, "unknown-model")


@pytest.mark.parametrize("task", TASKS)
def test_unknown_version_is_refused(client: httpx.Client, task: str) -> None:
    refused(call(client, task, model=DEFAULTS[task], version=99999), 404, "unknown-version")


@pytest.mark.parametrize("task", ["denoise", "encode"])
@pytest.mark.parametrize(
    ("params", "kind"), [({"model": "nobody"}, "unknown-model"), ({"version": "99999"}, "unknown-version")]
)
def test_unknown_model_of_a_query_is_refused(
    client: httpx.Client, task: str, params: dict[str, str], kind: str
) -> None:
    refused(send(client, task, saved(digit()), PNG, params=params), 404, kind)


@pytest.mark.parametrize(
    ("task", "model"),
    [("recommend", "photo-dae"), ("denoise", "digits-vae"), ("encode", "digits-gan"), ("generate", "movies-rbm")],
)
def test_model_of_another_task_is_refused(client: httpx.Client, task: str, model: str) -> None:
    refused(call(client, task, model=model), 409, "wrong-task")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("field", "value"), [("model", 5), ("version", "one"), ("version", 1.5)])
def test_model_that_is_no_name_and_version_that_is_no_integer_are_refused(
    client: httpx.Client, task: str, field: str, value: object
) -> None:
    assert refused(call(client, task, **{field: value}), 422, "invalid-fields").pointers == [f"/{field}"]
