"""What a body is (Content-Type) and what the caller takes for an answer (Accept)."""

from collections.abc import Sequence

from service.problems import NotAcceptable, UnsupportedType

JSON = "application/json"
PNG = "image/png"
JPEG = "image/jpeg"
WEBP = "image/webp"
TIFF = "image/tiff"
GIF = "image/gif"
NPY = "application/x-npy"
ZIP = "application/zip"
TEXT = "text/plain"
OPENMETRICS = "application/openmetrics-text"


def body_type(header: str | None, served: Sequence[str]) -> str:
    """The one of `served` that Content-Type names.

    Raises:
        UnsupportedType: none of them, no header, or JSON in another encoding than UTF-8.
    """
    kind, parameters = _media_type(header or "")
    if kind not in served:
        raise UnsupportedType(f"A body of type {kind} is not read." if kind else "Content-Type is missing.", served)
    charset = parameters.get("charset", "utf-8").lower()
    if kind == JSON and charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedType(f"JSON is read as UTF-8, not as {charset}.", served)
    return kind


def accepted(header: str | None, served: Sequence[str]) -> list[str]:
    """Those of `served` that Accept allows, best first; of equals, the order of `served` decides.

    Raises:
        NotAcceptable: none of them.
    """
    ranges = [_range(part) for part in (header or "*/*").split(",") if part.strip()]
    weights = {kind: _weight(kind, ranges) for kind in served}
    kinds = sorted((kind for kind in served if weights[kind] > 0), key=lambda kind: -weights[kind])
    if not kinds:
        raise NotAcceptable(f"Accept is {header!r}; the answer can be {', '.join(served)}.")
    return kinds


def names(header: str, kind: str) -> bool:
    """Whether Accept has `kind` itself, not only a range that covers it."""
    return any(_media_type(part)[0] == kind for part in header.split(","))


def _weight(kind: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The q-value of the most specific range that covers `kind`; 0 if none does."""
    for cover in (kind, kind.split("/")[0] + "/*", "*/*"):
        for name, weight in ranges:
            if name == cover:
                return weight
    return 0.0


def _range(part: str) -> tuple[str, float]:
    name, parameters = _media_type(part)
    try:
        weight = float(parameters.get("q", "1"))
    except ValueError:
        return name, 0.0
    return name, weight if 0 <= weight <= 1 else 0.0


def _media_type(text: str) -> tuple[str, dict[str, str]]:
    name, *rest = text.split(";")
    pairs = (part.partition("=") for part in rest)
    return name.strip().lower(), {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
