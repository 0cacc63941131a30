"""The command line: `python -m training list | train | evaluate | export | run | card | adopt | judge`."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.manifest import Metric
from models.store import BrokenVersion, NothingToAdopt, Store, Version, verify
from training import own, recipe
from training.data.own.told import Own
from training.data.source import DataError
from training.own import OptionError
from training.recipe import Recipe, UnknownRecipe
from training.settings import SettingError

ROOT = Path(__file__).parent.parent
RUNS = ROOT / "var" / "runs"
EXAMPLES = """
examples:
  python -m training list digits-vae
  python -m training run digits-vae --data-dir ~/data
  python -m training run photo-dae --data-dir ~/data --budget 20m --set channels=16,32,64
  python -m training train movies-rbm --data-dir ~/data --resume
  python -m training evaluate movies-rbm --data-dir ~/data --baselines
  python -m training card movies-rbm --data-dir ~/data
  python -m training run movies-rbm --ratings ratings.csv --items films.csv --name my-films
  python -m training run digits-vae --pictures pets --side 64 --name my-pets
"""
OWN = """
examples:
  python -m training {verb} movies-rbm --ratings plays.csv --columns user=uid,item=sku,rating=plays --name my-songs
  python -m training {verb} digits-gan --pictures pets --side 64 --name my-pets
"""


class UsageError(Exception):
    """The command line asks for something that does not go together."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it did what was asked, 1 with one sentence on standard error when not."""
    options = arguments_parser().parse_args(arguments)
    from training.export import NotEqual
    from training.loop import BudgetError, Diverged, NoCheckpoint, NoDevice, Stopped, Unfinished

    expected = (
        BrokenVersion, BudgetError, DataError, Diverged, NoCheckpoint, NoDevice, NotEqual, NothingToAdopt,
        OptionError, SettingError, Stopped, Unfinished, UnknownRecipe, UsageError,
    )  # fmt: skip
    try:
        options.command(options)
    except expected as error:
        print(f"{options.verb}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{options.verb}: stopped", file=sys.stderr)
        return 1
    return 0


def list_recipes(options: argparse.Namespace) -> None:
    if options.recipe:
        found = recipe.find(options.recipe)
        for name, field in type(found.settings).model_fields.items():
            print(f"{name}={getattr(found.settings, name)}".ljust(36), field.description or "")
        return
    for name in recipe.names():
        found = recipe.find(name)
        print(f"{name:20} {found.summary}\n{'':20} data: {found.source.credit.data}")


def train(options: argparse.Namespace) -> None:
    _train(options)
    again = ", with the same data named," if own.named(options) else ""
    command = f"`python -m training export {options.recipe}`{again}"
    print(f"Checkpoint and log are in {_folder(options)}. {command} publishes it.")


def export(options: argparse.Namespace) -> None:
    from training import loop

    found, data, learner = _prepare(options, stored=True)
    _publish(options, found, data, learner, loop.restore(learner, _folder(options)))


def run(options: argparse.Namespace) -> None:
    from training.loop import Stopped

    trained = _train(options, _store(options).folders[0])
    try:
        _publish(options, *trained)
    except KeyboardInterrupt:
        raise Stopped("the trained run is kept: `export` instead of `run`, with the same data, goes on here") from None


def evaluate(options: argparse.Namespace) -> None:
    found = _find(options)
    version = _newest(options, found.version_name)
    print(f"{found.version_name} version {version.manifest.version}, {version.folder}")
    data, _ = _data(options, found)
    _check(version, data)
    others = _others(options, found, data) if options.baselines else None
    _print(options, _measured(found, others).evaluate(_graphs(version), data))


def card(options: argparse.Namespace) -> None:
    from training.card import prose

    found = _find(options)
    version = _newest(options, found.version_name)
    data, owned = _data(options, found)
    _check(version, data)
    if owned is not None:
        found = own.introduced(found, owned, version.manifest.tasks)
    written = prose(version.manifest, found, _graphs(version), data, _log(options))
    folder = _store(options).describe(found.version_name, version.manifest.version, written)
    print(f"Wrote {folder / 'card.md'} with {len(written) - 1} figures.")


def adopt(options: argparse.Namespace) -> None:
    print(f"Moved to {_store(options).adopt(options.recipe)}.")


def judge(options: argparse.Namespace) -> None:
    from training.learners.judge import enough
    from training.metrics import judges

    found = recipe.find(options.recipe)
    if found.source.own != "pictures":
        raise UsageError(f"{found.name} learns from no pictures in classes: nothing is judged by a classifier")
    data = found.source.load(options.data_dir)
    home = judges.FOLDER / found.source.name
    steps = enough(len(data.train.images))
    print(f"Training {steps:,} steps ...", flush=True)
    record = judges.make(data, home, steps)
    print(f"{record.accuracy:.2%} of {record.measured:,} test pictures right, after {record.seconds:.0f} s: {home}")
    print("Its features are a new unit: `evaluate` and export all models of these data anew.")


def _train(options: argparse.Namespace, *written: Path) -> tuple[Recipe[Any], Any, Any, Any]:
    """Train, if the run's folder and those that are `written` to afterwards can be."""
    from training import loop

    found, data, learner = _prepare(options, stored=options.resume)
    for folder in (_folder(options), *written):
        _check_writable(folder)
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_signal(number: int, frame: object) -> None:
        stop.set()
        signal.signal(number, before[signal.Signals(number)])  # a second one stops at once
        # Not by `print`, which may be what the signal broke into.
        os.write(2, b"stopping after this step, or when all is prepared; a second signal stops at once\n")

    for number in before:
        signal.signal(number, on_signal)
    how_long = f"for {options.budget:g} s" if options.budget else f"{learner.settings.steps:,} steps"
    print(f"Training {how_long} ...", flush=True)
    try:
        outcome = loop.train(
            learner,
            _folder(options),
            resume=options.resume,
            budget=options.budget,
            stop=stop,
            quiet=not sys.stderr.isatty(),
        )
    finally:  # what follows training stops at once
        for number, handler in before.items():
            signal.signal(number, handler)
    print(f"Trained {outcome.step:,} steps in {outcome.seconds:.0f} s.", flush=True)
    return found, data, learner, outcome


def _check_writable(folder: Path) -> None:
    """Make a folder and write to it now, because training may take hours."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror or error}") from error


def _prepare(options: argparse.Namespace, *, stored: bool) -> tuple[Recipe[Any], Any, Any]:
    """Recipe, data and a fresh learner, with the settings of the stored run if there is to be one."""
    from training import loop

    found = _find(options)
    settings = found.settings.changed(options.set or [])
    if stored:
        if options.set:
            raise UsageError("a stored run keeps its settings: leave --set out")
        settings = loop.stored_settings(_folder(options), type(settings))
    device = loop.device(options.device)
    data, owned = _data(options, found)
    loop.seed(settings.seed, -1)
    learner = found.learner(settings, data).to(device)
    if owned is not None:
        found = own.introduced(found, owned, learner.tasks())
    return found, data, learner


def _publish(options: argparse.Namespace, found: Recipe[Any], data: Any, learner: Any, outcome: Any) -> None:
    from training import export as exporter
    from training.publish import publish

    graphs, recordings = exporter.export(learner)
    print("Exported; onnxruntime agrees with torch. Measuring ...", flush=True)
    others = {**_parts(learner), **_others(options, found, data)} if options.baselines else None
    found = _measured(found, others)
    path = publish(found, learner, data, outcome, graphs, recordings, _store(options), _log(options))
    number = int(path.name)
    metrics = verify(path, found.version_name, number).manifest.metrics
    _print(options, metrics)
    print(f"Published {found.version_name} version {number}: {path}")
    if options.ratings is not None and (worse := behind(metrics, others or ())):
        print(
            f"It is worse than what is simpler: {'; '.join(worse)}. To withdraw it, delete its folder. Other settings, "
            "such as fewer steps, or more data may do better."
        )


def behind(metrics: tuple[Metric, ...], others: Collection[str]) -> list[str]:
    """Where the model is behind what it stands beside, by more than two paired standard errors.

    `others` are baselines that are no simpler: other versions, and parts of this one.
    """
    return [
        f"{metric.name} {metric.value:.4g}, {baseline.name} {baseline.value:.4g}"
        for metric in metrics
        for baseline in metric.baselines
        if baseline.name not in others and baseline.paired_difference is not None and baseline.paired_error is not None
        if baseline.paired_difference * (1 if metric.better == "lower" else -1) > 2 * baseline.paired_error
    ]


def _find(options: argparse.Namespace) -> Recipe[Any]:
    found = recipe.find(options.recipe)
    own.check(options, found)
    if options.baselines and found.compare is None:
        raise UsageError(f"--baselines: {found.name} is measured beside all of its baselines anyway")
    return replace(found, published_as=options.name)


def _newest(options: argparse.Namespace, name: str) -> Version:
    versions = _store(options).find().get(name)
    if not versions:
        raise UsageError(f"no version of {name} in {' or '.join(map(str, _store(options).folders))}")
    return verify(versions[max(versions)], name, max(versions))


def _parts(learner: Any) -> dict[str, Any]:
    """The learner's graphs without one part each, by name and by the settings of the export that make them."""
    from training import export as exporter
    from training.graphs import Graphs

    settings = learner.settings
    parts: dict[str, Any] = {}
    for name, change in learner.ablations.items():
        learner.settings = settings.model_copy(update=change)
        graphs, _ = exporter.export(learner)
        parts[f"{name} ({', '.join(f'{key} {value:g}' for key, value in change.items())})"] = Graphs(graphs)
    learner.settings = settings
    return parts


def _measured(found: Recipe[Any], others: Mapping[str, Any] | None) -> Recipe[Any]:
    """The recipe, made to measure beside every baseline and the graphs `others`, by name, unless that is None."""
    compare = found.compare
    if compare is None or others is None:
        return found

    def beside_all(graphs: Any, data: Any) -> list[Metric]:
        return compare(graphs, data, others)

    return replace(found, evaluate=beside_all)


def _others(options: argparse.Namespace, found: Recipe[Any], data: Any) -> dict[str, Any]:
    """Graphs of the newest versions of other names that do the same, if made from the same data."""
    others: dict[str, Any] = {}
    made = {name for name in recipe.names() if recipe.find(name).compare is found.compare}
    for name in sorted({*_store(options).find(), *made} - {found.version_name}):
        try:
            version = _newest(options, name)
            if version.manifest.made_by.recipe not in made:
                continue
            _check(version, data)
        except (BrokenVersion, UsageError) as error:
            if name in made:
                print(f"left out: {error}")
        else:
            others[f"{name} {version.manifest.version}"] = _graphs(version)
    return others


def _check(version: Version, data: Any) -> None:
    if data.sha256 != version.manifest.made_by.data_sha256:
        raise UsageError(
            f"{version.folder} was made from other data ({version.manifest.credit.data}): name those, as they were "
            "named then"
        )


def _graphs(version: Version) -> Any:
    from training.graphs import Graphs

    return Graphs({name: version.files[f"{name}.onnx"] for name in version.manifest.graphs})


def _log(options: argparse.Namespace) -> bytes:
    from training import loop

    path = _folder(options) / loop.LOG
    return path.read_bytes() if path.is_file() else b""


def _data(options: argparse.Namespace, found: Recipe[Any]) -> tuple[Any, Own[Any] | None]:
    """The data, and what is to be said of them if they are a person's own."""
    if own.named(options):
        owned = own.load(options, found)
        print("\n".join(owned.told), flush=True)
        return owned.data, owned
    if not options.synthetic:
        return found.source.load(options.data_dir), None
    if options.models is None:
        raise UsageError(
            "--synthetic makes a toy: name a folder for it with --models, or it would be served as the best"
        )
    return found.source.synthetic(0), None


def _store(options: argparse.Namespace) -> Store:
    if options.models is not None:
        return Store([options.models])
    spelled = os.environ.get("HARMONIUM_MODELS") or os.pathsep.join(("var/models", "models/zoo"))
    return Store([ROOT / Path(part).expanduser() for part in spelled.split(os.pathsep) if part])


def _folder(options: argparse.Namespace) -> Path:
    return (options.runs or RUNS) / (options.name or options.recipe)


def _print(options: argparse.Namespace, metrics: Sequence[Metric]) -> None:
    if options.baselines:
        from training.card import comparison

        print(comparison(metrics))
        return
    for metric in metrics:
        error = f" ± {metric.standard_error:.2g}" if metric.standard_error is not None else ""
        how = f"{metric.data}, {metric.samples:,}, {metric.better} is better"
        print(f"{metric.name}: {metric.value:.4g}{error}  ({how})")
        for baseline in metric.baselines:
            print(f"    {baseline.name}: {baseline.value:.4g}")


def _duration(text: str) -> float:
    """`90s`, `20m`, `2h` -> seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not found or not float(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r}: write a time such as 90s, 20m or 2h")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


def arguments_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description="Train a model from a recipe, prove its export and publish a version that the service serves.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    shown = verbs.add_parser("list", help="show the recipes, or the settings of one")
    shown.add_argument("recipe", metavar="RECIPE", nargs="?", help="show what --set can change for this one")
    shown.set_defaults(command=list_recipes)
    moved = verbs.add_parser("adopt", help="move the newest version into the shipped models")
    moved.add_argument("recipe", metavar="RECIPE", help="a name from `list`")
    moved.set_defaults(command=adopt, models=None)
    judged = verbs.add_parser(
        "judge",
        help="make the classifier anew that generated pictures of a public data set are measured by",
        description="Train the classifier of a recipe's data and write it to training/judges, over what is there.",
    )
    judged.add_argument("recipe", metavar="RECIPE", help="any recipe that learns from these data")
    judged.add_argument("--data-dir", type=Path, metavar="DIR", required=True, help="your local copy of them")
    judged.set_defaults(command=judge)
    for verb, command, text in (
        ("run", run, "train, export, prove, measure and publish: everything, in this order"),
        ("train", train, "only train; leaves a checkpoint and a log in var/runs/RECIPE"),
        ("export", export, "export, prove, measure and publish what `train` left"),
        ("evaluate", evaluate, "measure the newest version beside its baselines"),
        ("card", card, "write the card and the figures of the newest version anew"),
    ):
        one = verbs.add_parser(
            verb,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=OWN.format(verb=verb),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        one.set_defaults(command=command, baselines=False)
        one.add_argument("recipe", metavar="RECIPE", help="a name from `list`")
        data = one.add_argument_group("the data that the recipe names")
        data.add_argument("--data-dir", type=Path, metavar="DIR", help="your local copy of them")
        data.add_argument("--synthetic", action="store_true", help="take a small made-up twin of them instead")
        own.add_arguments(one)
        made = one.add_argument_group("the version")
        made.add_argument(
            "--name", type=own.name, metavar="NAME", help="of the model (default: RECIPE, served by default)"
        )
        made.add_argument("--models", type=Path, metavar="DIR", help="where versions lie (default: HARMONIUM_MODELS)")
        if verb in ("run", "export", "evaluate"):
            made.add_argument(
                "--baselines",
                action="store_true",
                help="of a recommender: measure beside every baseline, which are fitted first (MovieLens 1M: a minute)",
            )
        if verb == "evaluate":
            continue
        how = one.add_argument_group("the run")
        how.add_argument("--runs", type=Path, metavar="DIR", help="where runs are kept (default: var/runs)")
        if verb == "card":
            continue
        how.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute (default: cpu)")
        how.add_argument("--set", action="append", metavar="KEY=VALUE", help="change a setting; may be repeated")
        if verb == "export":
            continue
        how.add_argument(
            "--budget",
            type=_duration,
            metavar="TIME",
            help="90s, 20m, 2h: sets the number of steps; preparing counts, but is not shortened",
        )
        how.add_argument("--resume", action="store_true", help="go on from the checkpoint of this recipe")
    return parser


if __name__ == "__main__":
    sys.exit(main())
