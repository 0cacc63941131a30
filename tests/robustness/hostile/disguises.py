"""Files that are something else than they are said to be, or several things at once."""

import io
import zipfile
from collections.abc import Iterator

from PIL import Image

from tests.robustness.hostile import jpegs, npys, pngs, tiffs, webps
from tests.robustness.hostile.case import OK, Case, Outcome, in_json, no
from tests.service.conftest import encoded

GOOD = {
    pngs.KIND: pngs.WHOLE,
    jpegs.KIND: jpegs.WHOLE,
    webps.KIND: webps.LOSSY,
    tiffs.KIND: tiffs.WHOLE["plain"],
    npys.KIND: npys.WHOLE,
}
"""A file of every kind that is read."""
MULTI = io.BytesIO()
Image.new("L", (8, 8)).save(MULTI, "TIFF", save_all=True, append_images=[Image.new("L", (8, 8))] * 50)


def _zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("../../x.png", pngs.WHOLE)
    return data.getvalue()


STRANGERS = {
    "nothing": b"",
    "a byte": b"\0",
    "a line break": b"\n",
    "text": b"hello",
    "HTML": b"<!doctype html><script>alert(1)</script>",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "XML that unfolds": b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>',
    "GIF": encoded(Image.new("L", (8, 8)), "GIF"),
    "BMP": encoded(Image.new("L", (8, 8)), "BMP"),
    "ICO": encoded(Image.new("L", (16, 16)), "ICO"),
    "PDF": encoded(Image.new("L", (8, 8)), "PDF"),
    "EPS": encoded(Image.new("L", (8, 8)), "EPS"),
    "PPM": encoded(Image.new("L", (8, 8)), "PPM"),
    "TGA": encoded(Image.new("L", (8, 8)), "TGA"),
    "MPO": b"\0" + encoded(Image.new("RGB", (8, 8)), "MPO"),
    "AVIF": b"\0\0\0\x1cftypavif\0\0\0\0" + bytes(100),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
    "JPEG XL": b"\xff\x0a" + bytes(100),
    "PSD": b"8BPS\0\1" + bytes(100),
    "a shell's script": b"#!/bin/sh\nexit\n",
    "a program": b"\x7fELF\2\1\1" + bytes(100),
    "gzip": b"\x1f\x8b\x08" + bytes(30),
    "an archive": _zipped(),
    "a pickle": b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
    "zeros": bytes(100_000),
    "ones": b"\xff" * 100_000,
}
POLYGLOTS: dict[str, tuple[str, bytes, Outcome]] = {
    "a PNG with an archive behind": (pngs.KIND, pngs.WHOLE + _zipped(), OK),
    "a PNG with a program in a chunk": (
        pngs.KIND,
        pngs.made(pngs.HEAD, pngs.chunk(b"tEXt", b"a\0<?php system($_GET['c']); ?>"), pngs.PIXELS),
        OK,
    ),
    "a PNG behind a GIF": (pngs.KIND, b"GIF89a" + pngs.WHOLE, no("unreadable-picture")),
    "a PNG behind a byte order mark": (pngs.KIND, b"\xef\xbb\xbf" + pngs.WHOLE, no("unreadable-picture")),
    "a JPEG with HTML in a comment": (jpegs.KIND, jpegs.with_segments(jpegs.segment(0xFE, STRANGERS["HTML"])), OK),
    "a JPEG with a PNG in front": (jpegs.KIND, pngs.WHOLE + jpegs.WHOLE, no("unreadable-picture")),
    "a JPEG with a JPEG in EXIF": (jpegs.KIND, jpegs.with_segments(jpegs.segment(0xE1, b"Exif\0\0" + jpegs.WHOLE)), OK),
    "a TIFF that is a JPEG as well": (tiffs.KIND, tiffs.made(tiffs.grey(), jpegs.WHOLE + bytes(64)), OK),
    "a TIFF of 51 pages": (tiffs.KIND, MULTI.getvalue(), no("unreadable-picture")),
    "a WebP with a PNG in a chunk": (webps.KIND, webps.made(webps.FRAME, webps.chunk(b"XXXX", pngs.WHOLE)), OK),
    "an array with a PNG as its pixels": (
        npys.KIND,
        npys.made(npys.told(shape=(1, len(pngs.WHOLE))), pngs.WHOLE),
        OK,
    ),
}


def cases() -> Iterator[Case]:
    for said in GOOD:
        wrong = no("unreadable-array" if said == npys.KIND else "unreadable-picture")
        for kind, data in GOOD.items():
            outcome = OK if kind == said else wrong
            for path in ("/v1/denoise", "/v1/encode"):
                yield Case(f"{kind} as {said} to {path}", outcome, path, data, said)
        for name, data in STRANGERS.items():
            yield Case(f"{name} as {said}", wrong, "/v1/denoise", data, said)
    for name, data in STRANGERS.items():
        yield in_json(Case(name, no("unreadable-picture"), "/v1/encode", data))
    for name, (kind, data, outcome) in POLYGLOTS.items():
        yield Case(name, outcome, "/v1/denoise", data, kind)
        if name != "a JPEG with a PNG in front":  # which is a PNG where nobody says what it is
            yield in_json(Case(name, outcome, "/v1/denoise", data))
