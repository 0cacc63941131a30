"""The live models: what the model folders hold, verified, proven and ready to run.

A scan runs in a thread and builds the next state beside the current one; publishing it is
one assignment. A call keeps the version that it started with, so a version whose folder is
gone ends with its last call; one whose folder was damaged after it was loaded goes on.
Every version that verifies stays loaded and can be asked for by number; the greatest is the
default.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from models import sample
from models.manifest import AnyTaskType, Encode, Generate, Manifest, Recommend
from models.store import PROSE, BrokenVersion, Store, Version, verify
from service.problems import NotReady, UnknownModel, UnknownVersion, WrongTask
from service.runtime.batcher import Batcher, Waiting
from service.runtime.clock import Clock
from service.runtime.profiles import Profiles
from service.runtime.ranking import Catalogue
from service.runtime.session import Arrays, Device, NoDevice, Session
from service.settings import Settings

log = logging.getLogger("service.library")

RUN_RATINGS = 32_768
"""Ratings, padding included, in one run of a recommender: the graph gathers a row of weights for each."""
RUN_SCORES = 2**15
"""Scores in one run of a recommender: a row has one for every item, and costs little else. It holds the loop."""
RUN_PIXELS = 2**14
"""Pixels in one run of an encoder, which takes as long for many pictures as for each alone, and holds the loop."""

Row = dict[str, NDArray[Any]]
Signature = tuple[tuple[str, int, int, int], ...]


class Model:
    """One loaded version."""

    def __init__(self, version: Version, settings: Settings) -> None:
        """Build the sessions and replay the recorded sample, which also warms them.

        Raises:
            NoDevice, sample.SampleError: or whatever onnxruntime says of the graph.
        """
        self.manifest: Manifest = version.manifest
        self.name, self.version = self.manifest.name, self.manifest.version
        device: Device = settings.device
        self.sessions = {graph: Session(version.files[f"{graph}.onnx"], device) for graph in self.manifest.graphs}
        self.device = "cuda" if any(session.device == "cuda" for session in self.sessions.values()) else "cpu"
        sample.replay(
            self.manifest, version.files["sample.npz"], lambda graph, inputs: self.sessions[graph].run(inputs)
        )
        recommend = self.manifest.task(Recommend)
        self.catalogue = Catalogue(version.items(), recommend) if recommend else None
        self.profiles = Profiles(self.catalogue, partial(self.infer, "score")) if self.catalogue else None
        self._batchers: dict[str, Batcher[Arrays, Row]] = {}
        if recommend:
            rows = min(max(2, RUN_SCORES // recommend.items), recommend.graphs["score"].max_batch)
            self._batch("score", rows, settings.max_queue_ratings, "MAX_QUEUE_RATINGS")
        if encode := self.manifest.task(Encode):
            most = max(2, RUN_PIXELS // (encode.height * encode.width))
            rows = min(most, encode.graphs["encode"].max_batch)
            self._batch("encode", rows, settings.max_queue_rows, "MAX_QUEUE_ROWS")
        if self.manifest.task(Generate):
            # One at a time: a batch gains nothing here, and alone a picture's bytes depend on its seed only.
            self._batch("decode", 1, settings.max_queue_rows, "MAX_QUEUE_ROWS")

    def task(self, kind: type[AnyTaskType]) -> AnyTaskType:
        """What the manifest says about a task.

        Raises:
            WrongTask: the version does not do it.
        """
        task = self.manifest.task(kind)
        if task is None:
            does = ", ".join(task.task for task in self.manifest.tasks)
            raise WrongTask(f"{self.name} version {self.version} does not {kind.__name__.lower()}; it does: {does}.")
        return task

    async def infer(self, graph: str, rows: Sequence[Arrays], clock: Clock) -> list[Row]:
        """Run a small graph on the event loop, together with what else waits for it.

        `rows` are its inputs without the batch axis, checked; so are the answers.

        Raises:
            Overloaded, Deadline, NotFinite: the last for an output that must not be sent.
        """
        return await self._batchers[graph].submit(rows, clock)

    def _batch(self, graph: str, max_batch: int, max_cost: int, setting: str) -> None:
        def shapes(row: Arrays) -> tuple[tuple[int, ...], ...]:
            return tuple(array.shape for array in row.values())

        def cost(row: Arrays) -> int:
            return row["item_index"].size if graph == "score" else 1

        session, most = self.sessions[graph], RUN_RATINGS if graph == "score" else None
        run = session.run_rows if max_batch == 1 else session.run_rows_alike
        waiting: Waiting[Arrays, Row] = Waiting(max_batch, max_cost, f"HARMONIUM_{setting}", most)
        self._batchers[graph] = Batcher(run, waiting, shapes, cost)


@dataclass(frozen=True)
class Refused:
    """A version that is not served, and why."""

    reason: str


@dataclass(frozen=True)
class Found:
    """What one scan made of one folder; it is looked at again when the folder changes."""

    signature: Signature
    outcome: Model | Refused
    reason: str | None = None
    """Why what the folder holds now is not served in place of `outcome`, which was loaded before."""


@dataclass(frozen=True)
class Shelf:
    """All that one scan found, by name and number."""

    found: Mapping[str, Mapping[int, Found]] = field(default_factory=dict[str, Mapping[int, Found]])

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
        return self.found[name][number].reason

    def names(self) -> list[str]:
        """Every name that has a folder."""
        return sorted(self.found)


class Library:
    """Finds and loads model versions, and finds the one that a call means."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store = Store(settings.folders)
        self.shelf = Shelf()
        self.scanned = asyncio.Event()
        """Set once the folders have been looked at for the first time."""

    async def keep_current(self) -> None:
        """Scan again and again until cancelled."""
        while True:
            try:
                self.shelf = await asyncio.to_thread(self.scan)
                self.scanned.set()
            except Exception:  # a disk that fails now may answer at the next scan; what is loaded stays
                log.exception("cannot look at the model folders")
            await asyncio.sleep(self._settings.scan_seconds)

    def scan(self) -> Shelf:
        """Look at every folder and load what is new. Blocks; the current state is not touched."""
        return Shelf(
            {
                name: {number: self._look(name, number, path) for number, path in sorted(versions.items())}
                for name, versions in self._store.find().items()
            }
        )

    def _look(self, name: str, number: int, path: Path) -> Found:
        signature = _signature(path)
        known = self.shelf.found.get(name, {}).get(number)
        if known is not None and known.signature == signature:
            return known
        try:
            outcome: Model | Refused = Model(verify(path, name, number), self._settings)
            log.info("loaded %s version %d on %s", name, number, outcome.device)
        except (BrokenVersion, NoDevice, sample.SampleError) as error:
            outcome = Refused(str(error))
        except Exception as error:  # onnxruntime raises its own kinds, straight from C++
            outcome = Refused(f"onnxruntime: {error}")
        if isinstance(outcome, Refused):
            log.warning("refused %s version %d: %s", name, number, outcome.reason)
            if known is not None and isinstance(known.outcome, Model):
                return Found(signature, known.outcome, outcome.reason)
        return Found(signature, outcome)

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

        A default model that has no folder at all is somebody's choice; one whose every
        version was refused is a fault.
        """
        if not self.scanned.is_set():
            return ["the models are still being loaded"]
        shelf = self.shelf
        reasons = [
            f"the default model {name} is refused: version {max(refused.items())[0]}: {max(refused.items())[1]}"
            for name in dict.fromkeys(self._settings.defaults.values())
            if (refused := shelf.refused(name)) and not shelf.loaded(name)
        ]
        if not any(shelf.loaded(name) for name in shelf.names()):
            reasons.append(f"no model is loaded from {', '.join(map(str, self._settings.folders))}")
        return reasons

    def device(self) -> str:
        """Where the loaded graphs run."""
        devices = {model.device for name in self.shelf.names() for model in self.shelf.loaded(name).values()}
        return ", ".join(sorted(devices)) or self._settings.device


def _signature(folder: Path) -> Signature:
    """Changes whenever a hashed file of the version does."""
    try:
        entries = sorted((path.name, path.stat()) for path in folder.iterdir() if path.name not in PROSE)
    except OSError:
        return ()
    return tuple((name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in entries)
