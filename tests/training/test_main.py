"""The command line, as a person types it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.store import Store, verify
from tests import tiny, versions
from training import __main__ as command
from training import own, recipe
from training.card import comparison
from training.data import mnist
from training.learners import judge
from training.learners.movie_rbm import MovieRbm
from training.metrics import judges

ROOT = Path(__file__).parents[2]
NAME = "movies-autorec"


def small(name: str) -> list[str]:
    return [part for pair in ["steps=30", *tiny.overrides(name)] for part in ("--set", pair)]


SMALL = small(NAME)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Whoever leaves a signal handled otherwise than before fails."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    return ["--synthetic", "--models", str(tmp_path / "models"), "--runs", str(tmp_path / "runs")]


def say(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    status = command.main(list(words))
    told = capsys.readouterr()
    return status, told.out, told.err


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What the parser says when it refuses."""
    with pytest.raises(SystemExit) as caught:
        command.main(list(words))
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_the_module_runs_as_a_program_and_lists_the_recipes() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "training", "list"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    heads = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert [head.split()[0] for head in heads] == recipe.names()
    for name, head in zip(recipe.names(), heads, strict=True):
        assert head.endswith(recipe.find(name).summary)
    assert "data: MNIST, 70,000 handwritten digits" in done.stdout


def test_list_shows_what_can_be_set(capsys: pytest.CaptureFixture[str]) -> None:
    status, told, _ = say(capsys, "list", "digits-vae")
    assert status == 0
    settings = recipe.find("digits-vae").settings
    shown = [line.split()[0] for line in told.splitlines()]
    assert [entry.partition("=")[0] for entry in shown] == list(type(settings).model_fields)
    assert "latent_size=24" in shown
    assert all(len(line.split()) > 1 for line in told.splitlines()), "a setting without a description"


def test_help_names_the_commands_and_its_examples_are_sound(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command.main(["--help"])
    text = capsys.readouterr().out
    assert caught.value.code == 0
    for verb in ("list", "run", "train", "export", "evaluate", "card", "adopt", "judge"):
        assert re.search(rf"^    {verb} +\w", text, re.MULTILINE)
    examples = re.findall(r"^  python -m training (.+)$", text, re.MULTILINE)
    assert len(examples) >= 4
    for example in examples:
        options = command.arguments_parser().parse_args(example.split())
        if options.recipe:
            found = recipe.find(options.recipe)
            found.settings.changed(getattr(options, "set", None) or [])


@pytest.mark.parametrize("verb", ["run", "train", "export", "evaluate", "card"])
def test_an_unknown_recipe_is_answered_with_those_there_are(
    capsys: pytest.CaptureFixture[str], verb: str, tmp_path: Path
) -> None:
    status, _, error = say(capsys, verb, "digits", "--models", str(tmp_path))
    assert status == 1
    assert error == f"{verb}: there is no recipe 'digits'; there are {', '.join(recipe.names())}\n"


def test_missing_data_are_named_with_source_licence_and_checksum(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, _, error = say(capsys, "run", "digits-vae", "--data-dir", str(tmp_path))
    assert status == 1
    assert f"{tmp_path}/train-images-idx3-ubyte.gz is not there" in error
    for told in ("t10k-labels-idx1-ubyte.gz (MD5 ec29112dd5afa0611ce80d1b7f02629c)", "yann.lecun.com", "CC BY-SA 3.0"):
        assert told in error


@pytest.mark.parametrize("name", recipe.names())
def test_without_a_folder_of_data_the_message_says_what_is_wanted(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    source = recipe.find(name).source
    status, _, error = say(capsys, "train", name)
    assert status == 1
    assert error.startswith(f"train: {source.name} needs --data-dir. The folder must hold ")
    assert source.credit.source in error
    assert source.credit.licence in error


def test_toys_are_published_only_where_they_are_told_to(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, _, error = say(capsys, "run", NAME, "--synthetic", "--runs", str(tmp_path))
    assert status == 1
    assert error == (
        "run: --synthetic makes a toy: name a folder for it with --models, or it would be served as the best\n"
    )


@pytest.mark.parametrize("verb", ["export", "train"])
def test_there_must_be_a_run_to_go_on_from(capsys: pytest.CaptureFixture[str], folders: list[str], verb: str) -> None:
    status, _, error = say(capsys, verb, NAME, *folders, *(["--resume"] if verb == "train" else []))
    assert status == 1
    assert re.fullmatch(rf"{verb}: \S+/runs/{NAME}/checkpoint\.pt is not there: train first, without --resume\n", error)


@pytest.mark.parametrize(
    ("pair", "told"), [("hiden=3", "write key=value with one of seed, steps"), ("hidden=0", "greater than or equal")]
)
def test_a_wrong_setting_is_refused_before_anything_is_read(
    capsys: pytest.CaptureFixture[str], folders: list[str], pair: str, told: str
) -> None:
    status, _, error = say(capsys, "train", NAME, *folders, "--set", pair)
    assert status == 1
    assert error.startswith(f"train: --set {pair}: ")
    assert told in error


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("20m", 1200), ("1.5h", 5400)])
def test_a_budget_is_a_time(text: str, seconds: float) -> None:
    assert command.arguments_parser().parse_args(["train", NAME, "--budget", text]).budget == seconds


@pytest.mark.parametrize("text", ["90", "m", "1d", "-5m", "1m30s", "nans", ""])
def test_what_is_no_time_is_refused(capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert "write a time such as 90s, 20m or 2h" in refused(capsys, "train", NAME, f"--budget={text}")


def test_only_the_named_folders_are_searched_and_an_empty_variable_counts_as_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HARMONIUM_MODELS", os.pathsep.join((str(tmp_path / "a"), "", "b")))
    status, _, error = say(capsys, "evaluate", NAME)
    assert status == 1
    assert error == f"evaluate: no version of {NAME} in {tmp_path / 'a'} or {ROOT / 'b'}\n"
    options = command.arguments_parser().parse_args(["evaluate", NAME])
    for nothing in ("", None):
        monkeypatch.setenv("HARMONIUM_MODELS", "") if nothing == "" else monkeypatch.delenv("HARMONIUM_MODELS")
        assert command._store(options).folders == [ROOT / "var/models", ROOT / "models/zoo"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str], folders: list[str]) -> None:
    status, _, error = say(capsys, "train", NAME, *folders, "--device", "cuda")
    assert (status, error) == (1, "train: --device cuda: torch finds no usable CUDA device here\n")


@pytest.mark.parametrize("flag", ["--runs", "--models"])
def test_a_folder_that_cannot_be_written_is_refused_before_training(
    capsys: pytest.CaptureFixture[str], folders: list[str], tmp_path: Path, flag: str
) -> None:
    (tmp_path / "file").touch()
    status, output, error = say(capsys, "run", NAME, *folders, flag, str(tmp_path / "file" / "in"), *SMALL)
    assert (status, output) == (1, "")
    assert error.startswith(f"run: cannot write to {tmp_path / 'file' / 'in'}")
    assert error.endswith(": Not a directory\n")
    assert not list(tmp_path.rglob("metrics.jsonl"))


def test_the_way_from_data_to_a_published_version(
    capsys: pytest.CaptureFixture[str], folders: list[str], tmp_path: Path
) -> None:
    """`run`, and `train` with `export`, publish the same graphs; `evaluate` measures what was published."""
    status, output, error = say(capsys, "run", NAME, *folders, *SMALL)
    assert (status, error) == (0, "")
    first = verify(tmp_path / "models" / NAME / "1", NAME, 1)
    assert "Exported; onnxruntime agrees with torch." in output
    assert f"Published {NAME} version 1: {first.folder}\n" in output

    status, output, error = say(capsys, "train", NAME, *folders, *SMALL)
    assert (status, error) == (0, "")
    runs = tmp_path / "runs" / NAME
    said = rf"Training 30 steps \.\.\.\nTrained 30 steps in \d+ s\.\nCheckpoint and log are in {runs}\. "
    assert re.fullmatch(rf"{said}`python -m training export {NAME}` publishes it\.\n", output)
    log = [json.loads(line) for line in (runs / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == list(range(1, 31))

    status, output, error = say(capsys, "export", NAME, *folders)
    assert (status, error) == (0, "")
    second = verify(tmp_path / "models" / NAME / "2", NAME, 2)
    for file in ("score.onnx", "items.csv"):
        assert first.files[file] == second.files[file]
    assert first.manifest.metrics == second.manifest.metrics
    assert first.manifest.made_by.settings == second.manifest.made_by.settings

    status, output, error = say(capsys, "evaluate", NAME, *folders[:3])
    assert (status, error) == (0, "")
    assert output.startswith(f"{NAME} version 2, {second.folder}\n")
    for metric in second.manifest.metrics:
        error = "" if metric.standard_error is None else f" ± {metric.standard_error:.2g}"
        assert f"{metric.name}: {metric.value:.4g}{error}  ({metric.data}, " in output
        for baseline in metric.baselines:
            assert f"    {baseline.name}: {baseline.value:.4g}\n" in output

    written = {path: path.read_bytes() for path in [second.folder / "card.md", *(second.folder / "figures").iterdir()]}
    assert second.folder / "figures" / "learning.png" in written
    (second.folder / "card.md").write_text("spoiled")
    (second.folder / "figures" / "learning.png").unlink()
    (second.folder / "figures" / "stray.png").touch()
    status, output, error = say(capsys, "card", NAME, *folders)
    assert (status, output, error) == (0, f"Wrote {second.folder}/card.md with {len(written) - 1} figures.\n", "")
    assert {path: path.read_bytes() for path in written} == written
    assert len(list((second.folder / "figures").iterdir())) == len(written) - 1
    assert verify(second.folder, NAME, 2).files == second.files

    status, _, error = say(capsys, "export", NAME, *folders, "--set", "seed=3")
    assert (status, error) == (1, "export: a stored run keeps its settings: leave --set out\n")
    assert set(Store([tmp_path / "models"]).find()[NAME]) == {1, 2}


def test_beside_every_baseline(capsys: pytest.CaptureFixture[str], folders: list[str], tmp_path: Path) -> None:
    """The table of `evaluate` is that of the card, if the run was measured so; another version stands in it."""
    name = "movies-rbm"
    assert say(capsys, "run", NAME, *folders, *SMALL)[0] == 0
    status, output, error = say(capsys, "run", name, *folders, *small(name), "--baselines")
    assert (status, error) == (0, "")
    version = verify(tmp_path / "models" / name / "1", name, 1)
    names = [baseline.name.partition(" (")[0] for baseline in version.manifest.metrics[0].baselines]
    simple = ["popularity", "item-kNN", "EASE", "EASE, two inputs", "iALS"]
    assert names == [*simple, *MovieRbm.ablations, f"{NAME} 1"]
    told = comparison(version.manifest.metrics)
    assert told in output
    assert told in (version.folder / "card.md").read_text()

    status, output, error = say(capsys, "evaluate", name, *folders[:3], "--baselines")
    assert (status, error) == (0, "")

    def untimed(text: str) -> list[list[str]]:
        rows = [[cell.strip(" *") for cell in line.split("|")[:-2]] for line in text.splitlines() if line[:1] == "|"]
        # Parts left out need the run, not only its graphs.
        return [row for row in rows if row[1].partition(" (")[0] not in MovieRbm.ablations]

    assert untimed(output)[2:] == untimed(told)[2:]
    assert "\nleft out: " not in output


def test_what_cannot_be_compared_is_left_out_with_the_reason(
    capsys: pytest.CaptureFixture[str], folders: list[str], stars: Path, tmp_path: Path
) -> None:
    assert say(capsys, "run", NAME, *folders, *SMALL)[0] == 0
    where = [*folders[1:3], "--ratings", str(stars), "--name", "my-films"]
    assert say(capsys, "run", NAME, *where, *folders[3:], *SMALL)[0] == 0
    status, output, error = say(capsys, "evaluate", NAME, *where, "--baselines")
    assert (status, error) == (0, "")
    left_out = [line for line in output.splitlines() if line.startswith("left out: ")]
    assert len(left_out) == 2
    assert left_out[1].startswith("left out: no version of movies-rbm in ")
    assert left_out[0].startswith(f"left out: {tmp_path / 'models' / NAME / '1'} was made from other data (")
    assert "\n| EASE (rated, lambda 800) " in output


def test_who_has_no_further_baselines_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    told = "evaluate: --baselines: digits-vae is measured beside all of its baselines anyway\n"
    assert say(capsys, "evaluate", "digits-vae", "--baselines") == (1, "", told)


def test_a_card_is_not_drawn_from_other_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = Store([tmp_path]).publish(*versions.recommend())
    status, _, error = say(capsys, "card", folder.parent.name, "--synthetic", "--models", str(tmp_path))
    assert (status, error) == (
        1,
        f"card: {folder} was made from other data (Made by hand): name those, as they were named then\n",
    )
    assert not (folder / "card.md").exists()


# Data of one's own; what is read from them is tested in tests/training/data/own.


@pytest.fixture
def stars(tmp_path: Path) -> Path:
    path = tmp_path / "stars.csv"
    cells = [(user, item) for user in range(110) for item in range(12) if (user + item) % 5]
    rows = [f"u{user},i{item},{1 + (user * item) % 5}" for user, item in cells]
    path.write_text("\n".join(["user,item,rating", *rows]))
    return path


def test_help_of_a_command_shows_own_data_in_groups_with_sound_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("run", "train", "export", "evaluate"):
        with pytest.raises(SystemExit) as caught:
            command.main([verb, NAME, "--help"])
        assert caught.value.code == 0
        text = capsys.readouterr().out
        groups = [text.index(f"\nyour own {what}, for ") for what in ("ratings", "pictures")]
        flags = ("--data-dir", "--ratings", "--items", "--columns", "--scale", "--liked", "--allow-bad-rows")
        places = [text.index(f"\n  {flag} ") for flag in (*flags, "--pictures", "--side", "--name")]
        assert places == sorted(places)
        assert places[0] < groups[0] < places[1] < places[6] < groups[1] < places[7] < places[8]
        examples = re.findall(r"^  python -m training (.+)$", text, re.MULTILINE)
        assert len(examples) == 2
        for example in examples:
            options = command.arguments_parser().parse_args(example.split())
            own.check(options, recipe.find(options.recipe))
        assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "digits-vae --ratings r.csv",
            "--ratings: digits-vae learns from other data; your own are named by --pictures DIR",
        ),
        (
            "photo-dae --ratings r.csv",
            "--ratings: photo-dae learns from other data; your own are named by --pictures DIR",
        ),
        (
            "movies-rbm --pictures p",
            "--pictures: movies-rbm learns from other data; your own are named by --ratings FILE",
        ),
        ("movies-rbm --ratings r.csv --data-dir d", "--ratings and --data-dir are two sources of data: leave one out"),
        ("digits-gan --pictures p --synthetic", "--pictures and --synthetic are two sources of data: leave one out"),
        ("movies-rbm --items i.csv", "--items says something about --ratings FILE: name them"),
        ("movies-rbm --liked 4 --data-dir d", "--liked says something about --ratings FILE: name them"),
        (
            "digits-vae --pictures p --allow-bad-rows 0.1",
            "--allow-bad-rows says something about --ratings FILE: name them",
        ),
        ("movies-rbm --ratings r --columns title=x", "--columns title=... says something about --items FILE: name it"),
        ("digits-vae --side 32", "--side: name --pictures DIR"),
        ("photo-dae --pictures p --side 32", "--side: photo-dae takes photographs at their full size"),
    ],
)
@pytest.mark.parametrize("verb", ["train", "evaluate"])
def test_flags_that_do_not_go_together_are_refused_before_anything_is_read(
    capsys: pytest.CaptureFixture[str], verb: str, words: str, told: str
) -> None:
    assert say(capsys, verb, *words.split()) == (1, "", f"{verb}: {told}\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--columns user", "'user': write user=NAME,item=NAME with any of user, item, rating, timestamp, title, once"),
        ("--columns user=a,user=b", "'user=b': write user=NAME"),
        ("--columns user=", "'user=': write user=NAME"),
        ("--columns who=a", "'who=a': write user=NAME"),
        ("--liked nan", "'nan': write a rating, such as 4"),
        ("--liked good", "'good': write a rating, such as 4"),
        ("--allow-bad-rows 1", "'1': write a share from 0 to below 1, such as 0.05"),
        ("--allow-bad-rows=-0.1", "'-0.1': write a share from 0 to below 1, such as 0.05"),
        ("--scale stars", "invalid choice: 'stars'"),
        ("--side 30", "'30': write a multiple of 4 from 16 to 128"),
        ("--side 12", "'12': write a multiple of 4 from 16 to 128"),
        ("--name My_Films", "'My_Films': up to 64 small letters and digits, with single hyphens between"),
        (f"--name {'a' * 65}", f"'{'a' * 65}': up to 64 small letters"),
    ],
)
def test_a_flag_with_a_wrong_value_is_refused(capsys: pytest.CaptureFixture[str], words: str, told: str) -> None:
    assert told in refused(capsys, "run", NAME, *words.split())


@pytest.mark.parametrize(
    ("name", "flag", "told"),
    [
        (NAME, "--ratings", "nothing cannot be read: No such file or directory"),
        ("digits-vae", "--pictures", "nothing is no folder"),
        ("photo-dae", "--pictures", "nothing is no folder"),
    ],
)
def test_own_data_that_are_not_there_are_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, flag: str, told: str
) -> None:
    status, _, error = say(capsys, "train", name, flag, str(tmp_path / "nothing"))
    assert (status, error) == (1, f"train: {tmp_path}/{told}\n")


def test_own_data_go_the_same_way_and_a_run_goes_on_with_no_other(
    capsys: pytest.CaptureFixture[str], folders: list[str], tmp_path: Path, stars: Path
) -> None:
    read_with = ["--columns", "user=user,item=item", "--liked", "4"]
    where = [*folders[1:], "--ratings", str(stars), *read_with, "--name", "my-films"]
    status, output, error = say(capsys, "train", NAME, *where, *SMALL)
    assert (status, error) == (0, "")
    runs = tmp_path / "runs" / "my-films"
    assert output.startswith("stars.csv (CSV with commas; user=user, item=item, rating=rating): 1,056 lines\n")
    said = f"Checkpoint and log are in {runs}. `python -m training export {NAME}`, with the same data named, "
    assert output.endswith(f"{said}publishes it.\n")
    status, output, error = say(capsys, "export", NAME, *where)
    assert (status, error) == (0, "")
    version = verify(tmp_path / "models" / "my-films" / "1", "my-films", 1)
    assert f"Published my-films version 1: {version.folder}\n" in output
    assert version.manifest.credit.data.endswith(" (read with --columns user=user,item=item --liked 4)")
    status, output, error = say(capsys, "evaluate", NAME, *(word for word in where if word not in folders[3:]))
    assert (status, error) == (0, "")
    assert f"my-films version 1, {version.folder}\n" in output
    for metric in version.manifest.metrics:
        assert f"{metric.name}: {metric.value:.4g}" in output

    stars.write_text(stars.read_text() + "\nu1,i99,5")
    status, _, error = say(capsys, "export", NAME, *where)
    assert (status, error) == (
        1,
        f"export: {runs}/checkpoint.pt is of other data: name the data it was trained on, or train anew\n",
    )
    status, _, error = say(capsys, "evaluate", NAME, *(word for word in where if word not in folders[3:]))
    assert (status, error) == (
        1,
        f"evaluate: {version.folder} was made from other data ({version.manifest.credit.data}): name those, as they "
        "were named then\n",
    )


def test_an_interrupted_run_leaves_a_checkpoint_that_goes_on(
    capsys: pytest.CaptureFixture[str], folders: list[str], tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGINT)

    def interrupt(number: int, frame: object) -> None:
        """As a person would, once training has begun."""
        if signal.getsignal(signal.SIGINT) is not before and (tmp_path / "runs" / NAME / "metrics.jsonl").exists():
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.raise_signal(signal.SIGINT)

    alarm = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        status, output, error = say(capsys, "train", NAME, *folders, *SMALL, "--set", "steps=2000")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarm)
    assert (status, output) == (1, "Training 2,000 steps ...\n")
    found = re.fullmatch(r"train: stopped at step (\d+) of 2000; --resume goes on from there\n", error)
    assert found
    state = torch.load(tmp_path / "runs" / NAME / "checkpoint.pt", weights_only=True)
    assert state["step"] == int(found[1])
    assert state["steps"] == 2000


def test_judge_is_made_anew_from_public_pictures(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = tiny.twin("digits-gan")
    few = replace(twin, train=replace(twin.train, images=twin.train.images[:64], labels=twin.train.labels[:64]))
    found = replace(recipe.find("digits-gan"), source=replace(mnist.DIGITS, read=lambda folder: few))
    monkeypatch.setattr(recipe, "find", lambda name: found)
    monkeypatch.setattr(judges, "FOLDER", tmp_path)
    monkeypatch.setattr(judge, "PASSES", 4)
    status, told, _ = say(capsys, "judge", "digits-gan", "--data-dir", str(tmp_path))
    assert status == 0
    assert re.match(r"Training 4 steps \.\.\.\n\d+\.\d\d% of 100 test pictures right, after \d+ s: ", told)
    assert sorted(path.name for path in (tmp_path / "mnist").iterdir()) == ["judge.json", "judge.onnx", "reference.npz"]
    assert judges.find(few) is not None


def test_what_has_no_classes_has_no_judge(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, _, told = say(capsys, "judge", NAME, "--data-dir", str(tmp_path))
    assert (status, told) == (
        1,
        f"judge: {NAME} learns from no pictures in classes: nothing is judged by a classifier\n",
    )
