"""A hostile request and what the agreement says will become of it."""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

JSON = "application/json"


@dataclass(frozen=True)
class Outcome:
    """`problem` is the name of a refusal, or empty for an answer of 200."""

    problem: str = ""
    pointers: tuple[str, ...] = ()
    """Those of `errors`. The last one may end in `*`: then all of them begin like it."""
    setting: str | None = None


OK = Outcome()
PATHS = ("/v1/denoise", "/v1/encode")
"""What reads files."""


def no(problem: str, *pointers: str, setting: str | None = None) -> Outcome:
    """A refusal; `setting` without its prefix."""
    return Outcome(problem, pointers, setting and f"HARMONIUM_{setting}")


@dataclass(frozen=True)
class Case:
    """`body` may be made when it is needed: bombs are long to make, and thousands of cases lie in memory."""

    name: str
    outcome: Outcome
    path: str
    body: bytes | Callable[[], bytes] = b""
    kind: str | bytes | None = JSON
    """Content-Type."""
    headers: tuple[tuple[str, str | bytes], ...] = ()
    method: str = "POST"
    family: str = ""
    """Cases that differ in a number only are tested together."""

    def made(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else self.body()


def cut(case: Case, places: Iterable[int], *paths: str) -> Iterator[Case]:
    """A body that ends too early, at each of these places; the paths take turns."""
    whole = case.made()
    for turn, end in enumerate(places):
        path = paths[turn % len(paths)] if paths else case.path
        yield replace(
            case, name=f"{case.name}, cut after {end} bytes", family=f"{case.name}, cut", path=path, body=whole[:end]
        )


def sent(name: str, outcome: Outcome, call: str, **fields: Any) -> Case:
    """A JSON call with these fields."""
    return Case(f"{call}: {name}", outcome, f"/v1/{call}", json.dumps(fields).encode())


def in_json(case: Case) -> Case:
    """The same file as an entry of a JSON body."""

    def body() -> bytes:
        return json.dumps({"images": [base64.b64encode(case.made()).decode()]}).encode()

    outcome = replace(case.outcome, pointers=("/images/0",)) if case.outcome.problem else OK
    return replace(case, name=f"{case.name}, in JSON", body=body, kind=JSON, outcome=outcome)


def everywhere(case: Case) -> Iterator[Case]:
    """A file as it is sent to denoise, to encode, and to denoise in JSON."""
    yield replace(case, name=f"{case.name}, denoise", path="/v1/denoise")
    yield replace(case, name=f"{case.name}, encode", path="/v1/encode")
    yield replace(in_json(case), path="/v1/denoise")
