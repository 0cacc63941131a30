"""docs/add-a-model.md: the recipe that it shows trains, and the methods that it names are the learner's."""

import re
from pathlib import Path
from typing import Any

from tests import tiny
from training import loop
from training.learners.learner import Learner
from training.recipe import Recipe

PAGE = (Path(__file__).parents[2] / "docs" / "add-a-model.md").read_text()


def test_the_recipe_trains(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    names: dict[str, Any] = {}
    exec(compile(code, "digits_vae_8d.py", "exec"), names)
    recipe = names["RECIPE"]
    assert isinstance(recipe, Recipe)
    assert f"training/recipes/{recipe.name.replace('-', '_')}.py" in PAGE
    settings = recipe.settings.changed([*tiny.SETTINGS[recipe.learner.family], "steps=2"])  # type: ignore[attr-defined]
    learner = recipe.learner(settings, recipe.source.synthetic(0))
    assert loop.train(learner, tmp_path, quiet=True).step == 2
    assert [task.task for task in learner.tasks()] == ["encode", "generate"]


def test_the_methods_are_those_that_a_learner_must_have() -> None:
    assert set(re.findall(r"^\| `(\w+)\(", PAGE, re.M)) == Learner.__abstractmethods__
