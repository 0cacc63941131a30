"""What every source of data has: where it comes from, how it is read, and a synthetic twin."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

from models.manifest import Credit

Data = TypeVar("Data")


class DataError(Exception):
    """The data are not there, or are not what they should be; the message says what would be right."""


@dataclass(frozen=True)
class Source(Generic[Data]):
    """A data set by name.

    `read` takes the folder that holds the files; `synthetic` makes a small twin of the same
    shape from a seed, for tests and for a first run without any data. `files` says, for a
    person, which files the folder must hold. `own` is the kind of a person's own data that can
    stand in its place.
    """

    name: str
    credit: Credit
    files: str
    read: Callable[[Path], Data]
    synthetic: Callable[[int], Data]
    own: Literal["ratings", "pictures", "photographs"]

    def load(self, folder: Path | None) -> Data:
        """Read the data from `folder`, or from the folder in it that bears this source's name.

        Raises:
            DataError: no folder was named, files are missing or damaged.
        """
        if folder is None:
            raise DataError(f"{self.name} needs --data-dir. {self.where}")
        home = folder / self.name if (folder / self.name).is_dir() else folder
        try:
            return self.read(home)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DataError(f"{error.filename} is not there. {self.where}") from error

    @property
    def where(self) -> str:
        """Where a person gets the files, and on which terms."""
        return f"The folder must hold {self.files}\nSource: {self.credit.source}\nLicence: {self.credit.licence}"


def digest(parts: Iterable[bytes]) -> str:
    """SHA-256 of the parts in their order, each with its length, as the data's hash in a manifest."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return whole.hexdigest()
