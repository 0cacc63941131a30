"""Every hostile request gets the answer that the agreement has for it, and the service stays as it was."""

import contextlib
import socket

import pytest

from tests.robustness.hostile import disguises, fields, heads, jpegs, npys, pngs, requests, texts, tiffs, webps
from tests.robustness.hostile.agreement import refusal
from tests.robustness.hostile.case import Case
from tests.robustness.hostile.target import Target, problem

CASES = [
    case for part in (texts, fields, requests, pngs, jpegs, webps, tiffs, npys, disguises) for case in part.cases()
]
FAMILIES: dict[str, list[Case]] = {}
for case in CASES:
    FAMILIES.setdefault(case.family or case.name, []).append(case)


@pytest.mark.parametrize("family", FAMILIES)
def test_hostile(target: Target, family: str) -> None:
    for case in FAMILIES[family]:
        attack(target, case)


def attack(target: Target, case: Case) -> None:
    body = case.made()
    headers = [*([("content-type", case.kind)] if case.kind is not None else []), *case.headers]
    answer = target.send(case.method, case.path, headers, body if case.method == "POST" else None)
    assert problem(answer) == case.outcome.problem, answer
    if case.outcome.problem:
        told = refusal(answer, case.path, body)
        _assert_pointers([error["pointer"] for error in told.get("errors", [])], case.outcome.pointers)
        assert told.get("setting") == case.outcome.setting, told
        target.assert_explained(told["type"], told["title"])
    target.assert_lean()
    target.assert_well()


@pytest.mark.parametrize("name", heads.BROKEN)
def test_what_http_itself_gets_wrong_is_refused_below_in_plain_text(target: Target, name: str) -> None:
    answer = b""
    address = "127.0.0.1", target.service.port
    with socket.create_connection(address, 30) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(heads.BROKEN[name])
        while part := connection.recv(65536):
            answer += part
    if answer:  # a connection that is closed while more comes may lose it
        assert answer.split(b" ", 2)[:2] in ([b"HTTP/1.1", b"400"], [b"HTTP/1.1", b"431"]), answer
        assert b"\r\ncontent-type: text/plain; charset=utf-8\r\n" in answer
        assert b"\r\nconnection: close\r\n" in answer
    target.assert_lean()
    target.assert_well()


def test_there_are_many_and_each_has_its_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 400


def _assert_pointers(found: list[str], expected: tuple[str, ...]) -> None:
    if expected and expected[-1].endswith("*"):
        assert found
        assert all(pointer.startswith(expected[-1][:-1]) for pointer in found), found
    else:
        assert tuple(sorted(found)) == tuple(sorted(expected))
