"""What the service tells Prometheus about itself.

Counters and histograms are written where something happens. Gauges are copies of what `State` owns, made when somebody
asks (`State.measure`), so that nothing is kept twice.

Processes that share a port share these numbers too: whichever is asked answers for all, out of files in a folder of
theirs (prometheus_client's multiprocess mode). The process that takes a dead one's place goes on with its files, so
that counters never go back and the number of files never grows. One process alone writes no file.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    ProcessCollector,
    disable_created_metrics,
    multiprocess,
    values,
)

from service.problems import KINDS, Problem

SECONDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1, 2.5, 5, 10, 20, 30, 60, 120, 300),
)
"""Upper bounds of the buckets of durations: from the run of a small graph to a picture of 50 megapixels."""
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""The same of the rows of a batch."""
FIGURES: dict[str, Literal["livesum", "livemax"]] = {
    "process_resident_memory_bytes": "livesum",
    "process_open_fds": "livesum",
    "process_max_fds": "livesum",
    "process_start_time_seconds": "livemax",
}
"""Gauges of a process, and what becomes of those of several."""
MEASURE_SECONDS = 1.0
"""Between two copies of the gauges of a process that shares its port: the others answer with the last one."""
EXISTENCE = {"harmonium_queue_limit", "harmonium_model_info", "harmonium_device_info", "harmonium_memory_limit_bytes"}
"""Gauges that are never 0 as long as what they tell of is there."""

disable_created_metrics()  # a time beside each counter: the shared files have none


class Shared(NamedTuple):
    """The folder of several processes' numbers, and the place of one of them: no two that live have the same."""

    folder: Path
    place: int

    def left(self) -> None:
        """The process has ended: its gauges go, its counters stay for the one that takes the place."""
        multiprocess.mark_process_dead(self.place, str(self.folder))


async def keep(measure: Callable[[], None]) -> None:
    """Call `measure` again and again until cancelled."""
    while True:
        measure()
        await asyncio.sleep(MEASURE_SECONDS)


class Table:
    """A gauge whose labels come and go. Series cannot be removed from shared files: those that are gone are 0."""

    def __init__(self, gauge: Gauge) -> None:
        self._series = cache(gauge.labels)
        self._told: set[tuple[str, ...]] = set()

    def tell(self, values: Mapping[tuple[str, ...], float]) -> None:
        """All that there is, by label values."""
        for labels in self._told - values.keys():
            self._series(*labels).set(0)
        for labels, value in values.items():
            self._series(*labels).set(value)
        self._told |= values.keys()


class Metrics:
    """The instruments of one process, and the collector of what it answers."""

    def __init__(self, shared: Shared | None = None) -> None:
        # prometheus_client decides by a variable that may be there for somebody else's sake, and knows one mode a
        # process.
        if shared is None:
            values.ValueClass = values.MutexValue
        else:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(shared.folder)
            values.ValueClass = values.MultiProcessValue(lambda: shared.place)
        registry = CollectorRegistry()
        folder = None if shared is None else str(shared.folder)
        self._source = registry if folder is None else multiprocess.MultiProcessCollector(None, folder)

        self._requests = cache(
            Counter(
                "harmonium_requests_total",
                "Requests that ended, by path template and HTTP status; 499: the caller left.",
                ["endpoint", "status"],
                registry=registry,
            ).labels
        )
        self._seconds = cache(
            Histogram(
                "harmonium_request_seconds",
                "Seconds from a request's head to the end of its answer.",
                ["endpoint"],
                registry=registry,
                buckets=SECONDS,
            ).labels
        )
        self._stages = cache(
            Histogram(
                "harmonium_stage_seconds",
                "Seconds that a request spent in one stage: decode, queue, run, encode.",
                ["endpoint", "stage"],
                registry=registry,
                buckets=SECONDS,
            ).labels
        )
        self._refusals = cache(
            Counter(
                "harmonium_refusals_total",
                "Requests that ended with a problem, by the last part of its type.",
                ["problem"],
                registry=registry,
            ).labels
        )
        for problem in KINDS:
            self._refusals(problem)  # there from the beginning: the first one is an increase
        self.batch_rows = Histogram(
            "harmonium_batch_rows",
            "Rows of a small graph that ran together.",
            ["model", "graph"],
            registry=registry,
            buckets=ROWS,
        )
        self.ready = Gauge(
            "harmonium_ready",
            "1 if calls can be answered, by all processes, as /readyz tells.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self.in_flight = Gauge(
            "harmonium_in_flight_requests",
            "Requests that were accepted and are not answered yet.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.queue_depth = Table(
            Gauge(
                "harmonium_queue_depth",
                "Work that waits or is worked on, in the queue's unit; of several processes' the largest.",
                ["queue", "unit"],
                registry=registry,
                multiprocess_mode="livemax",
            )
        )
        self.queue_limit = Table(
            Gauge(
                "harmonium_queue_limit",
                "Work above which a process refuses calls as overload.",
                ["queue", "unit"],
                registry=registry,
                multiprocess_mode="livemax",
            )
        )
        self.models = Table(
            Gauge(
                "harmonium_model_info",
                "1 for every version of a model: live, loaded, unloaded or refused.",
                ["model", "version", "state", "device"],
                registry=registry,
                multiprocess_mode="livemax",
            )
        )
        self.device = Table(
            Gauge(
                "harmonium_device_info",
                "1; the device that was asked for, and the one where graphs run.",
                ["asked", "device"],
                registry=registry,
                multiprocess_mode="livemax",
            )
        )
        self.memory_limit = Gauge(
            "harmonium_memory_limit_bytes",
            "Memory that all processes together may use: the machine's, or what its control groups leave.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._process = ProcessCollector(registry=None)
        self._figures = {
            family.name: Gauge(
                family.name, family.documentation, registry=registry, multiprocess_mode=FIGURES[family.name]
            )
            for family in self._process.collect()
            if family.name in FIGURES
        }
        self._cpu = Counter(
            "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", registry=registry
        )
        self._cpu_told = 0.0

    def ended(self, endpoint: str, status: int, seconds: float, spent: Mapping[str, float]) -> None:
        """A request ended; `spent` are seconds by stage."""
        self._requests(endpoint, status).inc()
        self._seconds(endpoint).observe(seconds)
        for stage, took in list(spent.items()):  # at once: a thread may add a stage meanwhile
            self._stages(endpoint, stage).observe(took)

    def refused(self, problem: Problem) -> None:
        """A request ends with a problem."""
        self._refusals(problem.name()).inc()

    def measure_process(self) -> None:
        """Copy what the system tells of this process."""
        for sample in (sample for family in self._process.collect() for sample in family.samples):
            if sample.name == "process_cpu_seconds_total":
                self._cpu.inc(sample.value - self._cpu_told)
                self._cpu_told = sample.value
            elif sample.name in self._figures:
                self._figures[sample.name].set(sample.value)

    def collect(self) -> Iterable[Metric]:
        """All families, those of the other processes included; may be called in a thread."""
        for family in sorted(self._source.collect(), key=lambda family: family.name):
            if family.name in EXISTENCE:
                family.samples = [sample for sample in family.samples if sample.value]
            yield family
