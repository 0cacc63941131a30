"""Memory for loaded versions: what one is taken to need, and what is left."""

import contextlib
import ctypes

COST = 5
"""Memory of a version over the bytes of its files: 3.1 to 5.3 times were measured of the shipped ones, 4.3 of all.

Weights are stored in half precision and run in single, the session keeps the file's bytes besides, and its arena and
the catalogue of items come on top.
"""

LARGE = 8 * 2**20
"""Bytes of a block that is returned to the system at once when it is free.

With glibc's own rule, blocks of up to 32 MiB stay with each of its heaps after the first of them was freed: a picture
of 50 megapixels left 500 MB behind.
"""
M_MMAP_THRESHOLD = -3


class Room:
    """Memory for the versions of one scan."""

    def __init__(self, limit: int | None) -> None:
        """`limit` is in bytes; None has room for everything."""
        self._limit, self._taken = limit, 0

    def take(self, cost: int) -> bool:
        """Whether there is room, which is taken then."""
        if self._limit is not None and self._taken + cost > self._limit:
            return False
        self._taken += cost
        return True

    def give(self, cost: int) -> None:
        """What was taken is free again."""
        self._taken -= cost

    def reason(self, cost: int) -> str:
        """Why there is no room."""
        limit = self._limit or 0
        return (
            f"it needs {cost:,} bytes of memory, and {limit - self._taken:,} of the {limit:,} for models are left; "
            "more memory, or HARMONIUM_MAX_MODEL_BYTES, makes room"
        )


def return_large_blocks() -> None:
    """Let the allocator of glibc keep no block of `LARGE` or more that is free, from now on."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)


def give_back() -> None:
    """Return what is free to the system: the allocator of glibc keeps it otherwise, hundreds of megabytes in time."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
