"""One loaded version: its sessions, proven by their sample, and the queues before its small graphs."""

from collections.abc import Hashable, Sequence
from typing import Any, Literal

from numpy.typing import NDArray

from models import sample
from models.manifest import AnyTaskType, Denoise, Encode, Generate, Manifest, Recommend
from models.store import Version
from service.metrics import Metrics
from service.problems import WrongTask
from service.runtime.batcher import Batcher, Waiting
from service.runtime.clock import Clock
from service.runtime.profiles import Profiles
from service.runtime.ranking import Catalogue
from service.runtime.session import Arrays, Device, NoDevice, Session, cuda_sentence, has_cuda
from service.settings import Settings

RUN_RATINGS = 4096
"""Ratings, padding included, in one run of a recommender: the graph gathers a row of weights for each."""
GAINS_PER_RATING = 8
"""Gains that cost what a rating does."""
RUN_SCORES = 2**15
"""Scores in one run of a recommender: a row has one for every item, and costs little else. It holds the loop."""
RUN_PIXELS = 2**14
"""Pixels in one run of an encoder, which takes as long for many pictures as for each alone, and holds the loop.

These were measured on a CPU and hold for CUDA too: a run there also keeps the loop until its results are back.
"""

Row = dict[str, NDArray[Any]]
Asked = Literal["auto", "cpu", "cuda"]


class Model:
    """One loaded version."""

    def __init__(self, version: Version, settings: Settings, metrics: Metrics) -> None:
        """Build the sessions and replay the recorded sample, which also warms them.

        Raises:
            NoDevice, sample.SampleError: or whatever onnxruntime says of the graph.
        """
        self.manifest: Manifest = version.manifest
        self.name, self.version = self.manifest.name, self.manifest.version
        self.device, self.sessions, self.device_reason = _start(version, settings.device)
        recommend = self.manifest.task(Recommend)
        self.catalogue = Catalogue(version.items(), recommend) if recommend else None
        self._batchers: dict[str, Batcher[Arrays, Row]] = {}
        self._metrics = metrics
        self.waiting: dict[str, tuple[str, Waiting[Arrays, Row]]] = {}
        """What waits for each small graph, and the unit in which it is counted."""
        if recommend:
            rows = min(max(2, RUN_SCORES // recommend.items), recommend.graphs["score"].max_batch)
            self._batch("score", rows, settings.max_queue_ratings, "ratings")
        if encode := self.manifest.task(Encode):
            most = max(2, RUN_PIXELS // (encode.height * encode.width))
            rows = min(most, encode.graphs["encode"].max_batch)
            self._batch("encode", rows, settings.max_queue_rows, "rows")
        if self.manifest.task(Generate):
            # One at a time: a batch gains nothing here, and alone a picture's bytes depend on its seed only.
            self._batch("decode", 1, settings.max_queue_rows, "rows")
        # The batcher and not `infer`: nothing in a version refers to it, so its memory is free with the last call.
        self.profiles = Profiles(self.catalogue, self._batchers["score"].submit) if self.catalogue else None

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

    def _batch(self, graph: str, max_batch: int, max_cost: int, unit: str) -> None:
        def alike(row: Arrays) -> Hashable:
            """Rows of the same shapes share a run, but for those with targets: gains are for each rating and target,
            so a batch saves nothing, and alone a row's bits are its own."""
            return id(row) if _targets(row) else tuple(array.shape for array in row.values())

        def cost(row: Arrays) -> int:
            if graph != "score":
                return 1
            return row["item_index"].size + (row["item_index"].size * _targets(row)) // GAINS_PER_RATING

        session, max_run = self.sessions[graph], RUN_RATINGS if graph == "score" else None
        counted = self._metrics.batch_rows.labels(self.name, graph)

        def run(rows: list[Arrays]) -> list[Row | Exception]:
            counted.observe(len(rows))
            if max_batch == 1 or _targets(rows[0]):
                return [answer for row in rows for answer in session.run_rows([row])]
            return session.run_rows_alike(rows, waiting.most(cost(rows[0])))

        waiting: Waiting[Arrays, Row] = Waiting(max_batch, max_cost, f"HARMONIUM_MAX_QUEUE_{unit.upper()}", max_run)
        self.waiting[graph] = unit, waiting
        self._batchers[graph] = Batcher(run, waiting, alike, cost)


def _targets(row: Arrays) -> int:
    return row["target"].size if "target" in row else 0


def _start(version: Version, asked: Asked) -> tuple[Device, dict[str, Session], str | None]:
    """The sessions of a version, the device that all of them run on, and why it is not CUDA where it could have been.

    With "auto", CUDA must start and repeat the sample; anything that keeps it from that leaves the version to the
    CPU, which meets the fault again if it lies in the version.
    """
    reason = None
    if asked == "cuda" or (asked == "auto" and has_cuda()):
        try:
            return "cuda", _sessions(version, "cuda"), None
        except Exception as error:
            if asked == "cuda":
                raise NoDevice(f"HARMONIUM_DEVICE is cuda, but {cuda_sentence(error)}") from error
            reason = cuda_sentence(error)
    return "cpu", _sessions(version, "cpu"), reason


def _sessions(version: Version, device: Device) -> dict[str, Session]:
    # Of pictures of any size: a run takes a hundred megabytes and seconds, beside which asking for them is nothing.
    large = task.graphs if (task := version.manifest.task(Denoise)) else ()
    graphs = {
        graph: Session(version.files[f"{graph}.onnx"], device, keep_memory=graph not in large)
        for graph in version.manifest.graphs
    }
    sample.replay(version.manifest, version.files["sample.npz"], lambda graph, inputs: graphs[graph].run(inputs))
    return graphs
