import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.manifest import Denoise, Encode, Generate, Manifest, ManifestError, Recommend
from tests import versions
from tests.models import reproducible

BUILT = {
    "recommend": versions.recommend(explains=True)[0],
    "denoise": versions.denoise(grey=True)[0],
    "encode": versions.encode()[0],
    "generate": versions.generate()[0],
    "both": versions.encode_and_generate()[0],
}
ENCODE = BUILT["encode"].to_bytes()

Tree = dict[str, Any]
text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
number = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**70), 2**70)
setting = (
    text
    | whole
    | number
    | st.booleans()
    | st.none()
    | st.lists(text, max_size=3)
    | st.lists(whole, max_size=3)
    | st.lists(number, max_size=3)
)


def spell(tree: Tree) -> bytes:
    """The canonical spelling, whatever the tree says."""
    return (json.dumps(tree, sort_keys=True, indent=2, ensure_ascii=False) + "\n").encode()


@pytest.mark.parametrize("name", BUILT)
def test_what_was_written_is_read(name: str) -> None:
    manifest = BUILT[name]
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


def test_what_is_not_known_of_a_baseline_is_not_spelled() -> None:
    """So that manifests from before these fields are spelled as they were."""
    known = {"paired_difference": 0.01, "paired_error": 0.002, "seconds": 4.5}
    for facts in ({}, *({name: value} for name, value in known.items()), known):
        baseline = {"name": "chance", "value": 0.1, "standard_error": None} | facts
        tree = json.loads(ENCODE) | {"metrics": [json.loads(json.dumps(versions.METRIC)) | {"baselines": [baseline]}]}
        assert Manifest.from_bytes(spell(tree)).to_bytes() == spell(tree)
        tree["metrics"][0]["baselines"][0] |= dict.fromkeys(known.keys() - facts.keys())
        if known.keys() != facts.keys():
            with pytest.raises(ManifestError, match="canonical spelling"):
                Manifest.from_bytes(spell(tree))


@given(
    text,
    st.dictionaries(text, setting, max_size=4),
    st.integers(0, 2**64),
    st.lists(st.tuples(number, st.none() | number), max_size=3),
)
@reproducible
def test_any_manifest_that_is_written_is_read(
    summary: str, settings: Tree, seed: int, figures: list[tuple[float, float | None]]
) -> None:
    metrics = tuple(versions.METRIC | {"value": value, "standard_error": error} for value, error in figures)
    made_by = versions.MADE_BY | {"settings": settings, "seed": seed}
    tree = BUILT["encode"].model_dump(by_alias=True)
    manifest = Manifest.model_validate(tree | {"summary": summary, "made_by": made_by, "metrics": metrics})
    again = Manifest.from_bytes(manifest.to_bytes())
    assert again == manifest
    assert again.to_bytes() == manifest.to_bytes()
    types = {name: type(value) for name, value in again.made_by.settings.items()}
    assert types == {name: type(value) for name, value in settings.items()}


@given(st.binary(max_size=60), st.integers(0, len(ENCODE)))
@reproducible
def test_any_bytes_are_a_manifest_in_its_one_spelling_or_refused(patch: bytes, place: int) -> None:
    for data in (patch, ENCODE[:place] + patch + ENCODE[place:], ENCODE[:place] + patch + ENCODE[place + len(patch) :]):
        try:
            manifest = Manifest.from_bytes(data)
        except ManifestError:
            continue
        assert manifest.to_bytes() == data


def test_the_spelling_is_for_people_too() -> None:
    manifest = versions.encode(summary="Zügig: 数字")[0]
    lines = manifest.to_bytes().decode().splitlines()
    assert lines[0] == "{"
    assert '  "summary": "Zügig: 数字",' in lines
    assert lines[-1] == "}"
    assert all(line.startswith("  ") for line in lines[1:-1])


def test_tasks_and_graphs_are_found() -> None:
    both = BUILT["both"]
    assert sorted(both.graphs) == ["decode", "encode"]
    assert both.task(Encode) is both.tasks[0]
    assert both.task(Generate) is both.tasks[1]
    assert both.task(Recommend) is None


@pytest.mark.parametrize(
    ("spelling", "reason"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (ENCODE[:-3], "is not JSON"),
        (ENCODE + b"{}", "is not JSON"),
        (b"[]\n", "manifest: "),
        (b"7\n", "manifest: "),
        (ENCODE + b"\n", "canonical spelling"),
        (ENCODE.replace(b"\n", b"\r\n"), "canonical spelling"),
        (ENCODE.replace(b"  ", b"\t"), "canonical spelling"),
        (ENCODE.replace(b"digits-vae", b"digits\\u002dvae"), "canonical spelling"),
        (ENCODE.replace(b'"version": 1', b'"version": 2,\n  "version": 1'), "canonical spelling"),
        (ENCODE.replace(b'"seconds": 0.25', b'"seconds": 25e-2'), "canonical spelling"),
        (ENCODE.replace(b'"schema": 1', b'"schema": true'), ""),
        (b"\xef\xbb\xbf" + ENCODE, ""),
        (ENCODE.decode().encode("utf-16"), ""),
        (ENCODE.replace(b'"seconds": 0.25', b'"seconds": NaN'), "made_by/seconds"),
        (ENCODE.replace(b'"seconds": 0.25', b'"seconds": Infinity'), "made_by/seconds"),
        (ENCODE.replace(b'"seconds": 0.25', b'"seconds": 1e999'), "made_by/seconds"),
        (ENCODE.replace(b'"note": null', b'"note": NaN'), "made_by/settings/note"),
        (ENCODE.replace(b"Made by hand", b"\\ud800", 1), ""),
    ],
)
def test_another_spelling_is_refused(spelling: bytes, reason: str) -> None:
    assert spelling != ENCODE
    with pytest.raises(ManifestError) as refused:
        Manifest.from_bytes(spelling)
    assert reason in str(refused.value)


def edit(*path: str | int, to: object) -> Callable[[Tree], None]:
    """Set the value at `path`; `...` takes it away."""

    def change(tree: Any) -> None:
        for step in path[:-1]:
            tree = tree[step]
        if to is ...:
            del tree[path[-1]]
        else:
            tree[path[-1]] = to

    return change


def twice(tree: Tree) -> None:
    tree["tasks"].append(tree["tasks"][0])


IMAGE = ("tasks", 0, "graphs", "encode", "inputs", "image")
CLEAN = ("tasks", 0, "graphs", "clean", "inputs", "image", "shape")


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("encode", edit("schema", to=2), "schema 2 is not 1, the one that this release reads"),
        ("encode", edit("colour", to="red"), "colour: Extra inputs are not permitted"),
        ("encode", edit("made_by", "host", to="x"), "made_by/host: Extra inputs"),
        ("encode", edit("summary", to=...), "summary: Field required"),
        ("encode", edit("summary", to=""), "summary: String should have at least 1"),
        ("encode", edit("version", to="1"), "version: Input should be a valid integer"),
        ("encode", edit("version", to=0), "version: Input should be greater than or equal to 1"),
        ("encode", edit("name", to="../digits"), "name: String should match"),
        ("encode", edit("name", to="Digits"), "name: String should match"),
        ("encode", edit("name", to="digits-vae\n"), "name: String should match"),
        ("encode", edit("name", to="a" * 65), "name: String should have at most 64"),
        ("encode", edit("created", to="yesterday"), "created: String should match"),
        ("encode", edit("created", to="٢٠٢٦-01-01T00:00:00Z"), "created: String should match"),
        ("encode", edit("files", "a/b.onnx", to={"size": 1, "sha256": "0" * 64}), "files/a/b.onnx"),
        ("encode", edit("files", "..", to={"size": 1, "sha256": "0" * 64}), "files/.."),
        ("encode", edit("files", "more.onnx", to={"size": 1, "sha256": "0" * 64}), "extra ['more.onnx']"),
        ("encode", edit("files", "sample.npz", to=...), "missing ['sample.npz']"),
        ("encode", edit("files", "sample.npz", "size", to=-1), "files/sample.npz/size"),
        ("encode", edit("files", "sample.npz", "sha256", to="F" * 64), "files/sample.npz/sha256"),
        ("recommend", edit("files", "items.csv", to=...), "missing ['items.csv']"),
        ("encode", edit("tasks", to=[]), "tasks: "),
        ("encode", edit("tasks", 0, "task", to="decode"), "tasks/0: "),
        ("encode", twice, "a task is declared twice"),
        ("encode", edit("tasks", 0, "graphs", to={}), "graph 'encode' is missing"),
        ("both", edit("tasks", 1, "graphs", "encode", to={}), "tasks/1/generate/graphs/encode"),
        ("encode", edit(*IMAGE, "dtype", to="float16"), "tasks/0/encode/graphs/encode/inputs/image/dtype"),
        ("encode", edit(*IMAGE, "dtype", to="int32"), "does not have the tensors that its task demands"),
        ("encode", edit(*IMAGE, "shape", to=["B", 1, 28]), "does not have the tensors that its task demands"),
        ("encode", edit(*IMAGE, "shape", to=["B", 1, 0, 28]), "inputs/image/shape"),
        ("encode", edit("tasks", 0, "latent_size", to=5), "does not have the tensors that its task demands"),
        ("encode", edit("tasks", 0, "graphs", "encode", "max_batch", to=0), "graphs/encode/max_batch"),
        ("denoise", edit(*CLEAN, to=["B", "C", "H", "W"]), "graph 'clean' does not have the tensors"),
        ("denoise", edit("tasks", 0, "overlap", to=6), "the overlap must be a multiple of size_multiple"),
        ("denoise", edit("tasks", 0, "estimator", to="guess"), "tasks/0/denoise/estimator"),
        ("denoise", edit("tasks", 0, "estimator", to="graph"), "the graph 'estimate' is there if and only if"),
        ("denoise", edit("tasks", 0, "sigma_max", to=0.0), "tasks/0/denoise/sigma_max"),
        ("denoise", edit("tasks", 0, "estimator", to=None), "the estimator and sigma_max are there both or not at all"),
        ("recommend", edit("tasks", 0, "liked", to=6.0), "the liked value must lie on the rating scale"),
        ("recommend", edit("tasks", 0, "items", to=39), "does not have the tensors that its task demands"),
        ("recommend", edit("tasks", 0, "attributes", "year", to="date"), "tasks/0/recommend/attributes/year"),
        ("encode", edit("sample", "tolerance", "encode", "mean", to=...), "one tolerance for every output"),
        ("encode", edit("sample", "tolerance", "encode", "mean", to=0.0), "sample/tolerance/encode/mean"),
        ("encode", edit("sample", "tolerance", "decode", to={}), "one tolerance for every output"),
        ("encode", edit("metrics", 0, "better", to="more"), "metrics/0/better"),
        ("encode", edit("tasks", 0, "error_quantiles", to=[0.2, 0.1]), "must be two or more in rising order, or none"),
        ("encode", edit("tasks", 0, "error_quantiles", to=[0.2]), "must be two or more in rising order, or none"),
        ("encode", edit("tasks", 0, "error_quantiles", to=[-0.1, 0.2]), "tasks/0/encode/error_quantiles/0"),
        ("generate", edit("tasks", 0, "directions", "first", to=[1.0]), "direction 'first' has 1 numbers for a latent"),
    ],
)
def test_a_wrong_fact_is_refused_by_its_name(name: str, change: Callable[[Tree], None], reason: str) -> None:
    tree = json.loads(BUILT[name].to_bytes())
    assert Manifest.from_bytes(spell(tree)) == BUILT[name]
    change(tree)
    with pytest.raises(ManifestError) as refused:
        Manifest.from_bytes(spell(tree))
    assert reason in str(refused.value)


def test_a_graph_of_another_task_is_refused() -> None:
    tree = json.loads(BUILT["denoise"].to_bytes())
    tree["tasks"][0]["graphs"]["encode"] = tree["tasks"][0]["graphs"]["clean"]
    with pytest.raises(ManifestError, match=r"graph 'encode' is none of \['clean', 'clean_grey', 'estimate'\]"):
        Manifest.from_bytes(spell(tree))


def test_a_rating_scale_needs_a_width() -> None:
    facts = {"items": 3, "attributes": {}, "max_ratings": 8, "explains": False}
    with pytest.raises(ValueError, match="must have a width"):
        Recommend.declare({"score": 4}, rating_low=1.0, liked=1.0, rating_high=1.0, **facts)
    assert Recommend.declare({"score": 4}, rating_low=0.0, liked=1.0, rating_high=1.0, **facts).liked == 1.0


def test_tensors_follow_from_the_facts() -> None:
    grey = Denoise.declare(
        {"clean": 1}, channels=1, estimator="haar", sigma_max=50.0, size_multiple=8, overlap=16
    ).graphs["clean"]
    assert grey.inputs["image"].shape == grey.outputs["clean"].shape == ("B", 1, "H", "W")
    assert grey.inputs["sigma"].shape == ("B",)
    blind = Denoise.declare({"clean": 1, "clean_grey": 1}, channels=3, size_multiple=8, overlap=16).graphs
    assert all(set(graph.inputs) == {"image"} for graph in blind.values())
    labelled = BUILT["generate"].graphs["decode"].inputs
    assert (labelled["label"].dtype, labelled["label"].shape) == ("int64", ("B",))
    assert set(BUILT["both"].graphs["decode"].inputs) == {"latent"}
    score = BUILT["recommend"].graphs["score"]
    assert (score.inputs["item_index"].dtype, score.inputs["item_index"].shape) == ("int32", ("B", "N"))
    assert score.outputs["predicted_rating"].shape == ("B", 40)
