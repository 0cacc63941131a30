"""The command line: `python -m training list | train | evaluate | export | run | card`."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from models.manifest import Metric
from models.store import BrokenVersion, NothingToAdopt, Store, Version, verify
from training import recipe
from training.data.source import DataError
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
  python -m training evaluate movies-rbm --data-dir ~/data
  python -m training card movies-rbm --data-dir ~/data
"""


class UsageError(Exception):
    """The command line asks for something that does not go together."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it did what was asked, 1 with one sentence on standard error when not."""
    options = arguments_parser().parse_args(arguments)
    from training.export import NotEqual
    from training.loop import Diverged, NoCheckpoint, NoDevice, Stopped, Unfinished

    expected = (
        BrokenVersion, DataError, Diverged, NoCheckpoint, NoDevice, NotEqual, NothingToAdopt,
        SettingError, Stopped, Unfinished, UnknownRecipe, UsageError,
    )  # fmt: skip
    try:
        options.command(options)
    except expected as error:
        print(f"{options.verb}: {error}", file=sys.stderr)
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
    print(f"Checkpoint and log are in {_folder(options)}. `python -m training export {options.recipe}` publishes it.")


def export(options: argparse.Namespace) -> None:
    from training import loop

    found, data, learner = _prepare(options, stored=True)
    _publish(options, found, data, learner, loop.restore(learner, _folder(options)))


def run(options: argparse.Namespace) -> None:
    _publish(options, *_train(options))


def evaluate(options: argparse.Namespace) -> None:
    found = recipe.find(options.recipe)
    version = _newest(options, found)
    print(f"{found.name} version {version.manifest.version}, {version.folder}")
    _print(found.evaluate(_graphs(version), _data(options, found)))


def card(options: argparse.Namespace) -> None:
    from training.card import prose

    found = recipe.find(options.recipe)
    version, data = _newest(options, found), _data(options, found)
    manifest = version.manifest
    if data.sha256 != manifest.made_by.data_sha256:
        raise UsageError(f"{version.folder} was made from other data: name those, or the card would not be its own")
    written = prose(manifest, found.not_for, _graphs(version), data, _log(options))
    folder = _store(options).describe(found.name, manifest.version, written)
    print(f"Wrote {folder / 'card.md'} with {len(written) - 1} figures.")


def adopt(options: argparse.Namespace) -> None:
    print(f"Moved to {_store(options).adopt(options.recipe)}.")


def _train(options: argparse.Namespace) -> tuple[Recipe[Any], Any, Any, Any]:
    from training import loop

    found, data, learner = _prepare(options, stored=options.resume)
    stop = threading.Event()

    def on_signal(number: int, frame: object) -> None:
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
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
    return found, data, learner, outcome


def _prepare(options: argparse.Namespace, *, stored: bool) -> tuple[Recipe[Any], Any, Any]:
    """Recipe, data and a fresh learner, with the settings of the stored run if there is to be one."""
    from training import loop

    found = recipe.find(options.recipe)
    settings = found.settings.changed(options.set or [])
    if stored:
        if options.set:
            raise UsageError("a stored run keeps its settings: leave --set out")
        settings = loop.stored_settings(_folder(options), type(settings))
    device = loop.device(options.device)
    data = _data(options, found)
    loop.seed(settings.seed, -1)
    return found, data, found.learner(settings, data).to(device)


def _publish(options: argparse.Namespace, found: Recipe[Any], data: Any, learner: Any, outcome: Any) -> None:
    from training import export as exporter
    from training.publish import publish

    graphs, recordings = exporter.export(learner)
    print("Exported; onnxruntime agrees with torch. Measuring ...", flush=True)
    path = publish(found, learner, data, outcome, graphs, recordings, _store(options), _log(options))
    number = int(path.name)
    _print(list(verify(path, found.name, number).manifest.metrics))
    print(f"Published {found.name} version {number}: {path}")


def _newest(options: argparse.Namespace, found: Recipe[Any]) -> Version:
    versions = _store(options).find().get(found.name)
    if not versions:
        raise UsageError(f"no version of {found.name} in {[str(folder) for folder in _store(options).folders]}")
    return verify(versions[max(versions)], found.name, max(versions))


def _graphs(version: Version) -> Any:
    from training.graphs import Graphs

    return Graphs({name: version.files[f"{name}.onnx"] for name in version.manifest.graphs})


def _log(options: argparse.Namespace) -> bytes:
    from training import loop

    path = _folder(options) / loop.LOG
    return path.read_bytes() if path.is_file() else b""


def _data(options: argparse.Namespace, found: Recipe[Any]) -> Any:
    if not options.synthetic:
        return found.source.load(options.data_dir)
    if options.models is None:
        raise UsageError(
            "--synthetic makes a toy: name a folder for it with --models, or it would be served as the best"
        )
    return found.source.synthetic(0)


def _store(options: argparse.Namespace) -> Store:
    if options.models is not None:
        return Store([options.models])
    spelled = os.environ.get("HARMONIUM_MODELS") or os.pathsep.join(("var/models", "models/zoo"))
    return Store([ROOT / Path(part).expanduser() for part in spelled.split(os.pathsep) if part])


def _folder(options: argparse.Namespace) -> Path:
    return (options.runs or RUNS) / options.recipe


def _print(metrics: list[Metric]) -> None:
    for metric in metrics:
        error = f" ± {metric.standard_error:.2g}" if metric.standard_error is not None else ""
        how = f"{metric.data}, {metric.samples:,}, {metric.better} is better"
        print(f"{metric.name}: {metric.value:.4g}{error}  ({how})")
        for baseline in metric.baselines:
            print(f"    {baseline.name}: {baseline.value:.4g}")


def _duration(text: str) -> float:
    """`90s`, `20m`, `2h` -> seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if not found:
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
    for verb, command, text in (
        ("run", run, "train, export, prove, measure and publish: everything, in this order"),
        ("train", train, "only train; leaves a checkpoint and a log in var/runs/RECIPE"),
        ("export", export, "export, prove, measure and publish what `train` left"),
        ("evaluate", evaluate, "measure the newest version beside its baselines"),
        ("card", card, "write the card and the figures of the newest version anew"),
    ):
        one = verbs.add_parser(verb, help=text, description=text[0].upper() + text[1:] + ".")
        one.set_defaults(command=command)
        one.add_argument("recipe", metavar="RECIPE", help="a name from `list`")
        one.add_argument("--data-dir", type=Path, metavar="DIR", help="your local copy of the data")
        one.add_argument("--synthetic", action="store_true", help="take a small made-up twin of the data instead")
        one.add_argument("--models", type=Path, metavar="DIR", help="where versions lie (default: HARMONIUM_MODELS)")
        if verb == "evaluate":
            continue
        one.add_argument("--runs", type=Path, metavar="DIR", help="where runs are kept (default: var/runs)")
        if verb == "card":
            continue
        one.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute (default: cpu)")
        one.add_argument("--set", action="append", metavar="KEY=VALUE", help="change a setting; may be repeated")
        if verb == "export":
            continue
        one.add_argument("--budget", type=_duration, metavar="TIME", help="90s, 20m, 2h: sets the number of steps")
        one.add_argument("--resume", action="store_true", help="go on from the checkpoint of this recipe")
    return parser


if __name__ == "__main__":
    sys.exit(main())
