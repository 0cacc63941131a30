"""What API.md says about refusals, written down a second time, and a check of an answer against it."""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from service.settings import Settings, variable

REFUSALS = {
    "malformed-body": 400,
    "key-missing": 401,
    "key-wrong": 401,
    "scope-missing": 403,
    "cross-origin": 403,
    "unknown-path": 404,
    "unknown-model": 404,
    "unknown-version": 404,
    "unknown-item": 404,
    "method": 405,
    "not-acceptable": 406,
    "body-too-slow": 408,
    "wrong-task": 409,
    "body-too-large": 413,
    "picture-too-large": 413,
    "unsupported-type": 415,
    "invalid-fields": 422,
    "unreadable-picture": 422,
    "unreadable-array": 422,
    "internal": 500,
    "overloaded": 503,
    "not-ready": 503,
    "draining": 503,
    "deadline": 504,
}
HEADERS = (
    {"method": "allow", "unsupported-type": "accept"}
    | dict.fromkeys(["key-missing", "key-wrong"], "www-authenticate")
    | dict.fromkeys(["overloaded", "not-ready", "draining"], "retry-after")
)
"""What a refusal's headers must tell beside its body."""
SETTINGS = {variable(name) for name in Settings.model_fields}
INSIDE = re.compile(r"Traceback|File \"|site-packages|\.py\b|0x[0-9a-f]{6,}|Error\(")
"""What must not get out: places in code, addresses, names of exceptions."""


class Answer(NamedTuple):
    """What came back; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def refusal(answer: Answer, target: str, sent: bytes) -> dict[str, Any]:
    """The problem document of a refusal, after everything that holds for each of them.

    `target` is the request's path with its query, `sent` its body: pointers must point into one of them.
    """
    assert answer.headers["content-type"] == "application/problem+json", answer
    problem = json.loads(answer.body)
    assert {"type", "title", "status", "detail", "instance"} <= problem.keys(), problem
    protocol = {"error"} if target.startswith("/v2") else set[str]()
    assert problem.keys() <= {"type", "title", "status", "detail", "instance", "errors", "setting"} | protocol, problem
    assert problem.get("error", problem["detail"]) == problem["detail"], problem
    name = problem["type"].removeprefix("/problems/")
    assert REFUSALS[name] == problem["status"] == answer.status, problem
    assert problem["instance"] == answer.headers["x-request-id"], problem
    assert problem["title"], problem
    assert problem["detail"], problem
    assert not INSIDE.search(problem["detail"]), problem
    assert name not in HEADERS or answer.headers[HEADERS[name]], answer
    assert "setting" not in problem or problem["setting"] in SETTINGS, problem
    if name == "invalid-fields":
        assert problem["errors"], problem
    for error in problem.get("errors", []):
        assert error.keys() == {"pointer", "detail"}, problem
        assert error["detail"], problem
        assert _resolves(error["pointer"], target, sent), problem
    return problem


def _resolves(pointer: str, target: str, sent: bytes) -> bool:
    """Whether a JSON pointer (RFC 6901) names the body, a query parameter, or a place in the body that is or could be.

    What could be is one more name in an object that is there: that of a missing field.
    """
    if pointer == "":
        return True
    if not pointer.startswith("/"):
        return False
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/")]
    parameters = [name for name, _ in parse_qsl(target.partition("?")[2], keep_blank_values=True, errors="replace")]
    if tokens[0] in parameters and len(tokens) == 1:
        return True
    try:
        return _inside(json.loads(sent), tokens)
    except ValueError:
        return False


def _inside(node: Any, tokens: Sequence[str]) -> bool:
    for token in tokens[:-1]:
        if isinstance(node, dict) and token in node:
            node = node[token]
        elif isinstance(node, list) and token.isdecimal() and int(token) < len(node):
            node = node[int(token)]
        else:
            return False
    return isinstance(node, dict) or (isinstance(node, list) and tokens[-1].isdecimal() and int(tokens[-1]) < len(node))
