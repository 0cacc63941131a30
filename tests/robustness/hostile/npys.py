"""Arrays whose headers lie, are code, or are of a kind that is not read."""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.robustness.hostile.case import OK, PATHS, Case, Outcome, cut, everywhere, no

KIND = "application/x-npy"
BROKEN, LARGE = no("unreadable-array"), no("picture-too-large", setting="MAX_PIXELS")


def made(header: str | bytes, body: bytes = b"", version: int = 1, length: int | None = None) -> bytes:
    text = header.encode("latin-1") if isinstance(header, str) else header
    size = len(text) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", size) + text + body


def told(descr: Any = "|u1", shape: Any = (8, 8), fortran: Any = False) -> str:
    return f"{{'descr': {descr!r}, 'fortran_order': {fortran!r}, 'shape': {shape!r}, }}\n"


def saved(array: Any, **options: Any) -> bytes:
    data = io.BytesIO()
    np.save(data, array, **options)
    return data.getvalue()


def archived(*names: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name in names:
            archive.writestr(name, WHOLE)
    return data.getvalue()


class Code:
    """What runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit",))


def floats(*values: float, kind: str = "<f4") -> bytes:
    return saved(np.array([values, values], kind))


WHOLE = saved(np.arange(64, dtype=np.uint8).reshape(8, 8))
BODY = bytes(64)
NAN, INF = float("nan"), float("inf")
FILES: dict[str, tuple[bytes | Callable[[], bytes], Outcome]] = {
    "only its first letters": (b"\x93NUMPY", BROKEN),
    "no header": (made(""), BROKEN),
    "a header of spaces": (made(" " * 100 + "\n"), BROKEN),
    "the version 0": (made(told(), BODY, 0), BROKEN),
    "the version 2": (made(told(), BODY, 2), OK),
    "the version 3": (made(told(), BODY, 3), OK),
    "the version 4": (made(told(), BODY, 4), BROKEN),
    "the version 1.1": (WHOLE[:7] + b"\1" + WHOLE[8:], BROKEN),
    "a header without padding": (made(told(), BODY), OK),
    "a header of odd length": (made(told() + " ", BODY), OK),
    "a header that ends before it does": (made(told(), BODY, length=20), BROKEN),
    "a header that takes a byte of the body": (made(told(), BODY, length=len(told()) + 1), BROKEN),
    "a header of 65,535 bytes": (made(told(), BODY, length=65_535), BROKEN),
    "a header of 2 to the 32nd bytes": (made(told(), BODY, 2, length=2**32 - 1), BROKEN),
    "a header of a megabyte": (made(told().rstrip() + " " * 2**20 + "\n", BODY, 2), BROKEN),
    "a header of no bytes": (made(told(), BODY, length=0), BROKEN),
    "code in place of a header": (made("__import__('os').system('true')\n", BODY), BROKEN),
    "code in place of a shape": (made(told().replace("(8, 8)", "(8, int(8))"), BODY), BROKEN),
    "code in place of a type": (made(told().replace("'|u1'", "exit()"), BODY), BROKEN),
    "sums in the shape": (made(told().replace("(8, 8)", "(4+4, 8)"), BODY), BROKEN),
    "a million brackets": (made("(" * 60_000, BODY), BROKEN),
    "a header of open quotes": (made("'" * 4000, BODY), BROKEN),
    "a header that takes long to match": (made("{" + "'a':" + "a" * 4000, BODY), BROKEN),
    "a header of many spaces": (made("{" + " " * 4000 + "x", BODY), BROKEN),
    "no type": (made("{'fortran_order': False, 'shape': (8, 8)}\n", BODY), BROKEN),
    "no order": (made("{'descr': '|u1', 'shape': (8, 8)}\n", BODY), BROKEN),
    "no shape": (made("{'descr': '|u1', 'fortran_order': False}\n", BODY), BROKEN),
    "one name more": (made(told().replace("}", "'more': 1}"), BODY), BROKEN),
    "a shape twice": (made("{'shape': (9, 9), " + told()[1:], BODY), OK),
    "double quotes": (made(told().replace("'", '"'), BODY), BROKEN),
    "JSON": (made('{"descr": "|u1", "fortran_order": false, "shape": [8, 8]}\n', BODY), BROKEN),
    "a list in place of a header": (made("['|u1', False, (8, 8)]\n", BODY), BROKEN),
    "bytes that are no text": (made(b"\xff\xfe" * 20, BODY), BROKEN),
    "a NUL in the header": (made(told().replace("8", "8\0"), BODY), BROKEN),
    "an order that is a number": (made(told(fortran=0), BODY), BROKEN),
    "an order that is unknown": (made(told().replace("False", "None"), BODY), BROKEN),
    "Fortran's order": (saved(np.asfortranarray(np.zeros((4, 6), np.uint8))), OK),
    "Fortran's order and a byte too few": (saved(np.asfortranarray(np.zeros((4, 6), np.uint8)))[:-1], BROKEN),
    "Fortran's order in a lie": (made(told(shape=(2**32, 2**32), fortran=True), BODY), BROKEN),
    "objects": (saved(np.array([[Code()]], object), allow_pickle=True), BROKEN),
    "objects as bytes": (made(told("|O"), pickle.dumps(Code())), BROKEN),
    "a structure": (saved(np.zeros((4, 4), [("a", "u1"), ("b", "u1", (3,))])), BROKEN),
    "texts": (saved(np.full((4, 4), "a")), BROKEN),
    "times": (saved(np.zeros((4, 4), "M8[s]")), BROKEN),
    "complex numbers": (saved(np.zeros((4, 4), "c8")), BROKEN),
    "truth values": (saved(np.zeros((4, 4), bool)), BROKEN),
    **{
        f"the type {kind}": (saved(np.zeros((4, 4), kind)), BROKEN)
        for kind in (">i2", ">f2", ">u4", "i1", "<i2", "<i8", "<u4", "<f2", "<f16", "V1")
    },
    **{
        f"the type {kind!r}": (made(told(kind), BODY), BROKEN)
        for kind in ("", "u1", "=u1", "<u1", "|u1|u1", "|u1" * 500, "numpy.uint8", [("a", "u1")])
    },
    **{
        f"the shape {shape!r}"[:60]: (made(told(shape=shape), BODY), outcome)
        for shape, outcome in (
            ((), BROKEN),
            ((64,), BROKEN),
            ((1, 1, 1, 8, 8), BROKEN),
            ((1,) * 100 + (8, 8), BROKEN),
            ((0, 8), BROKEN),
            ((8, 0), BROKEN),
            ((0,), BROKEN),
            ((-8, -8), BROKEN),
            ((-1, 8), BROKEN),
            ((8.0, 8), BROKEN),
            ((True, 64), BROKEN),
            ((8, 8, 2), BROKEN),
            ((8, 8, 0), BROKEN),
            ((4, 4, 4), BROKEN),
            ((8, 2, 4), BROKEN),
            ((64, 1, 1, 1), OK),
            ((1, 64, 1, 1), OK),
            ((1, 64), OK),
            ((64, 1), OK),
            ((8, 8, 1), OK),
            ((9, 8), BROKEN),
            ((7, 8), BROKEN),
            ((2**32, 2**32), BROKEN),
            ((2**63, 2), BROKEN),
            ((2**31, 2**33), BROKEN),
            ((2**64 + 8, 8), BROKEN),
            ((10**12, 1), BROKEN),
            ((10**13, 1), BROKEN),
            ([8, 8], BROKEN),
            ("8, 8", BROKEN),
            (64, BROKEN),
            (None, BROKEN),
        )
    },
    "an axis of 3000 digits": (made(told().replace("(8,", f"({'8' * 3000},"), BODY), BROKEN),
    "an axis of another script": (made(told().replace("(8,", "(\xb28,"), BODY), BROKEN),
    "an axis with an underscore": (made(told().replace("(8,", "(1_0,"), BODY), BROKEN),
    "an axis in base 8": (made(told().replace("(8,", "(0o10,"), BODY), BROKEN),
    "an axis with zeros": (made(told().replace("(8,", "(008,"), BODY), OK),
    "a shape of commas": (made(told().replace("(8, 8)", "(8,,8)"), BODY), BROKEN),
    "no body": (made(told()), BROKEN),
    "one byte too few": (WHOLE[:-1], BROKEN),
    "one byte too many": (WHOLE + b"\0", BROKEN),
    "another array behind its end": (WHOLE * 2, BROKEN),
    "a megapixel": (saved(np.zeros((1000, 1000), np.uint8)), OK),
    "a pixel more": (saved(np.zeros((1, 1000, 1001), np.uint8).reshape(1001, 1000)), LARGE),
    "a megapixel in 250 pictures": (saved(np.zeros((250, 50, 80, 1), np.uint8)), OK),
    "a side of 65,501": (saved(np.zeros((1, 65_501), np.uint8)), no("picture-too-large")),
    "NaN": (floats(0, NAN), BROKEN),
    "NaN of doubles": (floats(0, NAN, kind="<f8"), BROKEN),
    "NaN in the other order of bytes": (floats(0, NAN, kind=">f8"), BROKEN),
    "1e308 in the other order of bytes": (floats(0, 1e308, kind=">f8"), BROKEN),
    "a value of 5 that is little in the other order of bytes": (floats(5, kind="<f4").replace(b"<f4", b">f4"), OK),
    "a value that is little but in the other order of bytes": (floats(3e38, kind=">f4"), BROKEN),
    "only NaN": (floats(NAN), BROKEN),
    "a signalling NaN": (saved(np.full((2, 2), 0x7F800001, np.uint32).view("<f4")), BROKEN),
    "infinity": (floats(0, INF), BROKEN),
    "minus infinity": (floats(-INF, 0), BROKEN),
    "both infinities": (floats(-INF, INF), BROKEN),
    "a value of 5": (floats(-4, 5), OK),
    "a value over 5": (floats(0, 5.0001), BROKEN),
    "a value under -4": (floats(-4.0001, 0), BROKEN),
    "1e308": (floats(0, 1e308, kind="<f8"), BROKEN),
    "the smallest numbers": (floats(1e-45, -1e-45), OK),
    "the smallest doubles": (floats(5e-324, -5e-324, kind="<f8"), OK),
    "minus zero": (floats(-0.0, -0.0), OK),
    "bytes of 0..255 as floats": (floats(0, 255), BROKEN),
}


def cases() -> Iterator[Case]:
    for name, data in {"a pickle": pickle.dumps(Code()), "an archive": archived("a.npy")}.items():
        yield Case(f"npy: {name}, denoise", BROKEN, "/v1/denoise", data, KIND)
        yield Case(f"npy: {name}, encode", BROKEN, "/v1/encode", data, KIND)
    for name, (data, outcome) in FILES.items():
        yield from everywhere(Case(f"npy: {name}", outcome, "", data, KIND))
    yield from cut(Case("npy", BROKEN, "", WHOLE, KIND), range(len(WHOLE)), *PATHS)
    many = saved(np.zeros((257, 2, 2, 1), np.uint8))
    over = no("invalid-fields", "", setting="MAX_IMAGES")
    for call in ("denoise", "encode"):
        yield Case(f"npy: 257 pictures, {call}", over, f"/v1/{call}", many, KIND)
