"""A zip archive that is sent while it is made."""

import io
import zipfile
from typing import Self

STAMP = (1980, 1, 1, 0, 0, 0)
"""The time that every file has, zip's first: the same files make the same bytes."""


class Archive:
    """Files go in one by one, bytes come out in between; no file is kept. The end of the block ends the archive.

    Stored, not deflated: PNG is deflated already. Every file stands with its size and
    checksum before its bytes, so that it can be unpacked while it arrives.
    """

    def __init__(self) -> None:
        self._tail = _Tail()
        self._zip = zipfile.ZipFile(self._tail, "w")

    def add(self, name: str, data: bytes) -> None:
        """Put a file in."""
        entry = zipfile.ZipInfo(name, STAMP)
        entry.create_system = 3  # Unix, wherever this runs
        entry.external_attr = 0o100644 << 16
        self._zip.writestr(entry, data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Put the directory of all files in, which is the last."""
        self._zip.close()

    @property
    def waiting(self) -> int:
        """Bytes that can be taken."""
        return self._tail.getbuffer().nbytes

    def take(self) -> bytes:
        """The archive's next bytes: what was put in since the last time."""
        return self._tail.take()


class _Tail(io.BytesIO):
    """The end of a file whose beginning was taken away, with offsets of the whole.

    zipfile goes back to the head of a file to fill in its checksum, no further.
    """

    def __init__(self) -> None:
        super().__init__()
        self._gone = 0

    def take(self) -> bytes:
        data = self.getvalue()
        self._gone += len(data)
        super().seek(0)
        self.truncate()
        return data

    def tell(self) -> int:
        return self._gone + super().tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        assert whence == io.SEEK_SET
        return self._gone + super().seek(offset - self._gone)
