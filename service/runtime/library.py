"""The live models: what the model folders hold, verified, proven and ready to run.

A scan runs in a thread and builds the next state beside the current one; publishing it is
one assignment. A call keeps the version that it started with, so a version whose folder is
gone ends with its last call; one whose folder was damaged after it was loaded goes on.
Every version that verifies stays loaded and can be asked for by number; the greatest is the
default.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from models import sample
from models.store import PROSE, BrokenVersion, Store, verify
from service.metrics import Metrics
from service.problems import NotReady, UnknownModel, UnknownVersion
from service.runtime.model import Model
from service.runtime.room import COST, Room, give_back
from service.runtime.session import NoDevice
from service.runtime.withdrawn import Withdrawn
from service.settings import Settings

log = logging.getLogger("service.library")

Signature = tuple[tuple[str, int, int, int, int], ...]


@dataclass(frozen=True)
class Refused:
    """A version that is not served, and why."""

    reason: str
    for_now: bool = False
    """It may be loaded although its folder stays as it is: when there is room, or an operator wants it again."""


UNLOADED = Refused("an operator unloaded it", for_now=True)


@dataclass(frozen=True)
class Found:
    """What one scan made of one folder; it is looked at again when the folder changes."""

    folder: Path
    signature: Signature
    outcome: Model | Refused
    cost: int
    """Bytes of memory that `outcome` is taken to need."""
    reason: str | None = None
    """Why what the folder holds now is not served in place of `outcome`, which was loaded before."""


@dataclass(frozen=True)
class Shelf:
    """All that one scan found, by name and number."""

    found: Mapping[str, Mapping[int, Found]] = field(default_factory=dict[str, Mapping[int, Found]])
    unreadable: Mapping[Path, str] = field(default_factory=dict[Path, str])
    """Folders that could not be listed, and why: what was loaded from them serves on."""

    def loaded(self, name: str) -> dict[int, Model]:
        """The versions of a model that are served."""
        found = self.found.get(name, {})
        return {number: entry.outcome for number, entry in found.items() if isinstance(entry.outcome, Model)}

    def refused(self, name: str) -> dict[int, str]:
        """Why the others are not."""
        found = self.found.get(name, {})
        return {number: entry.outcome.reason for number, entry in found.items() if isinstance(entry.outcome, Refused)}

    def reason(self, name: str, number: int) -> str | None:
        """Why a loaded version's folder could not be loaded again."""
        entry = self.found[name][number]
        lost = (reason for path, reason in self.unreadable.items() if path in entry.folder.parents)
        return next(lost, entry.reason)

    def state(self, name: str, number: int) -> str:
        """`live` is the version that calls get, `loaded` can be asked for; others are `refused` or `unloaded`."""
        outcome = self.found[name][number].outcome
        if isinstance(outcome, Refused):
            return "unloaded" if outcome is UNLOADED else "refused"
        return "live" if number == max(self.loaded(name)) else "loaded"

    def names(self) -> list[str]:
        """Every name that has a folder."""
        return sorted(self.found)

    def entries(self) -> list[tuple[str, int, Found]]:
        """Name, number and outcome of every folder."""
        return [(name, number, entry) for name in self.names() for number, entry in self.found[name].items()]

    def models(self) -> list[Model]:
        """Every version that is served."""
        return [model for name in self.names() for model in self.loaded(name).values()]


class Library:
    """Finds and loads model versions, and finds the one that a call means."""

    def __init__(self, settings: Settings, metrics: Metrics, shared: Path | None = None) -> None:
        """`shared` is a folder of all processes of one port."""
        self._settings, self._metrics, self._withdrawn = settings, metrics, Withdrawn(shared)
        self._store = Store(settings.folders)
        self.shelf = Shelf()
        self._changed = False
        """Whether the scan before loaded or dropped anything."""
        self._told: set[str] = set()
        """Reasons for the CPU that have been logged."""
        self._faults: set[str] = set()
        """What was wrong with the folders and with readiness when that was last told."""
        self.scanned = asyncio.Event()
        """Set once the folders have been looked at for the first time."""
        self._scanning = asyncio.Lock()

    async def load(self, name: str) -> None:
        """Look at the folders now, for a model that an operator may have unloaded.

        Raises:
            UnknownModel: no version of it can be served; the message says why.
        """
        log.info("an operator loads %s", name)
        self._withdrawn.remove(name)
        await asyncio.shield(self._renew(name))  # a caller that leaves ends no scan
        self.resolve(name, None)

    async def unload(self, name: str) -> None:
        """Serve it no more, until it is loaded or the service ends; calls that have begun are answered.

        Raises:
            UnknownModel: it has no folder.
        """
        if name not in self.shelf.found:
            self.resolve(name, None)
        log.info("an operator unloads %s", name)
        self._withdrawn.add(name)
        await asyncio.shield(self._renew())

    async def _renew(self, again: str | None = None) -> None:
        async with self._scanning:
            before, self.shelf = self.shelf, await asyncio.to_thread(self.scan, again)
            self.scanned.set()
            self._tell(before)

    def _tell(self, before: Shelf) -> None:
        """What is no longer served since the shelf `before`, and what has become wrong with it."""
        for name in before.names():
            for number in before.loaded(name).keys() - self.shelf.found.get(name, {}).keys():
                log.warning("dropped %s version %d: its folder is gone", name, number)
        faults = {f"not ready: {reason}" for reason in self.unready()} | set(self.shelf.unreadable.values())
        for task, name in self._settings.defaults.items():
            if not self.shelf.loaded(name):
                faults.add(f"{task} has no model to answer calls that name none: {name} is not loaded")
        for fault in sorted(faults - self._faults):
            log.warning("%s", fault)
        self._faults = faults

    async def keep_current(self) -> None:
        """Scan again and again until cancelled."""
        told = ""
        while True:
            try:
                await self._renew()
                told = ""
            except Exception as error:  # a disk that fails now may answer at the next scan; what is loaded stays
                if (fault := repr(error)) != told:
                    log.exception("cannot look at the model folders")
                told = fault
            await asyncio.sleep(self._settings.scan_seconds)

    def scan(self, again: str | None = None) -> Shelf:
        """Look at every folder and load what is new. Blocks; the current state is not touched.

        Versions of the model `again` that were refused are tried once more.

        Room goes to the greatest version of each name that can be served, those of the default models first, then
        to the others. While a version is loaded, those that it displaces are still in memory.
        """
        if self._changed:  # what the scan before dropped is free by now, and so is what loading took
            give_back()
        folders, faults = self._store.walk()
        unreadable = {path: f"{path} cannot be read: {why}" for path, why in faults.items()}
        lost: set[Path] = set()
        for path in unreadable:
            for name, number, entry in self.shelf.entries():
                if path in entry.folder.parents:  # a disk that fails has lost no version: what is loaded serves on
                    folders.setdefault(name, {}).setdefault(number, entry.folder)
                    lost.add(entry.folder)
        room = Room(self._settings.model_bytes)
        found: dict[str, dict[int, Found]] = {
            name: {number: Found(path, (), UNLOADED, 0) for number, path in folders.pop(name).items()}
            for name in self._withdrawn.names() & folders.keys()
        }

        def look(name: str, number: int) -> Found:
            path, known = folders[name][number], self.shelf.found.get(name, {}).get(number)
            if known is not None and path in lost:
                room.take(known.cost)
                return known
            return self._look(name, number, path, room, retry=name == again)

        others: list[tuple[str, int]] = []
        defaults = self._settings.defaults.values()
        for name in sorted(folders, key=lambda name: (name not in defaults, name)):
            found[name] = {}
            numbers = iter(sorted(folders[name], reverse=True))
            for number in numbers:
                found[name][number] = look(name, number)
                if isinstance(found[name][number].outcome, Model):
                    break
            others += [(name, number) for number in numbers]
        for name, number in others:
            found[name][number] = look(name, number)
        shelf = Shelf(found, unreadable)
        self._changed = set(shelf.models()) != set(self.shelf.models())
        return shelf

    def _look(self, name: str, number: int, path: Path, room: Room, *, retry: bool) -> Found:
        known = self.shelf.found.get(name, {}).get(number)
        signature = _signature(path)
        loaded = known.outcome if known and isinstance(known.outcome, Model) else None
        same = known is not None and known.signature == signature
        if known is not None and same and isinstance(known.outcome, Refused) and not (known.outcome.for_now or retry):
            return known
        fresh = COST * sum(size for _, size, *_ in signature)
        kept = known.cost if known is not None and loaded else 0
        cost = kept if same and loaded else max(fresh, kept)
        if not room.take(cost):
            reason = room.reason(cost)
            if known is not None and loaded and room.take(kept):  # the folder grew after it was loaded
                if known.reason != reason:
                    log.warning("refused %s version %d: %s", name, number, reason)
                return replace(known, reason=reason)
            refused = Refused(reason, for_now=True)
            if known is None or known.outcome != refused:
                log.warning("refused %s version %d: %s", name, number, reason)
            return Found(path, signature, refused, cost)
        if known is not None and same and loaded:
            return known
        outcome = self._load(name, number, path)
        give_back()
        if isinstance(outcome, Refused):
            log.warning("refused %s version %d: %s", name, number, outcome.reason)
            room.give(cost - kept)
            if loaded:
                return Found(path, signature, loaded, kept, outcome.reason)
        return Found(path, signature, outcome, fresh)

    def _load(self, name: str, number: int, path: Path) -> Model | Refused:
        try:
            model = Model(verify(path, name, number), self._settings, self._metrics)
        except (BrokenVersion, NoDevice, sample.SampleError) as error:
            return Refused(str(error))
        except Exception as error:  # onnxruntime raises its own kinds, straight from C++
            return Refused(f"onnxruntime: {error}")
        log.info("loaded %s version %d on %s", name, number, model.device)
        if (reason := model.device_reason) and reason not in self._told:
            self._told.add(reason)
            log.warning("HARMONIUM_DEVICE is auto, and the CPU is used: %s", reason)
        return model

    def resolve(self, name: str, version: int | None) -> Model:
        """The loaded version that a call means; without `version` the greatest.

        Raises:
            NotReady, UnknownModel, UnknownVersion.
        """
        shelf = self.shelf
        loaded = shelf.loaded(name)
        if not loaded and not self.scanned.is_set():
            raise NotReady("The models are still being loaded.")
        refused = shelf.refused(name)
        if not loaded:
            if refused:
                number, reason = max(refused.items())
                if shelf.state(name, number) == "unloaded":
                    raise UnknownModel(f"{name} is not served now: {reason}.")
                raise UnknownModel(f"No version of {name} can be served. Version {number} was refused: {reason}")
            names = [known for known in shelf.names() if shelf.loaded(known)]
            raise UnknownModel(f"There is no model {name!r}. Loaded: {', '.join(names) or 'none'}.")
        if version is None:
            return loaded[max(loaded)]
        if version in loaded:
            return loaded[version]
        if version in refused:
            raise UnknownVersion(f"Version {version} of {name} was refused: {refused[version]}")
        raise UnknownVersion(f"There is no version {version} of {name}. Loaded: {', '.join(map(str, sorted(loaded)))}.")

    def unready(self) -> list[str]:
        """Why calls cannot be answered; empty when they can.

        A default model that was unloaded is somebody's choice, and so is one that has no folder at all unless a
        setting names it; one whose every version was refused is a fault.
        """
        if not self.scanned.is_set():
            return ["the models are still being loaded"]
        shelf = self.shelf
        faults: dict[str, list[str]] = {}
        for name in dict.fromkeys(self._settings.defaults.values()):
            refused = shelf.refused(name)
            if refused and not shelf.loaded(name) and shelf.state(name, max(refused)) == "refused":
                number, reason = max(refused.items())
                faults.setdefault(reason, []).append(f"{name} version {number}")
        reasons = [
            f"the default {'model' if len(models) == 1 else 'models'} {', '.join(models)} refused: {reason}"
            for reason, models in faults.items()
        ]
        reasons += [
            f"HARMONIUM_DEFAULT_{task.upper()} is {name}, and there is no such model"
            for task, name in self._settings.defaults.items()
            if name not in shelf.found and f"default_{task}" in self._settings.model_fields_set
        ]
        if not any(shelf.loaded(name) for name in shelf.names()):
            reasons.append(f"no model is loaded from {', '.join(map(str, self._settings.folders))}")
        return reasons

    def device(self) -> str:
        """Where the loaded graphs run: `cpu`, `cuda`, or `cpu, cuda` where versions differ; `none` without any."""
        return ", ".join(sorted({model.device for model in self.shelf.models()})) or "none"

    def device_reason(self) -> str | None:
        """Why graphs run on the CPU although this onnxruntime was built for CUDA and the settings leave the choice."""
        return "; ".join(dict.fromkeys(filter(None, (model.device_reason for model in self.shelf.models())))) or None

    def versions(self) -> list[tuple[str, str, str, str]]:
        """Name, number, state and device of every version; one that is not served has no device."""
        shelf = self.shelf
        return [
            (name, str(number), shelf.state(name, number), getattr(entry.outcome, "device", ""))
            for name, number, entry in shelf.entries()
        ]

    def queues(self) -> dict[tuple[str, str], tuple[int, int]]:
        """What waits for a graph and the most that may, by NAME.GRAPH and unit; of several versions the fullest."""
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for model in self.shelf.models():
            for graph, (unit, waiting) in model.waiting.items():
                queue = f"{model.name}.{graph}", unit
                found[queue] = max(found.get(queue, (0, 0)), (waiting.cost, waiting.max_cost))
        return found


def _signature(folder: Path) -> Signature:
    """Changes whenever a hashed file of the version does, or who may read it."""
    try:
        entries = sorted((path.name, path.stat()) for path in folder.iterdir() if path.name not in PROSE)
    except OSError:
        return ()
    return tuple((name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino) for name, stat in entries)
