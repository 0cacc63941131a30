"""Where model versions live: find them, verify them, publish and retire them.

A version is the folder `NAME/N/` in one of several folders that are searched in order. It
is written beside its place under a hidden name, flushed to the disk, verified as a reader
would verify it, and renamed: a crash leaves either the old state or the new one, and of two
publishers of the same N the second finds the name taken and goes on to N + 1.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from models import graphs, items, sample
from models.manifest import NAME, File, Manifest, ManifestError, Recommend

PROSE = {"card.md", "figures"}
"""May stand beside the files of the manifest; not hashed, never read by serving."""
PROSE_FILE = r"card\.md|figures/[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+"
MAX_MANIFEST = 4 * 2**20
NUMBER = r"[1-9][0-9]{0,8}"
"""Of a version."""


class BrokenVersion(Exception):
    """A version that must not be loaded; the message is the reason."""


class NothingToAdopt(LookupError):
    """There is no version to move."""


@dataclass(frozen=True)
class Version:
    """A verified version: the very bytes that were hashed, so that what was checked is what runs."""

    manifest: Manifest
    folder: Path
    files: Mapping[str, bytes]

    def items(self) -> tuple[items.Item, ...]:
        """The rows of `items.csv`, for a version that recommends."""
        return self._items

    @cached_property
    def _items(self) -> tuple[items.Item, ...]:
        """Read once: it takes longer than the rest of a version's checks."""
        task = self.manifest.task(Recommend)
        assert task is not None
        return items.read(self.files["items.csv"], task.attributes)


class Store:
    """Model versions in `folders`; the first of them takes what is published."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = [Path(folder) for folder in folders]

    def find(self) -> dict[str, dict[int, Path]]:
        """The folder of every version, by name and number. Where two folders hold the same one, the first wins."""
        return self.walk()[0]

    def walk(self) -> tuple[dict[str, dict[int, Path]], dict[Path, str]]:
        """What `find` finds, and the folders it cannot list, each with the reason; absent ones are none.

        Both are of one walk: a disk that is back between two would have lost its versions.

        Raises:
            OSError: there are no descriptors left, which says nothing of the folders.
        """
        found: dict[str, dict[int, Path]] = {}
        unreadable: dict[Path, str] = {}
        for root in self.folders:
            for folder in _listed(root, NAME, unreadable, absent=(FileNotFoundError,)):
                for path in _listed(folder, NUMBER, unreadable, absent=(FileNotFoundError, NotADirectoryError)):
                    found.setdefault(folder.name, {}).setdefault(int(path.name), path)
        return found, unreadable

    def publish(self, manifest: Manifest, files: Mapping[str, bytes], prose: Mapping[str, bytes] | None = None) -> Path:
        """Write a version as the next number of its name and return its folder.

        The manifest's own `version` and `files` are replaced by what is true.
        `prose` are files that are not hashed: `card.md` and `figures/...`.

        Raises:
            BrokenVersion: what was written does not verify. Nothing is published.
            OSError: the disk refused. Nothing is published.
        """
        prose = _prose(prose or {})
        declared = {
            name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
        }
        try:  # before the first byte is written: a name may hold no path
            manifest = _with(manifest, files=declared)
        except ValidationError as error:
            raise BrokenVersion(f"the manifest does not fit: {error.errors(include_url=False)[0]['msg']}") from error
        with _hidden(self.folders[0] / manifest.name) as hidden:
            _fill(hidden, {**files, **prose})
            while True:
                number = max(self.find().get(manifest.name, {0: hidden})) + 1
                exact = _with(manifest, version=number)
                _fill(hidden, {"manifest.json": exact.to_bytes()})
                verify(hidden, exact.name, number)
                try:
                    return _show(hidden, number)
                except OSError as error:
                    if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                        raise

    def adopt(self, name: str) -> Path:
        """Move the newest version of `name` from the first folder into the last; older ones there are dropped.

        Raises:
            NothingToAdopt: the first folder has no version of that name, or there is no other folder.
            BrokenVersion: the version does not verify. Nothing is moved.
            OSError: the last folder has that number already, or the disk refused. Nothing is moved.
        """
        here, there = Store(self.folders[:1]), Store(self.folders[1:][-1:])
        versions = here.find().get(name)
        if not versions or not there.folders:
            raise NothingToAdopt(f"no version of {name} to move from {self.folders[0]}")
        number, source = max(versions.items())
        version = verify(source, name, number)
        prose = {
            str(path.relative_to(source)): path.read_bytes()
            for path in sorted(source.rglob("*"))
            if re.fullmatch(PROSE_FILE, str(path.relative_to(source)))
        }
        with _hidden(there.folders[0] / name) as hidden:
            _fill(hidden, {**version.files, **prose, "manifest.json": version.manifest.to_bytes()})
            verify(hidden, name, number)
            adopted = _show(hidden, number)
        for older in there.find()[name].keys() - {number}:
            there.retire(name, older)
        here.retire(name, number)
        return adopted

    def describe(self, name: str, number: int, prose: Mapping[str, bytes]) -> Path:
        """Replace `card.md` and `figures/` of a version by `prose` and return its folder; what is hashed stays.

        Raises:
            FileNotFoundError: there is no such version.
            BrokenVersion: a name is neither of the two. Nothing is replaced.
            OSError: the disk refused.
        """
        path, prose = self._path(name, number), _prose(prose)
        with _hidden(path.parent) as hidden:
            _fill(hidden / "new", prose)
            for part in PROSE:
                if (path / part).exists():
                    (path / part).rename(hidden / part)
                if (hidden / "new" / part).exists():
                    (hidden / "new" / part).rename(path / part)
            _flush(path)
        return path

    def retire(self, name: str, number: int) -> None:
        """Take a version away at once: it is renamed out of sight before it is deleted.

        Raises:
            FileNotFoundError: there is no such version.
        """
        path = self._path(name, number)
        hidden = path.parent / f".{secrets.token_hex(8)}"
        path.rename(hidden)
        _flush(path.parent)
        if hidden.is_dir() and not hidden.is_symlink():
            shutil.rmtree(hidden)
        else:
            hidden.unlink()

    def _path(self, name: str, number: int) -> Path:
        path = self.find().get(name, {}).get(number)
        if path is None:
            raise FileNotFoundError(f"no version {number} of {name} in {[str(folder) for folder in self.folders]}")
        return path


def verify(folder: Path, name: str, number: int) -> Version:
    """Read a version and check everything that can be checked without running it.

    Raises:
        BrokenVersion: with the reason, see the module's docstring and `models.manifest`.
    """
    try:
        if folder.is_symlink() or not folder.is_dir():
            raise BrokenVersion("it is a link or no folder")
        manifest = Manifest.from_bytes(_read(folder / "manifest.json", None))
        if (manifest.name, manifest.version) != (name, number):
            raise BrokenVersion(f"the manifest calls it {manifest.name}/{manifest.version}, its folder {name}/{number}")
        present = {path.name for path in folder.iterdir()} - PROSE - {"manifest.json"}
        told = set(manifest.files)
        if present != told:
            faults = {"not there": told - present, "not in the manifest": present - told}
            raise BrokenVersion(
                "; ".join(f"{fault}: {', '.join(sorted(files))}" for fault, files in faults.items() if files)
            )
        files = {file: _read(folder / file, declared) for file, declared in manifest.files.items()}
        version = Version(manifest, folder, files)
        for graph, declared in manifest.graphs.items():
            try:
                graphs.check(files[f"{graph}.onnx"], declared)
            except graphs.GraphError as error:
                raise BrokenVersion(f"{graph}.onnx: {error}") from error
        sample.read(files["sample.npz"], manifest.graphs)
        task = manifest.task(Recommend)
        if task is not None and len(version.items()) != task.items:
            raise BrokenVersion(f"items.csv has {len(version.items())} items, the graph {task.items}")
    except (ManifestError, sample.SampleError, items.ItemsError) as error:
        raise BrokenVersion(str(error)) from error
    except OSError as error:
        raise BrokenVersion(f"cannot be read: {error.strerror or error} ({error.filename})") from error
    return version


def _listed(
    folder: Path, pattern: str, unreadable: dict[Path, str], *, absent: tuple[type[OSError], ...]
) -> list[Path]:
    """What `folder` holds under such names, in order; a fault that does not mean that it is `absent` is noted."""
    try:
        names = os.listdir(folder)
    except absent:
        return []
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):  # this process, or this machine, has no descriptor left
            raise
        unreadable[folder] = error.strerror or str(error)
        return []
    return [folder / name for name in sorted(names) if re.fullmatch(pattern, name)]


def _prose(files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """The same files, once every name is known to be that of prose."""
    for name in files:
        if not re.fullmatch(PROSE_FILE, name):
            raise BrokenVersion(f"{name!r} is neither card.md nor a file of figures/")
    return files


def _with(manifest: Manifest, **changes: object) -> Manifest:
    """A copy with other values, validated again."""
    tree = manifest.model_dump(mode="json", by_alias=True) | changes
    return Manifest.model_validate_json(json.dumps(tree, allow_nan=False))


def _read(path: Path, declared: File | None) -> bytes:
    """The bytes of a plain file, of the declared size and hash. Links are not followed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise BrokenVersion(f"{path.name} is no plain file")
        limit = MAX_MANIFEST if declared is None else declared.size
        with open(descriptor, "rb", closefd=False) as file:  # which would not close what it refuses
            data = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(data) > limit or (declared is not None and len(data) != declared.size):
        raise BrokenVersion(f"{path.name} has {status.st_size} bytes, not {limit}")
    if declared is not None and hashlib.sha256(data).hexdigest() != declared.sha256:
        raise BrokenVersion(f"{path.name} does not have the hash that the manifest names")
    return data


@contextmanager
def _hidden(home: Path) -> Generator[Path]:
    """A place in `home` that readers do not see; whatever is still there at the end is deleted."""
    home.mkdir(parents=True, exist_ok=True)
    _flush(home.parent)
    hidden = home / f".{secrets.token_hex(8)}"
    try:
        yield hidden
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _fill(hidden: Path, files: Mapping[str, bytes]) -> None:
    """Write files and make them, and their names, survive a power cut."""
    for name, data in files.items():
        path = hidden / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    for folder in [hidden, *(path for path in hidden.rglob("*") if path.is_dir())]:
        _flush(folder)


def _show(hidden: Path, number: int) -> Path:
    """Rename `hidden` to its number. Where that cannot be made to last, it is taken back."""
    shown = hidden.parent / str(number)
    hidden.rename(shown)
    try:
        _flush(shown.parent)
    except OSError:
        shown.rename(hidden)
        raise
    return shown


def _flush(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
