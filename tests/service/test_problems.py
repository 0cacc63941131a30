import re

import httpx
import pytest

from service import problems
from service.problems import KINDS
from service.settings import Settings, variable
from tests.service.conftest import refused

AGREED = """malformed-body key-missing key-wrong scope-missing cross-origin
unknown-path unknown-model unknown-version unknown-item method not-acceptable
unsupported-type body-too-slow wrong-task body-too-large picture-too-large invalid-fields unreadable-picture
unreadable-array internal overloaded not-ready draining deadline"""


def test_every_agreed_refusal_has_its_class_and_no_other() -> None:
    assert set(KINDS) == set(AGREED.split())


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_type_answers_with_an_explanation(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/problems/{name}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert KINDS[name].title in answer.text
    assert len(answer.text.splitlines()[2]) > 20


def test_an_unknown_type_is_an_unknown_path(client: httpx.Client) -> None:
    refused(client.get("/problems/nothing"), 404, "unknown-path")


def test_the_drawing_shows_every_class() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", problems.__doc__ or ""))
    assert drawn == {kind.__name__ for kind in KINDS.values()} | {"Unavailable"}


def test_settings_that_are_named_exist() -> None:
    known = {variable(name) for name in Settings.model_fields}
    for kind in KINDS.values():
        assert set(re.findall(r"HARMONIUM_\w+", kind.__doc__ or "")) <= known
