"""Bodies that are no JSON, or JSON that nobody means."""

import base64
from collections.abc import Iterator

from tests.robustness.hostile.case import OK, Case, Outcome, cut, no
from tests.service.conftest import png

IMAGE = base64.b64encode(png(5, 4)).decode()
BODIES = {
    "recommend": (
        '{"model": "movies-rbm", "version": 1, "users": [{"ratings": [{"item": "1196", "rating": 4.5}], "liked": [2]}],'
        ' "count": 3, "filter": {"year": {"from": 1950}, "genres": {"none": ["Horror"]}}, "novelty": 0.25, '
        '"reasons": true}'
    ),
    "generate": (
        '{"class": "3", "interpolate": {"from": {"seed": 1}, "to": {"latent": [0, -1.5e0, 0.25, 1]}, "steps": 2, '
        '"path": "linear"}, "truncation": 0.5, "form": null}'
    ),
    "denoise": f'{{"images": ["{IMAGE}"], "strength": 12.5, "amount": 1, "view": "compare"}}',
    "encode": f'{{"images": ["{IMAGE}"], "fit": "stretch", "invert": true, "sample": 7}}',
}
"""A valid body of every call."""
MALFORMED = no("malformed-body")
NOT_AN_OBJECT = no("invalid-fields", "")

BROKEN = {
    "a byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "UTF-16 without a mark": lambda text: text.decode().encode("utf-16-be"),
    "UTF-32": lambda text: text.decode().encode("utf-32"),
    "a byte of Latin-1 in a name": lambda text: text.replace(b'{"', b'{"\xe9": 1, "', 1),
    "an overlong slash in a name": lambda text: text.replace(b'{"', b'{"\xc0\xaf": 1, "', 1),
    "a surrogate in UTF-8": lambda text: text.replace(b'{"', b'{"\xed\xa0\x80": 1, "', 1),
    "a lone surrogate": lambda text: text.replace(b'{"', b'{"\\ud800": 1, "', 1),
    "surrogates the wrong way round": lambda text: text.replace(b'{"', b'{"\\udc00\\ud800": 1, "', 1),
    "half an escape": lambda text: text.replace(b'{"', b'{"\\u00": 1, "', 1),
    "an unknown escape": lambda text: text.replace(b'{"', b'{"\\x41": 1, "', 1),
    "a line break in a name": lambda text: text.replace(b'{"', b'{"a\nb": 1, "', 1),
    "a NUL in a name": lambda text: text.replace(b'{"', b'{"a\0b": 1, "', 1),
    "a NUL in front": lambda text: b"\0" + text,
    "a NUL behind": lambda text: text + b"\0",
    "a second document": lambda text: text + text,
    "a comma behind": lambda text: text + b",",
    "a bracket too many": lambda text: text + b"}",
    "a comma too many": lambda text: text[:-1] + b",}",
    "no colon": lambda text: text.replace(b": ", b" ", 1),
    "single quotes": lambda text: text.replace(b'"', b"'"),
    "a name without quotes": lambda text: text.replace(b'{"', b"{x: 1, " + b'"', 1),
    "a comment": lambda text: text.replace(b"{", b"{/* */", 1),
    "an assignment": lambda text: b"body = " + text,
    "a callback": lambda text: b"f(" + text + b")",
    "a guard against scripts": lambda text: b")]}'\n" + text,
    "a form": lambda text: b"body=" + text,
    "a no-break space": lambda text: b"\xc2\xa0" + text,
    "a form feed": lambda text: b"\x0c" + text,
    **{
        f"the number {number}": lambda text, number=number: text.replace(b'{"', b'{"x": %b, "' % number.encode(), 1)
        for number in ("01", "+1", "-", "1.", ".5", "1e", "1e+", "0x1F", "1_000", "--1", "1,5", "\u0661", "nan", "True")
    },
}
"""What turns any valid body into something that is not JSON."""

WHOLE: dict[str, tuple[bytes, Outcome]] = {
    "null": (b"null", NOT_AN_OBJECT),
    "true": (b"true", NOT_AN_OBJECT),
    "a number": (b"-0.0", NOT_AN_OBJECT),
    "NaN": (b"NaN", NOT_AN_OBJECT),
    "Infinity": (b"-Infinity", NOT_AN_OBJECT),
    "more than any number": (b"1e400", NOT_AN_OBJECT),
    "a text": (b'"{}"', NOT_AN_OBJECT),
    "a list": (b"[]", NOT_AN_OBJECT),
    "a list of an object": (b"[{}]", NOT_AN_OBJECT),
    "white space": (b" \t\r\n", MALFORMED),
    "a NUL": (b"\0", MALFORMED),
    "5000 digits": (b"1" * 5000, MALFORMED),
    "300 lists, one in the other": (b"[" * 300 + b"]" * 300, MALFORMED),
    "300 objects, one in the other": (b'{"a":' * 300 + b"1" + b"}" * 300, MALFORMED),
    "100,000 open lists": (b"[" * 100_000, MALFORMED),
    "50,000 open objects": (b'{"a":' * 50_000, MALFORMED),
    "a PNG": (png(5, 4), MALFORMED),
    "gzip": (b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xab\xae\x05\0\x43\xbf\xa6\xa3\x02\0\0\0", MALFORMED),
}
"""Bodies that stand for any call."""

NAMES = {
    "an empty name": ("", "/"),
    "a slash and a tilde": ("a/~b", "/a~1~0b"),
    "a name of Python": ("__class__", "/__class__"),
    "a pair of surrogates": ("\\ud83d\\ude00", "/\U0001f600"),
    "a name with an escaped NUL": ("\\u0000", "/\0"),
    "a name that turns the text": ("\\u202e", "/\u202e"),
    "a name with a line break": ("a\\nb", "/a\nb"),
    "a name of 100,000 letters": ("a" * 100_000, "/" + "a" * 100_000),
    "a name in other case": ("Model", "/Model"),
}
"""Unknown names as JSON spells them, and the pointers to them."""


def cases() -> Iterator[Case]:
    for call, text in BODIES.items():
        body, path = text.encode(), f"/v1/{call}"
        yield Case(f"{call}: a valid body", OK, path, body)
        yield from cut(Case(call, MALFORMED, path, body), range(len(body)))
        for name, broken in BROKEN.items():
            yield Case(f"{call}: {name}", MALFORMED, path, broken(body))
        for name, (other, outcome) in WHOLE.items():
            yield Case(f"{call}: {name}", outcome, path, other)
        for name, (spelled, pointer) in NAMES.items():
            named = body.replace(b'{"', b'{"%b": [{}], "' % spelled.encode(), 1)
            yield Case(f"{call}: {name}", no("invalid-fields", pointer), path, named)
        yield Case(f"{call}: a megabyte of white space", OK, path, b" \n" * 500_000 + body)
        first = text[1 : text.index(":")]
        value = text[text.index(":") + 1 :]
        escaped = '"' + "".join(f"\\u{ord(sign):04X}" for sign in first[1:-1]) + '"'
        yield Case(f"{call}: a name in escapes", OK, path, f"{{{escaped}:{value}".encode())
        yield Case(f"{call}: of a name given twice the last counts", OK, path, f"{{{first}: [[]], {text[1:]}".encode())
        yield from bombs(call)


def bombs(call: str) -> Iterator[Case]:
    """Texts that would take far more memory than they have bytes. The last are so many that they are only counted."""
    path, unknown, over = f"/v1/{call}", no("invalid-fields", "/x"), no("invalid-fields", "")
    images = no("invalid-fields", "/images", "/x") if call in ("denoise", "encode") else unknown
    unknown = no("invalid-fields", "/users", "/x") if call == "recommend" else images
    many = no("invalid-fields", "/users", setting="MAX_CALL_RATINGS") if call == "recommend" else over
    yield Case(f"{call}: 500 lists for an unknown name", unknown, path, b'{"x": [%b[]]}' % (b"[], " * 499))
    yield Case(f"{call}: a text of a megabyte", unknown, path, b'{"x": "%b"}' % (b"a" * 2**20))
    yield Case(f"{call}: a megabyte of escapes", unknown, path, b'{"x": "%b"}' % (b"\\u0041" * 175_000))
    yield Case(f"{call}: a fraction of a megabyte", unknown, path, b'{"x": 0.%b}' % (b"3" * 2**20))
    yield Case(f"{call}: an exponent of 1000 digits", unknown, path, b'{"x": 1e-%b}' % (b"9" * 1000))
    yield Case(f"{call}: 4300 digits", unknown, path, b'{"x": %b}' % (b"9" * 4300))
    yield Case(f"{call}: 4301 digits", MALFORMED, path, b'{"x": %b}' % (b"9" * 4301))
    yield Case(f"{call}: 999 unknown names", no("invalid-fields", "/*"), path, _names(999))
    yield Case(f"{call}: 20,000 unknown names", many if call in ("denoise", "encode") else over, path, _names(20_000))
    yield Case(f"{call}: 400,000 lists", many, path, lambda: b'{"x": [%b0]}' % (b"[], " * 400_000))
    yield Case(f"{call}: 300,000 objects in objects", many, path, lambda: b'{"x": [%b0]}' % (b'{"a": {}}, ' * 300_000))
    yield Case(f"{call}: two million numbers", many, path, lambda: b'{"x": [%b0]}' % (b"0," * 2_000_000))


def _names(count: int) -> bytes:
    return b"{%b}" % b", ".join(b'"x%d": 0' % number for number in range(count))
