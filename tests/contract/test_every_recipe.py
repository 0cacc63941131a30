"""The one contract, held to every recipe: what training publishes, the store verifies and the service serves.

A new recipe is taken up by itself. A new family needs a row in `tests/tiny.py`, a new task one in `CALLS`.
"""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from models import sample
from models.manifest import Denoise, Encode, Generate, Manifest, Recommend
from models.store import Store, Version, verify
from tests import tiny
from tests.service.conftest import serving
from training import recipe
from training.graphs import Graphs
from training.publish import publish

NAMES = recipe.names()
MOST_WEIGHTS = 20_000
MOST_BYTES_OF_FIGURES = 300_000


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 of every recipe."""
    folder = tmp_path_factory.mktemp("contract")
    for name in NAMES:
        made = tiny.exported(name)
        publish(
            made.recipe,
            made.learner,
            tiny.twin(name),
            made.run,
            made.graphs,
            made.recordings,
            Store([folder]),
            made.log,
        )
    return folder


@pytest.fixture(params=NAMES)
def version(request: pytest.FixtureRequest, zoo: Path) -> Version:
    return verify(zoo / request.param / "1", request.param, 1)


def graphs(version: Version) -> Graphs:
    return Graphs({name: version.files[f"{name}.onnx"] for name in version.manifest.graphs})


# What is published.


@pytest.mark.parametrize("name", NAMES)
def test_the_network_is_small_enough_for_a_test(name: str) -> None:
    weights = sum(parameter.numel() for parameter in tiny.exported(name).learner.parameters())
    assert weights < MOST_WEIGHTS, f"{name}: choose smaller settings for its family in tests/tiny.py"


def test_it_replays_its_own_sample(version: Version) -> None:
    runner = graphs(version)
    ran = []

    def run(graph: str, inputs: sample.Arrays) -> sample.Arrays:
        ran.append(graph)
        return runner.run(graph, **inputs)

    sample.replay(version.manifest, version.files["sample.npz"], run)
    assert sorted(ran) == sorted(version.manifest.graphs)


def test_its_sample_would_show_other_weights(version: Version) -> None:
    runner = graphs(version)

    def run(graph: str, inputs: sample.Arrays) -> sample.Arrays:
        limits = version.manifest.sample.tolerance[graph]
        return {name: array + 1.01 * limits[name] for name, array in runner.run(graph, **inputs).items()}

    with pytest.raises(sample.SampleError, match="is allowed"):
        sample.replay(version.manifest, version.files["sample.npz"], run)


def test_its_manifest_tells_the_truth(version: Version) -> None:
    manifest, made = version.manifest, tiny.exported(version.manifest.name)
    assert manifest.family == made.learner.family
    assert manifest.summary == made.recipe.summary
    assert manifest.credit == made.recipe.source.credit
    assert manifest.tasks == made.learner.tasks()
    assert manifest.made_by.recipe == manifest.name
    assert manifest.made_by.data_sha256 == tiny.twin(manifest.name).sha256
    assert (manifest.made_by.steps, manifest.made_by.seed) == (24, made.learner.settings.seed)
    assert type(made.learner.settings).model_validate(manifest.made_by.settings) == made.learner.settings
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


def test_it_is_measured_and_something_stands_beside_it(version: Version) -> None:
    metrics = version.manifest.metrics
    assert len({(metric.name, metric.data) for metric in metrics}) == len(metrics) > 0
    assert any(metric.baselines for metric in metrics)
    card = (version.folder / "card.md").read_text()
    for metric in metrics:
        assert f"{metric.value:.4g}" in card
        assert re.search(rf"(\| |- |, ){re.escape(metric.name)}(,[^\n]+)? \({metric.better} is better\)", card)
        assert all(baseline.name in card for baseline in metric.baselines)
    assert version.manifest.credit.licence in card


def test_its_card_shows_the_figures_there_are(version: Version) -> None:
    card = (version.folder / "card.md").read_text()
    linked = re.findall(r"^!\[(.+)\]\(figures/(.+)\)$", card, re.MULTILINE)
    there = sorted(path.name for path in (version.folder / "figures").iterdir())
    assert sorted(name for _, name in linked) == there
    assert len(there) >= 3
    assert "learning.png" in there
    assert len({alt for alt, _ in linked}) == len(linked)
    assert sum((version.folder / "figures" / name).stat().st_size for name in there) <= MOST_BYTES_OF_FIGURES
    for name in there:
        with Image.open(version.folder / "figures" / name) as picture:
            picture.load()
            assert (picture.format, dict(picture.info).keys() <= {"transparency"}) == ("PNG", True), (
                "no word of metadata"
            )
            assert 100 <= picture.width <= 1300
            assert picture.convert("RGBA").getchannel("A").getextrema()[0] == 0, "it has no background of its own"


def test_the_judge_of_a_gan_knows_the_real_pictures(zoo: Path) -> None:
    distance, *_, accuracy = verify(zoo / "digits-gan" / "1", "digits-gan", 1).manifest.metrics
    (judged,) = accuracy.baselines
    assert judged.value > 0.95, "or its features say nothing"
    scale = {baseline.name: baseline.value for baseline in distance.baselines}
    real = scale.pop("real training pictures")
    assert scale.pop("100 real ones repeated") == pytest.approx(real), "the twin has no more, so all of them"
    assert 0 < real < min(scale.values()), "real pictures are nearer than degraded ones"


# What is served.


@pytest.fixture(scope="module")
def client(zoo: Path) -> Iterator[httpx.Client]:
    """The real service over HTTP, with these versions and no other."""
    with serving(zoo) as (_, client):
        yield client


def named(version: Version, answer: httpx.Response) -> httpx.Response:
    """The answer, once it is a success that names its version."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-model"] == version.manifest.name
    assert answer.headers["x-model-version"] == "1"
    return answer


def png(*shape: int) -> bytes:
    pixels = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def recommend(client: httpx.Client, version: Version, task: Recommend) -> None:
    known = version.items()
    ratings = [{"item": known[0].id, "rating": task.rating_high}, {"item": known[1].id, "rating": task.rating_low}]
    answer = named(
        version,
        client.post(
            "/v1/recommend",
            json={"model": version.manifest.name, "users": [{"ratings": ratings}, {}], "count": 5},
        ),
    ).json()
    rater, stranger = answer["users"]
    assert (rater["source"], stranger["source"]) == ("model", "popularity")
    nothing = {"target": np.zeros((1, 0), np.int32)} if task.explains else {}
    history = np.array([[0, 1]], np.int32), np.array([[task.rating_high, task.rating_low]], np.float32)
    outputs = graphs(version).run("score", item_index=history[0], rating=history[1], **nothing)
    best = [int(place) for place in np.argsort(-outputs["score"][0], kind="stable") if place > 1][:5]
    assert [item["item"] for item in rater["items"]] == [known[place].id for place in best]
    for item, place in zip(rater["items"], best, strict=True):
        assert item["title"] == known[place].title
        assert item["score"] == pytest.approx(outputs["score"][0, place], abs=1e-4)
        assert item["rating"] == pytest.approx(outputs["predicted_rating"][0, place], abs=1e-4)
    share = {item.id: item.popularity for item in known}
    popular = [share[item["item"]] for item in stranger["items"]]
    assert popular == sorted(share.values(), reverse=True)[:5]


def denoise(client: httpx.Client, version: Version, task: Denoise) -> None:
    shape = (21, 34, 3) if task.channels == 3 else (21, 34)
    strength = "auto" if task.sigma_max is None else "25"
    answer = named(
        version,
        client.post(
            "/v1/denoise",
            params={"model": version.manifest.name, "strength": strength},
            content=png(*shape),
            headers={"content-type": "image/png"},
        ),
    )
    told = answer.headers.get("x-noise-level")
    assert told is None if task.sigma_max is None else float(told or 0) == pytest.approx(25)
    picture = Image.open(io.BytesIO(answer.content))
    assert (picture.format, picture.size) == ("PNG", (34, 21))
    assert np.asarray(picture).shape == shape


def encode(client: httpx.Client, version: Version, task: Encode) -> None:
    data = png(task.height, task.width)
    answer = named(
        version,
        client.post(
            "/v1/encode",
            params={"model": version.manifest.name, "invert": "false"},
            content=data,
            headers={"content-type": "image/png"},
        ),
    )
    (encoding,) = answer.json()["encodings"]
    pixels = np.asarray(Image.open(io.BytesIO(data)), np.float32)[None, None] / 255
    image = np.repeat(pixels, task.channels, axis=1)
    outputs = graphs(version).run("encode", image=image)
    for name in ("mean", "log_variance"):
        assert encoding[name] == pytest.approx(outputs[name][0].tolist(), abs=1e-4)
        assert len(encoding[name]) == task.latent_size


def generate(client: httpx.Client, version: Version, task: Generate) -> None:
    ask: dict[str, Any] = {"model": version.manifest.name, "seed": 3}
    if task.classes:
        ask["class"] = task.classes[-1]
    pictures = [named(version, client.post("/v1/generate", json=ask | {"seed": seed})) for seed in (3, 3, 4)]
    first, again, other = (answer.content for answer in pictures)
    assert first == again != other
    picture = Image.open(io.BytesIO(first))
    assert (picture.format, picture.size) == ("PNG", (task.width, task.height))
    assert pictures[0].headers["x-seed"] == "3"


CALLS: dict[type, Callable[[httpx.Client, Version, Any], None]] = {
    Recommend: recommend,
    Denoise: denoise,
    Encode: encode,
    Generate: generate,
}


def test_the_service_is_ready_with_all_of_them(client: httpx.Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200, answer.text
    assert answer.json()["ready"] is True
    assert sorted(answer.json()["models"]) == NAMES


def test_it_is_served_in_every_task_it_claims(client: httpx.Client, version: Version) -> None:
    for task in version.manifest.tasks:
        assert type(task) in CALLS, f"add a call for the task {task.task!r} to this test"
        CALLS[type(task)](client, version, task)
