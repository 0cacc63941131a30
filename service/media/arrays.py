"""NumPy arrays (.npy, formats 1 to 3) of pictures. Nothing is unpickled, nothing is evaluated."""

import io
import math
import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.media.negotiation import NPY
from service.media.picture import Header, Picture
from service.problems import UnreadableArray

MAGIC = b"\x93NUMPY"
LENGTHS = {1: 2, 2: 4, 3: 4}
"""Bytes of the header's length, by version of the format."""
MOST_HEADER = 4096
"""Bytes; what four axes need is a twentieth of it."""
MOST_DIGITS = 12
"""Of an axis."""
TYPES = ("|u1", "<u2", ">u2", "<f4", ">f4", "<f8", ">f8")
LOWEST, HIGHEST = -4, 5
"""Floats that reach a graph as they are."""
CHANNELS = (1, 3)
ENTRY = re.compile(r"\s*'(\w+)'\s*:\s*('[^']*'|\w+|\([\d\s,]*\)|\[[^{}]*\])\s*(?:,|$)")
"""One entry of the header, which is a Python dict of a text, a truth value and a tuple of integers."""


class Layout(NamedTuple):
    """What the header says, once it is known to be true of the body's length."""

    dtype: Any
    shape: tuple[int, ...]
    fortran: bool
    start: int


def header(data: bytes) -> Header:
    """What the header tells.

    Raises:
        UnreadableArray: not an array of pictures, or the body is shorter or longer than the header says.
    """
    dtype, shape, _, _ = _layout(data)
    stacked = len(shape) == 4
    return Header(NPY, shape[1:] if stacked else shape, dtype.type, count=shape[0] if stacked else 1, stacked=stacked)


def read(data: bytes) -> list[Picture]:
    """The pictures of an array whose header was read; where nothing must be moved, their pixels are those of `data`.

    Raises:
        UnreadableArray: a float is out of range or not finite.
    """
    dtype, shape, fortran, start = _layout(data)
    stored: NDArray[Any] = np.frombuffer(data, dtype, offset=start).reshape(shape, order="F" if fortran else "C")
    values = np.require(stored, dtype.newbyteorder("="), ["C_CONTIGUOUS", "ALIGNED"])
    if values.dtype.kind == "f":
        low, high = values.min(), values.max()  # of which NaN is one if there is any
        if not (low >= LOWEST and high <= HIGHEST):
            raise UnreadableArray(
                f"The array has values from {low} to {high}; they must be finite and from {LOWEST} to {HIGHEST}, "
                "and 0 to 1 is nominal."
            )
    return [Picture(pixels) for pixels in values] if len(shape) == 4 else [Picture(values)]


def write(array: NDArray[Any]) -> bytes:
    """The .npy of an array."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def stack(pictures: list[Picture]) -> NDArray[Any]:
    """Pictures of one shape and type as [B,H,W,C]."""
    return np.stack([picture.pixels.reshape(picture.height, picture.width, -1) for picture in pictures])


def _layout(data: bytes) -> Layout:
    size = LENGTHS.get(data[6], 0) if data[:6] == MAGIC and len(data) > 12 and data[7] == 0 else 0
    if not size:
        raise UnreadableArray("The bytes are not a NumPy array in a format from 1.0 to 3.0.")
    start = 8 + size + int.from_bytes(data[8 : 8 + size], "little")
    if start > len(data) or start > MOST_HEADER:
        raise UnreadableArray("The array's header is cut off or too long.")
    kind, shape, fortran = _entries(data[8 + size : start])
    if not 2 <= len(shape) <= 4 or 0 in shape:
        raise UnreadableArray(f"The array has the shape {shape}; pictures are [H,W], [H,W,C] or [B,H,W,C].")
    if len(shape) > 2 and shape[-1] not in CHANNELS:
        raise UnreadableArray(
            f"The array's last axis has {shape[-1]} channels; pictures have 1 or 3. Grey ones are stacked as [B,H,W,1]."
        )
    dtype = np.dtype(kind)
    needed = math.prod(shape) * dtype.itemsize
    if len(data) - start != needed:
        raise UnreadableArray(f"The array's values have {len(data) - start} bytes; its header says {needed}.")
    return Layout(dtype, shape, fortran, start)


def _entries(text: bytes) -> tuple[str, tuple[int, ...], bool]:
    """Type, shape and whether the first axis is the fastest, as the header spells them."""
    spelled = text.decode("latin-1").strip()
    inside, found, place = spelled[1:-1].strip(), dict[str, str](), 0
    while place < len(inside) and (match := ENTRY.match(inside, place)):
        found[match[1]], place = match[2], match.end()
    whole = spelled[:1] == "{" and spelled[-1:] == "}" and place >= len(inside)
    if not whole or found.keys() != {"descr", "fortran_order", "shape"} or found["shape"][0] != "(":
        raise UnreadableArray("The array's header cannot be read.")
    axes = [axis.strip() for axis in found["shape"][1:-1].split(",")]
    axes = axes if axes[-1] else axes[:-1]
    if not all(axis.isdecimal() and len(axis) <= MOST_DIGITS for axis in axes):
        raise UnreadableArray(f"The array's shape {found['shape']:.80} cannot be read.")
    kind = found["descr"].strip("'")
    if kind not in TYPES:
        raise UnreadableArray(f"Arrays of type {kind:.40} are not read; send {', '.join(TYPES)}.")
    if found["fortran_order"] not in ("True", "False"):
        raise UnreadableArray("The array's header cannot be read.")
    return kind, tuple(map(int, axes)), found["fortran_order"] == "True"
