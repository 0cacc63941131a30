"""What every card keeps to, whatever its family: nothing of the data is shown that may not be."""

import re
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from models.manifest import MadeBy
from tests import tiny, versions
from tests.training.figures.pixels import Array, shows
from training import figures, recipe
from training.data.labelled import Pictures
from training.data.photographs import Photographs
from training.figures.figure import Figure
from training.graphs import Graphs

PICTURED = [name for name in recipe.names() if isinstance(tiny.twin(name), (Pictures, Photographs))]


def hidden(data: Any) -> Any:
    """The same data, of which nothing may be shown."""
    return replace(data, showable={} if isinstance(data, Photographs) else False)


def originals(data: Any) -> list[Array]:
    """Every picture of the data [C,H,W]."""
    if isinstance(data, Photographs):
        return [picture.transpose(2, 0, 1) for picture in (*data.train, *data.validation)]
    return [picture for part in (data.train, data.validation, data.test) for picture in part.images]


@cache
def drawn(name: str, *, showable: bool) -> dict[str, Figure]:
    made, data = tiny.exported(name), tiny.twin(name)
    facts = versions.MADE_BY | {"steps": made.run.step, "seconds": round(made.run.seconds, 1)}
    manifest = versions.generate()[0].model_copy(
        update={"tasks": made.learner.tasks(), "made_by": MadeBy.model_validate(facts)}
    )
    found = figures.draw(manifest, Graphs(made.graphs), data if showable else hidden(data), made.log)
    assert len({figure.name for figure in found}) == len(found)
    return {figure.name: figure for figure in found}


@pytest.mark.parametrize("name", PICTURED)
def test_pictures_that_may_not_be_shown_are_nowhere(name: str) -> None:
    pictures = originals(tiny.twin(name))
    shown, kept = drawn(name, showable=True), drawn(name, showable=False)
    assert [figure.name for figure in kept.values() if shows(figure.png, pictures)] == []
    seen = {figure.name for figure in shown.values() if shows(figure.png, pictures)}
    assert seen == shown.keys() - kept.keys()
    assert seen, "or this test could not fail"


@pytest.mark.parametrize("name", PICTURED)
def test_figures_without_the_data_s_pictures_are_the_same_bytes_every_time(name: str) -> None:
    for figure in drawn(name, showable=False).values():
        assert drawn(name, showable=True)[figure.name] == figure


@pytest.mark.parametrize("name", recipe.names())
def test_captions_are_sentences_without_a_measured_number(name: str) -> None:
    found = drawn(name, showable=True)
    assert list(found)[-1] == "learning"
    for figure in found.values():
        assert figure.caption.endswith(".")
        assert not figure.alt.endswith(".")
        assert "\n" not in figure.alt + figure.caption
        assert not set("[]|") & set(figure.alt), "it stands in a link"
        assert not re.search(r"\d[.,]\d", figure.alt + figure.caption)
