"""GET /metrics of several processes: one answers for all, and no count goes back when one of them dies."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from models.store import Store
from tests.exposition import Scrape, scrape
from tests.processes import Service, environment, running
from tests.robustness.conftest import Figure
from tests.robustness.test_workers import gone, unfinished
from tests.versions import generate


def asked(service: Service) -> Scrape:
    """The connection may be one that a dying worker had accepted: then ask again."""
    while True:
        with contextlib.suppress(httpx.TransportError):
            return scrape(f"http://127.0.0.1:{service.port}")


def until(service: Service, true: Callable[[Scrape], bool]) -> Scrape:
    """Gauges of the other workers are up to a second old."""
    end = time.monotonic() + 20
    while not true(found := asked(service)):
        assert time.monotonic() < end, found.series
    return found


def drawn(service: Service, pictures: int) -> None:
    """That many calls, each on a connection of its own: the system spreads them over the workers."""
    for _ in range(pictures):
        answer = httpx.post(f"http://127.0.0.1:{service.port}/v1/generate", json={})
        assert answer.status_code == 200, answer.text


def answers(found: Scrape) -> float:
    return found.value("harmonium_requests_total", endpoint="/v1/generate", status="200")


def test_the_sums_are_exact_and_outlive_a_worker(zoo: Path, tmp_path: Path, figure: Figure) -> None:
    with running(zoo, tmp_path, workers="2") as service:
        drawn(service, 40)
        before = until(service, lambda found: answers(found) == 40)
        assert before.value("harmonium_request_seconds_count", endpoint="/v1/generate") == 40
        assert before.value("harmonium_stage_seconds_count", endpoint="/v1/generate", stage="run") == 40
        assert before.value("harmonium_batch_rows_sum", model="digits-gan", graph="decode") == 40
        assert before.value("process_cpu_seconds_total") > 0

        victim = service.workers()[0]
        seen = [before]
        os.kill(victim, signal.SIGKILL)
        service.until(rf"worker {victim} was ended by SIGKILL")
        seen.append(asked(service))
        service.until(r"worker \d+ serves", times=3)
        seen.append(asked(service))
        drawn(service, 20)
        seen.append(until(service, lambda found: answers(found) == 60))
        for earlier, later in itertools.pairwise(seen):
            lost = {key for key, value in earlier.counters().items() if later.series.get(key, -1) < value}
            assert lost == set()
        assert seen[-1].value("harmonium_batch_rows_sum", model="digits-gan", graph="decode") == 60
        figure("requests counted before the worker died, and with 20 more after", (answers(before), answers(seen[-1])))


def test_gauges_are_those_of_the_workers_that_live(zoo: Path, tmp_path: Path) -> None:
    limit = {"queue": "pictures", "unit": "pixels"}
    with running(zoo, tmp_path, workers="2", max_queue_pixels="1000") as service:
        both = until(service, lambda found: found.value("harmonium_ready") == 1)
        assert both.value("harmonium_queue_limit", **limit) == 1000  # it holds for each
        with unfinished(service), unfinished(service):
            until(service, lambda found: found.value("harmonium_in_flight_requests") == 3)  # and the scrape itself
        victim, other = service.workers()
        os.kill(victim, signal.SIGKILL)
        service.until(rf"worker {victim} was ended by SIGKILL")
        alone = asked(service)
        assert alone.value("harmonium_queue_limit", **limit) == 1000
        assert alone.value("process_resident_memory_bytes") < both.value("process_resident_memory_bytes")
        assert alone.value("harmonium_in_flight_requests") == 1
        service.until(r"worker \d+ serves", times=3)
        began = both.value("process_start_time_seconds")
        again = until(service, lambda found: found.value("process_start_time_seconds") > began)
        parts = [service.process.pid, *service.workers()]
        assert other in parts
        resident = sum(
            int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) * 1024 for pid in parts
        )
        assert abs(again.value("process_resident_memory_bytes") - resident) < 0.2 * resident


def test_models_that_go_are_told_no_more(tmp_path: Path) -> None:
    (home := tmp_path / "home").mkdir()
    store = Store([folder := tmp_path / "zoo"])
    store.publish(*generate())

    def states(found: Scrape) -> set[tuple[str, str]]:
        return {(labels["version"], labels["state"]) for labels in found.labels("harmonium_model_info")}

    with running(folder, home, workers="2", scan_seconds="0.1") as service:
        until(service, lambda found: states(found) == {("1", "live")})
        store.publish(*generate())
        until(service, lambda found: states(found) == {("1", "loaded"), ("2", "live")})
        shutil.rmtree(folder / "digits-gan")
        found = until(service, lambda found: states(found) == set())
        until(
            service, lambda found: all("." not in labels["queue"] for labels in found.labels("harmonium_queue_limit"))
        )
        assert list(found.labels("harmonium_device_info")) == [{"asked": "auto", "device": "none"}]


def test_the_files_go_when_the_service_does(zoo: Path, tmp_path: Path) -> None:
    """Be it told to stop, or its parent killed."""
    for end in (signal.SIGTERM, signal.SIGKILL):
        (home := tmp_path / end.name / "home").mkdir(parents=True)
        (temporary := tmp_path / end.name / "temporary").mkdir()
        with running(zoo, home, {"TMPDIR": str(temporary)}, workers="2") as service:
            drawn(service, 10)
            (folder,) = temporary.iterdir()
            assert folder.stat().st_mode & 0o777 == 0o700
            places = {path.stem.rpartition("_")[2] for path in folder.iterdir()}
            assert places == {"0", "1", "2"}  # two workers and their parent
            workers = service.workers()
            os.kill(workers[0], signal.SIGKILL)
            service.until(r"worker \d+ serves", times=3)
            drawn(service, 10)
            assert {path.stem.rpartition("_")[2] for path in folder.iterdir()} == places  # the new one took a place
            workers += service.workers()
            service.process.send_signal(end)
            service.process.wait(30)
            gone(workers)
        assert list(temporary.iterdir()) == []


def test_no_place_for_the_files_ends_the_start_with_one_sentence(tmp_path: Path) -> None:
    told = environment(tmp_path, HARMONIUM_PORT="0", HARMONIUM_WORKERS="2")
    program = "import sys, tempfile; tempfile.tempdir = '/nowhere'; from service.__main__ import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program], env=told, timeout=60, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    *_, said = done.stderr.splitlines()
    assert said == "Cannot make the folder for the metrics of several workers: No such file or directory."
