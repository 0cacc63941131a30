"""A recipe: which data, which learner, which settings, and how the result is measured."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from models.manifest import Metric
from training.data.source import Source
from training.graphs import Graphs
from training.settings import Settings

if TYPE_CHECKING:
    from training.learners.learner import Learner

Data = TypeVar("Data")


@dataclass(frozen=True)
class Recipe(Generic[Data]):
    """`evaluate` measures the exported graphs on held-out data, beside baselines that cost little.

    `compare`, where a task has it, does the same beside all of them and other versions, by name.
    """

    name: str
    summary: str
    source: Source[Data]
    learner: Callable[[Any, Data], Learner[Any]]
    settings: Settings
    evaluate: Callable[[Graphs, Data], list[Metric]]
    not_for: str
    """What the model should not be used for, for its card."""
    about: str = ""
    """What its parts are in the terms of the field, for its card, in Markdown."""
    compare: Callable[[Graphs, Data, Mapping[str, Graphs]], list[Metric]] | None = None
    published_as: str | None = None
    """The name of its versions, where that is not the recipe's."""

    @property
    def version_name(self) -> str:
        return self.published_as or self.name


class UnknownRecipe(LookupError):
    """No recipe has this name; the message lists those there are."""


def names() -> list[str]:
    """Every recipe's name: the files of `training/recipes`."""
    from training import recipes

    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(recipes.__path__))


def find(name: str) -> Recipe[Any]:
    """The recipe called `name`.

    Raises:
        UnknownRecipe: with the names that there are.
    """
    if name not in names():
        raise UnknownRecipe(f"there is no recipe {name!r}; there are {', '.join(names())}")
    return importlib.import_module(f"training.recipes.{name.replace('-', '_')}").RECIPE
