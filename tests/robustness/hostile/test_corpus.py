"""Every hostile request gets the answer that the agreement has for it, and the service stays as it was."""

import pytest

from tests.robustness.hostile import fields, texts
from tests.robustness.hostile.agreement import refusal
from tests.robustness.hostile.case import Case
from tests.robustness.hostile.target import Target, problem

MOST_GROWTH = 64
"""MiB over what honest calls need, whatever is sent."""
CASES = [*texts.cases(), *fields.cases()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hostile(target: Target, case: Case) -> None:
    body = case.made()
    headers = [*([("content-type", case.kind)] if case.kind is not None else []), *case.headers]
    answer = target.send(case.method, case.path, headers, body if case.method == "POST" else None)
    assert problem(answer) == case.outcome.problem, answer
    if case.outcome.problem:
        told = refusal(answer, case.path, body)
        _assert_pointers([error["pointer"] for error in told.get("errors", [])], case.outcome.pointers)
        assert told.get("setting") == case.outcome.setting, told
        target.assert_explained(told["type"], told["title"])
    assert target.grown() <= MOST_GROWTH
    target.assert_well()


def test_there_are_many_and_each_has_its_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 400


def _assert_pointers(found: list[str], expected: tuple[str, ...]) -> None:
    if expected and expected[-1].endswith("*"):
        assert found
        assert all(pointer.startswith(expected[-1][:-1]) for pointer in found), found
    else:
        assert tuple(sorted(found)) == tuple(sorted(expected))
