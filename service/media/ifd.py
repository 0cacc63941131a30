"""The directory of tags that a TIFF file and a block of EXIF have alike: TIFF 6.0, section 2.

Looked at by hand before any library reads it: a directory of a few bytes can claim values
that take minutes and gigabytes to parse.
"""

import struct
from typing import Literal

import numpy as np

ORDERS: dict[bytes, Literal["<", ">"]] = {b"II*\0": "<", b"MM\0*": ">"}
"""Of bytes, by how the data begins."""
SIZES = np.zeros(2**16, np.uint64)
SIZES[1:14] = 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4
"""Bytes of a value, by type. Those of an unknown type are skipped by every reader."""
BYTES = (1, 2, 7)
"""Types that are read in one piece, whatever their count: BYTE, ASCII, UNDEFINED."""
INTEGERS = {3: "H", 4: "I", 13: "I"}
"""Types SHORT, LONG and IFD, as `struct` spells them."""
INLINE = 4
"""Bytes of values that stand in the entry itself."""
MOST_TAGS = 1000
"""Of one directory; cameras write some sixty."""
MOST_NUMBERS = 2**18
"""Values of one directory that are read one by one: more than the tallest picture has strips."""


class BrokenDirectory(ValueError):
    """The bytes are no directory, or not all of it; the message says in what way."""


class Directory:
    """The entries of one directory. Nothing outside `data` is believed."""

    def __init__(self, data: bytes, start: int | None = None) -> None:
        """Read the directory at byte `start`, by default the first.

        Raises:
            BrokenDirectory: there is none, it is cut off, or has more tags or values than are read.
        """
        if data[:4] not in ORDERS or len(data) < 8:
            raise BrokenDirectory("it does not begin like one")
        self._data, self._order = data, ORDERS[data[:4]]
        start = self._number("I", 4) if start is None else start
        if start + 2 > len(data):
            raise BrokenDirectory("its tags lie outside")
        count, self._start = self._number("H", start), start + 2
        if count > MOST_TAGS:
            raise BrokenDirectory(f"it has {count} tags; {MOST_TAGS} are read")
        end = self._start + 12 * count
        if end + 4 > len(data):
            raise BrokenDirectory("its tags are cut off")
        self.next = self._number("I", end)
        """Where the next directory begins; 0: this is the last."""
        entry = np.dtype([("tag", "u2"), ("type", "u2"), ("count", "u4"), ("value", "u4")]).newbyteorder(self._order)
        entries = np.frombuffer(data, entry, count, self._start)
        self._tags = entries["tag"]
        sizes = SIZES[entries["type"]] * entries["count"]
        self.whole = bool((np.where(sizes > INLINE, sizes + entries["value"], 0) <= len(data)).all())
        """Whether all values lie inside."""
        numbers = int(entries["count"][~np.isin(entries["type"], BYTES)].sum(dtype=np.uint64))
        if numbers > MOST_NUMBERS:
            raise BrokenDirectory(f"it has {numbers} values; {MOST_NUMBERS} are read")

    def __contains__(self, tag: int) -> bool:
        return tag in self._tags

    def integers(self, tag: int) -> tuple[int, ...]:
        """The values of `tag`, empty if there is none.

        Raises:
            BrokenDirectory: they are of another type, or lie outside.
        """
        if tag not in self:
            return ()
        code, count, first = self._place(tag)
        if first + struct.calcsize(code) * count > len(self._data):
            raise BrokenDirectory(f"the values of tag {tag} lie outside")
        return struct.unpack_from(f"{self._order}{count}{code}", self._data, first)

    def replaced(self, tag: int, value: int) -> bytes:
        """All the data, with another first value of `tag`, which has integers."""
        code, _, first = self._place(tag)
        new = struct.pack(self._order + code, value)
        return self._data[:first] + new + self._data[first + len(new) :]

    def _place(self, tag: int) -> tuple[str, int, int]:
        """Type, count and first byte of the integers of `tag`; of several such tags the first, as readers do."""
        at = self._start + 12 * int(np.flatnonzero(self._tags == tag)[0])
        kind, count = self._number("H", at + 2), self._number("I", at + 4)
        if kind not in INTEGERS:
            raise BrokenDirectory(f"tag {tag} is of type {kind}")
        inline = struct.calcsize(INTEGERS[kind]) * count <= INLINE
        return INTEGERS[kind], count, at + 8 if inline else self._number("I", at + 8)

    def _number(self, code: str, at: int) -> int:
        return struct.unpack_from(self._order + code, self._data, at)[0]
