"""A person's own data on the command line: the flags, which of them go together, and what the version says of them."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.manifest import NAME, AnyTask, Denoise, Encode, Generate, Recommend
from training.data.own import photographs, pictures, ratings
from training.data.own.columns import USUAL
from training.data.own.faults import ALLOWED
from training.data.own.told import Own, shown
from training.recipe import Recipe

FLAGS = {"ratings": "--ratings FILE", "pictures": "--pictures DIR", "photographs": "--pictures DIR"}
"""What names the data, by the kind that a source can be replaced by."""
OF_RATINGS = ("items", "columns", "scale", "liked", "allow_bad_rows")
NOT_FOR = "What its data do not show. Their owner knows what that is, and whether others may use this version."


class OptionError(Exception):
    """Flags that do not go together, or not with this recipe."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of own data, in their groups."""
    group = parser.add_argument_group(
        "your own ratings, for the recipes movies-*",
        "A CSV or Parquet file with the columns user, item and, where you have them,\nrating and timestamp. What is "
        "read, by which rules, and what is skipped, is\nprinted before training starts.",
    )
    group.add_argument("--ratings", type=Path, metavar="FILE", help="the ratings, instead of --data-dir")
    group.add_argument("--items", type=Path, metavar="FILE", help="id, title, and further columns to filter by")
    group.add_argument(
        "--columns", type=_columns, metavar="ROLE=NAME,...", help=f"your names of the columns {', '.join(USUAL)}"
    )
    group.add_argument(
        "--scale",
        choices=("steps", "counts", "likes"),
        help="what ratings are: steps of a scale, counts such as plays, or nothing, every row being a like "
        "(default: what they look like)",
    )
    group.add_argument("--liked", type=_rating, metavar="RATING", help="from which on a rating says that it was liked")
    group.add_argument(
        "--allow-bad-rows", type=_share, metavar="SHARE", help=f"how many may be skipped (default: {ALLOWED})"
    )
    group = parser.add_argument_group(
        "your own pictures, for every other recipe",
        "A folder of PNG, JPEG, WebP, TIFF or BMP files; folders in it are classes.\n"
        "photo-dae takes them at full size.",
    )
    group.add_argument("--pictures", type=Path, metavar="DIR", help="the pictures, instead of --data-dir")
    group.add_argument(
        "--side", type=_side, metavar="PIXELS", help=f"their size, 16 to 128 by 4 (default: {pictures.SIDE})"
    )


def named(options: argparse.Namespace) -> bool:
    """Whether own data are named."""
    return options.ratings is not None or options.pictures is not None


def check(options: argparse.Namespace, found: Recipe[Any]) -> None:
    """Refuse flags that do not go together, before anything is read.

    Raises:
        OptionError: naming them.
    """
    kind = found.source.own
    for flag, wanted in (("ratings", ("ratings",)), ("pictures", ("pictures", "photographs"))):
        if getattr(options, flag) is None:
            continue
        if kind not in wanted:
            raise OptionError(f"--{flag}: {found.name} learns from other data; your own are named by {FLAGS[kind]}")
        if options.data_dir is not None or options.synthetic:
            other = "--synthetic" if options.synthetic else "--data-dir"
            raise OptionError(f"--{flag} and {other} are two sources of data: leave one out")
    for flag in OF_RATINGS:
        if getattr(options, flag) is not None and options.ratings is None:
            raise OptionError(f"--{flag.replace('_', '-')} says something about --ratings FILE: name them")
    if "title" in (options.columns or {}) and options.items is None:
        raise OptionError("--columns title=... says something about --items FILE: name it")
    if options.side is not None and (options.pictures is None or kind == "photographs"):
        wrong = f"{found.name} takes photographs at their full size" if kind == "photographs" else "name --pictures DIR"
        raise OptionError(f"--side: {wrong}")


def load(options: argparse.Namespace, found: Recipe[Any]) -> Own[Any]:
    """Read the data that `named` found.

    Raises:
        training.data.source.DataError: they cannot be read, or do not do.
    """
    owned = _read(options, found)
    said = _flags(options)
    return replace(owned, credit=owned.credit.model_copy(update={"data": f"{owned.credit.data}{said}"}))


def _flags(options: argparse.Namespace) -> str:
    """How the data were named, but for their place: to be named so again."""
    said: list[str] = []
    for flag in (*OF_RATINGS, "side"):
        value: Any = getattr(options, flag)
        if value is None:
            continue
        if isinstance(value, dict):
            value = ",".join(f"{role}={name}" for role, name in value.items())
        spelled = shown(value) if isinstance(value, Path) else f"{value:g}" if isinstance(value, float) else value
        said.append(f"--{flag.replace('_', '-')} {spelled}")
    return f" (read with {' '.join(said)})" if said else ""


def _read(options: argparse.Namespace, found: Recipe[Any]) -> Own[Any]:
    match found.source.own:
        case "ratings":
            return ratings.read(
                ratings.Asked(
                    options.ratings,
                    options.items,
                    options.columns or {},
                    options.scale,
                    options.liked,
                    ALLOWED if options.allow_bad_rows is None else options.allow_bad_rows,
                )
            )
        case "pictures":
            return pictures.read(options.pictures, options.side or pictures.SIDE)
        case "photographs":
            return photographs.read(options.pictures)


def introduced(found: Recipe[Any], own: Own[Any], tasks: Sequence[AnyTask]) -> Recipe[Any]:
    """The recipe as it is true of own data: what a version of it does, from what, and whose they are."""
    return replace(
        found,
        source=replace(found.source, credit=own.credit),
        summary=" ".join([*(_does(task, own.data) for task in tasks), own.about]),
        not_for=NOT_FOR,
    )


def name(text: str) -> str:
    """The name of a version.

    Raises:
        argparse.ArgumentTypeError: it cannot be one.
    """
    if not re.fullmatch(NAME, text) or len(text) > 64:
        raise argparse.ArgumentTypeError(f"{text!r}: up to 64 small letters and digits, with single hyphens between")
    return text


def _does(task: AnyTask, data: Any) -> str:
    match task:
        case Recommend():
            return f"Ranks items for anybody from a handful of ratings{', and predicts ratings' if data.rated else ''}."
        case Denoise():
            if task.sigma_max is None:
                return "Repairs photographs of any size, whatever is wrong with them."
            return "Removes noise from photographs of any size, its strength given or estimated."
        case Encode():
            return f"Turns a picture into {task.latent_size} numbers with their uncertainty."
        case Generate():
            of = " of the class that is asked for" if task.classes else ""
            return f"Draws pictures{of} from {task.latent_size} numbers."


def _columns(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in text.split(","):
        role, mark, column = (part.strip() for part in pair.partition("="))
        if role not in USUAL or role in found or not mark or not (column or role == "timestamp"):
            raise argparse.ArgumentTypeError(
                f"{pair!r}: write user=NAME,item=NAME with any of {', '.join(USUAL)}, once"
            )
        found[role] = column
    return found


def _rating(text: str) -> float:
    return _number(text, "a rating, such as 4", lambda value: True)


def _share(text: str) -> float:
    return _number(text, "a share from 0 to below 1, such as 0.05", lambda value: 0 <= value < 1)


def _side(text: str) -> int:
    fits = _number(text, "a multiple of 4 from 16 to 128", lambda value: 16 <= value <= 128 and value % 4 == 0)
    return int(fits)


def _number(text: str, what: str, fits: Callable[[float], bool]) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or not fits(value):
        raise argparse.ArgumentTypeError(f"{text!r}: write {what}")
    return value
