"""Whatever is sent to any operation of the document: an answer or a refusal that it lists there, and never a fault."""

import json
import re
import zlib
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.docs.openapi import document
from tests.models import reproducible
from tests.robustness.hostile import disguises, fields, npys, pngs, texts, tiffs, webps
from tests.robustness.hostile.agreement import Answer, refusal
from tests.robustness.hostile.case import JSON
from tests.robustness.hostile.target import Target


class Operation(NamedTuple):
    method: str
    path: str
    tree: dict[str, Any]

    def parameters(self, place: str) -> list[str]:
        return [parameter["name"] for parameter in self.tree.get("parameters", []) if parameter["in"] == place]


OPERATIONS = [
    Operation(method.upper(), path, tree)
    for path, methods in json.loads(document())["paths"].items()
    for method, tree in methods.items()
]
CALLS = {operation.path: operation for operation in OPERATIONS if operation.method == "POST"}
TYPES = [JSON, *disguises.GOOD, "image/gif", "application/zip", "text/plain", "*/*", "image/*", "application/*", ""]
OUR_FAULT = (500, 501, 502)
WORDS = st.one_of(
    st.sampled_from(["photo-dae", "movies-rbm", "digits-vae", "1", "260", "auto", "true", "-1", "1e999", "nan", ""]),
    st.text(max_size=20),
    st.integers().map(str),
)
HEADERS = st.one_of(
    st.sampled_from(TYPES),
    st.lists(st.sampled_from([*TYPES, ";q=0.5", ";q=nan", ", ", ";charset=utf-16", '"']), max_size=6).map("".join),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
)
SEEDS = [(f"/v1/{call}", JSON, text.encode()) for call, text in texts.BODIES.items()]
SEEDS += [(path, kind, data) for path in ("/v1/denoise", "/v1/encode") for kind, data in disguises.GOOD.items()]
SEEDS += [("/v1/denoise", webps.KIND, webps.EXTENDED), ("/v1/encode", webps.KIND, webps.LOSSLESS)]
SEEDS += [("/v1/denoise", tiffs.KIND, data) for data in tiffs.WHOLE.values()]
SEEDS += [("/v1/denoise", npys.KIND, npys.saved([[[0.5], [1.0]]])), ("/v1/generate", JSON, b'{"seed": 1, "count": 3}')]
VALUE = re.compile(rb'-?\d+(?:\.\d+)?|"[^"]{0,30}"|true|false|null')
CHANGE = st.tuples(
    st.sampled_from(["flip", "cut", "insert", "remove", "repeat", "number", "value"]),
    st.floats(0, 1),
    st.binary(min_size=1, max_size=8),
    st.sampled_from(list(fields.VALUES.values())),
)


@settings(reproducible, max_examples=800)
@given(
    operation=st.sampled_from(OPERATIONS),
    words=st.lists(WORDS, min_size=2, max_size=2),
    query=st.none() | st.lists(st.tuples(st.integers(0, 8), WORDS, WORDS), max_size=4),
    headers=st.tuples(HEADERS, HEADERS),
    body=st.one_of(st.binary(max_size=200), st.sampled_from([seed[2] for seed in SEEDS])),
)
def test_any_bytes(
    target: Target,
    operation: Operation,
    words: list[str],
    query: list[tuple[int, str, str]] | None,
    headers: tuple[str, str],
    body: bytes,
) -> None:
    path = operation.path
    for name, word in zip(operation.parameters("path"), words, strict=False):
        path = path.replace(f"{{{name}}}", quote(word, safe=""))
    if query is not None:
        known = operation.parameters("query")
        path += "?" + urlencode([(known[at] if at < len(known) else name, value) for at, name, value in query])
    kind, accept = headers
    sent = [("accept", accept)] + ([("content-type", kind)] if operation.method == "POST" else [])
    answer = target.send(operation.method, path, sent, body if operation.method == "POST" else None)
    check(answer, operation, path, body)


@settings(reproducible, max_examples=1500)
@given(seed=st.sampled_from(SEEDS), changes=st.lists(CHANGE, min_size=1, max_size=4), mend=st.booleans())
@example(seed=SEEDS[0], changes=[], mend=False)
def test_almost_valid_bytes(
    target: Target, seed: tuple[str, str, bytes], changes: list[tuple[str, float, bytes, str]], mend: bool
) -> None:
    path, kind, body = seed
    for change in changes:
        body = changed(body, *change)
    if mend and kind == pngs.KIND:
        body = summed(body)
    check(target.send("POST", path, [("content-type", kind)], body), CALLS[path], path, body)


def check(answer: Answer, operation: Operation, path: str, body: bytes) -> None:
    assert answer.status not in OUR_FAULT, answer
    told = operation.tree["responses"][str(answer.status)]
    if answer.status == 200 or operation.path == "/readyz":
        assert answer.headers["content-type"].partition(";")[0] in told["content"], answer
    else:
        name = refusal(answer, path, body)["type"].removeprefix("/problems/")
        elsewhere = name == "unknown-path" and "{" in operation.path  # a name with a slash, or none
        assert elsewhere or f"`{name}`" in told["description"], (answer, told)


def changed(data: bytes, how: str, share: float, junk: bytes, value: str) -> bytes:
    """One change at a place that is a share of the whole."""
    at = int(share * len(data))
    if how == "flip":
        return (
            data[:at] + bytes(one ^ other for one, other in zip(data[at:], junk, strict=False)) + data[at + len(junk) :]
        )
    if how == "cut":
        return data[:at]
    if how == "insert":
        return data[:at] + junk + data[at:]
    if how == "remove":
        return data[:at] + data[at + len(junk) :]
    if how == "repeat":
        return data[: at + 16] + data[at:]
    if how == "number":  # the ends of what four bytes can say, in either order
        return data[:at] + (b"\0" * 4, b"\xff" * 4, b"\0\0\0\1", b"\1\0\0\0", b"\x7f" * 4)[junk[0] % 5] + data[at + 4 :]
    places = [match.span() for match in VALUE.finditer(data)]
    if not places:
        return data
    start, end = places[min(int(share * len(places)), len(places) - 1)]
    return data[:start] + value.encode() + data[end:]


def summed(data: bytes) -> bytes:
    """A PNG whose checksums are right again, as far as its chunks go."""
    mended = bytearray(data)
    for _, start, end in pngs.chunks(data):
        if end <= len(data):
            mended[end - 4 : end] = zlib.crc32(data[start + 4 : end - 4]).to_bytes(4)
    return bytes(mended)
