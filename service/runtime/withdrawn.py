"""Which models an operator has unloaded, known to all processes of one port."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, unquote


class Withdrawn:
    """Names of models, until the service ends: kept by this process, or as empty files in a folder that all share."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder and folder / "withdrawn"
        self._own: set[str] = set()

    def names(self) -> frozenset[str]:
        """All of them."""
        if self._folder is None:
            return frozenset(self._own)
        if not self._folder.is_dir():
            return frozenset()
        return frozenset(map(unquote, os.listdir(self._folder)))

    def add(self, name: str) -> None:
        """Unload the model of that name, which there is."""
        if self._folder is None:
            self._own.add(name)
        else:
            self._folder.mkdir(exist_ok=True)
            (self._folder / quote(name, safe="")).touch()

    def remove(self, name: str) -> None:
        """Have it again, if it was unloaded."""
        if self._folder is None:
            self._own.discard(name)
        elif name in self.names():
            (self._folder / quote(name, safe="")).unlink(missing_ok=True)
