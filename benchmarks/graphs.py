"""`python -m benchmarks.graphs`: whether every version repeats its sample, and how fast its graphs are, by device.

HARMONIUM_DEVICE `cpu` measures the CPU alone; `cuda` measures CUDA beside it, and so does `auto` where CUDA works.
HARMONIUM_MODELS names the folders, as it does for the service. The sessions are the service's own: one thread of the
CPU each. Prints tables in Markdown. The exit code is 1 if a version cannot be loaded or does not repeat its sample.
"""

import argparse
import itertools
import os
import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import sample
from models.manifest import Graph
from models.store import Store, Version, verify
from service import settings as configuration
from service.runtime.session import Arrays, Device, Session, cuda_hindrance, cuda_sentence

ROWS = 1, 8, 64
"""Rows of a call. One of more rows than the graph takes is several runs, as in the service."""
FREE = {"H": 256, "W": 256, "N": 20, "K": 0}
"""Sizes of the axes that a caller's data decide: pixels of a picture, ratings of a history, items to explain."""
FEWEST = 3
"""Times that a call is repeated at least. Its latency is the median."""
REPEATS = 20
"""Runs of one row whose bits are compared."""
SHARED = 8
"""Rows of the batch in which a row must have the bits that it has alone."""


@dataclass(frozen=True)
class Loaded:
    """One graph of one version on one device."""

    name: str
    version: int
    graph: str
    device: Device
    session: Session
    declared: Graph
    recording: sample.Recording

    def rows(self, count: int) -> Arrays:
        """Inputs of `count` rows: the recorded ones, again and again."""
        return {
            name: np.resize(
                self.recording.inputs[name],
                [count if axis == "B" else FREE[axis] if isinstance(axis, str) else axis for axis in tensor.shape],
            )
            for name, tensor in self.declared.inputs.items()
        }

    def call(self, inputs: Arrays) -> None:
        """Run rows in runs of no more than the graph takes."""
        count, most = len(next(iter(inputs.values()))), self.declared.max_batch
        for start in range(0, count, most):
            self.session.run({name: array[start : start + most] for name, array in inputs.items()})

    def latency(self, count: int, seconds: float) -> float:
        """Seconds of a call of `count` rows, which is repeated for `seconds`."""
        inputs = self.rows(count)
        self.call(inputs)
        spent: list[float] = []
        while len(spent) < FEWEST or sum(spent) < seconds:
            start = time.perf_counter()
            self.call(inputs)
            spent.append(time.perf_counter() - start)
        return statistics.median(spent)

    def repeats(self) -> bool:
        """Whether one row has the same bits in every run."""
        inputs = self.rows(1)
        first = self.session.run(inputs)
        return all(_same(first, self.session.run(inputs)) for _ in range(REPEATS))

    def alike(self) -> bool:
        """Whether each row has the bits in a batch that it has alone."""
        most = min(SHARED, self.declared.max_batch)
        inputs = self.rows(most)
        rows: list[Arrays] = [{name: array[index] for name, array in inputs.items()} for index in range(most)]
        together = self.session.run_rows_alike(rows, most)
        alone = [self.session.run_rows_alike([row], most)[0] for row in rows]
        return all(
            not isinstance(one, Exception) and not isinstance(other, Exception) and _same(one, other)
            for one, other in zip(together, alone, strict=True)
        )


def main() -> int:
    """Measure; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.graphs", description="Replay and speed by device.")
    parser.add_argument("--seconds", type=float, default=1, help="for which each call is repeated (default 1)")
    options = parser.parse_args()
    try:
        settings = configuration.read()
    except configuration.WrongSetting as error:
        print(error, file=sys.stderr)
        return 2
    devices: list[Device] = ["cpu"] if settings.device == "cpu" else ["cpu", "cuda"]
    if settings.device == "auto" and (reason := cuda_hindrance()):
        print(f"CUDA is left out: {reason}\n")
        devices = ["cpu"]
    import onnxruntime  # after `service`, which switches its telemetry off

    print(f"onnxruntime {onnxruntime.__version__}, {platform.machine()}, {os.cpu_count()} cores\n")
    loaded, failed = judge(Store(settings.folders), devices)
    print("\nMilliseconds of a call, and rows a second, one call at a time.")
    print(f"Pictures are {FREE['H']} x {FREE['W']} where any size is taken, histories {FREE['N']} ratings.\n")
    measure(loaded, devices, options.seconds)
    return int(failed or not loaded)


def judge(store: Store, devices: Sequence[Device]) -> tuple[list[Loaded], bool]:
    """Print how each graph runs on each device; those that run, and whether any version does not."""
    print("| model | graph | device | nodes on CPU, CUDA | sample | a row's bits again | in a batch |")
    print("|---|---|---|---|---|---|---|")
    loaded: list[Loaded] = []
    failed = False
    versions = [(name, *each) for name, found in store.find().items() for each in sorted(found.items())]
    for (name, number, path), device in itertools.product(versions, devices):
        try:
            graphs = _load(verify(path, name, number), device)
        except Exception as error:  # onnxruntime raises its own kinds
            print(f"| {name} {number} | | {device} | | {cuda_sentence(error)} | | |", flush=True)
            failed = True
            continue
        loaded += graphs
        for each in graphs:
            nodes = each.session.nodes()
            told = f"{nodes['cpu']}, {nodes['cuda']} | repeats | {_told(each.repeats())} | {_told(each.alike())}"
            print(f"| {name} {number} | {each.graph} | {device} | {told} |", flush=True)
    return loaded, failed


def measure(loaded: Sequence[Loaded], devices: Sequence[Device], seconds: float) -> None:
    """Print how long calls of every graph take on each device, each repeated for `seconds`."""
    print("| model | graph | rows |" + "".join(f" {device} ms | {device} rows/s |" for device in devices))
    print("|---|---|---|" + "---|---|" * len(devices))
    by_graph: dict[tuple[str, int, str], dict[Device, Loaded]] = {}
    for each in loaded:
        by_graph.setdefault((each.name, each.version, each.graph), {})[each.device] = each
    for (name, number, graph), on in by_graph.items():
        for count in ROWS:
            cells = [_speed(on[device].latency(count, seconds), count) if device in on else " | " for device in devices]
            print(f"| {name} {number} | {graph} | {count} | {' | '.join(cells)} |", flush=True)


def _load(version: Version, device: Device) -> list[Loaded]:
    """The graphs of a version, once they have repeated the sample.

    Raises:
        NoDevice, sample.SampleError: or whatever onnxruntime says.
    """
    manifest, data = version.manifest, version.files["sample.npz"]
    sessions = {graph: Session(version.files[f"{graph}.onnx"], device) for graph in manifest.graphs}
    sample.replay(manifest, data, lambda graph, inputs: sessions[graph].run(inputs))
    recordings = sample.read(data, manifest.graphs)
    return [
        Loaded(manifest.name, manifest.version, graph, device, sessions[graph], declared, recordings[graph])
        for graph, declared in manifest.graphs.items()
    ]


def _same(one: Mapping[str, NDArray[Any]], other: Mapping[str, NDArray[Any]]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def _told(holds: bool) -> str:
    return "the same" if holds else "differ"


def _speed(latency: float, count: int) -> str:
    return f"{1000 * latency:.3g} | {count / latency:,.0f}"


if __name__ == "__main__":
    sys.exit(main())
