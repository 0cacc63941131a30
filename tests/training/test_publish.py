from importlib.metadata import version
from pathlib import Path

import onnx
import pytest
import torch

from models import items
from models.manifest import Recommend
from models.store import BrokenVersion, Store, Version, verify
from tests import tiny
from training import loop
from training.card import prose
from training.graphs import Graphs
from training.metrics import ranking
from training.publish import publish

NAME = "movies-rbm"


def put(folder: Path, **changes: bytes) -> Path:
    """Publish the tiny recommender with some of its graphs replaced."""
    made = tiny.exported(NAME)
    graphs = made.graphs | changes
    return publish(
        made.recipe,
        made.learner,
        tiny.twin(NAME),
        made.run,
        graphs,
        made.recordings,
        Store([folder]),
        made.log,
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Version:
    path = put(tmp_path_factory.mktemp("models"))
    return verify(path, NAME, 1)


def test_a_version_says_how_it_was_made(published: Version) -> None:
    made, manifest = tiny.exported(NAME), published.manifest
    assert manifest.made_by.recipe == NAME
    assert type(made.learner.settings).model_validate(manifest.made_by.settings) == made.learner.settings
    assert (manifest.made_by.steps, manifest.made_by.settings["steps"], manifest.made_by.seed) == (24, 24, 0)
    assert manifest.made_by.data_sha256 == tiny.twin(NAME).sha256
    assert manifest.made_by.packages["torch"] == version("torch")
    assert manifest.made_by.device == loop.describe(torch.device("cpu"))
    assert manifest.credit == made.recipe.source.credit
    assert manifest.family == "restricted-boltzmann-machine"


@pytest.mark.parametrize(("told", "recorded"), [("0123abc", "0123abc"), ("", "unknown")])
def test_an_image_without_git_says_what_it_was_built_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, recorded: str
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("HARMONIUM_REVISION", told)
    learner = tiny.learner(NAME, "steps=1")
    assert loop.train(learner, tmp_path, quiet=True).code_revision == recorded


def test_a_version_names_the_code_that_trained_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the one that exports it, which may be a later one."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("HARMONIUM_REVISION", "later")
    trained = tiny.exported(NAME).run.code_revision
    assert verify(put(tmp_path), NAME, 1).manifest.made_by.code_revision == trained != "later"


def test_a_version_holds_the_proven_graphs_and_the_learner_s_files(published: Version) -> None:
    made = tiny.exported(NAME)
    assert published.files["score.onnx"] == made.graphs["score"]
    task = published.manifest.task(Recommend)
    assert task is not None
    assert items.read(published.files["items.csv"], task.attributes) == tiny.twin(NAME).items


def test_the_figures_are_measured_on_the_published_graphs(published: Version) -> None:
    graphs = Graphs({"score": published.files["score.onnx"]})
    assert published.manifest.metrics == tuple(ranking.evaluate(graphs, tiny.twin(NAME)))


def test_other_processors_get_ten_times_the_room_of_the_proof(published: Version) -> None:
    plan = tiny.exported(NAME).learner.exports()["score"]
    assert published.manifest.sample.tolerance["score"] == {
        output: 10 * limit for output, limit in plan.tolerance.items()
    }


def test_the_card_stands_beside_the_version(published: Version) -> None:
    made = tiny.exported(NAME)
    graphs = Graphs({"score": published.files["score.onnx"]})
    written = prose(published.manifest, made.recipe, graphs, tiny.twin(NAME), made.log)
    assert {name: (published.folder / name).read_bytes() for name in written} == written
    assert {path.name for path in (published.folder / "figures").iterdir()} == {
        name.removeprefix("figures/") for name in written.keys() - {"card.md"}
    }


def test_the_next_version_takes_the_next_number(tmp_path: Path) -> None:
    assert [put(tmp_path).name for _ in range(2)] == ["1", "2"]
    assert [path.name for path in sorted((tmp_path / NAME).iterdir())] == ["1", "2"]


def test_what_does_not_verify_is_not_published(tmp_path: Path) -> None:
    model = onnx.load_model_from_string(tiny.exported(NAME).graphs["score"])
    model.opset_import.add(domain="com.microsoft", version=1)  # onnxruntime runs it, the contract forbids it
    with pytest.raises(BrokenVersion, match=r"score\.onnx: operators must be of the standard set 18"):
        put(tmp_path, score=model.SerializeToString())
    assert Store([tmp_path]).find() == {}
    assert list((tmp_path / NAME).iterdir()) == []
