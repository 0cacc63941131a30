"""`python -m service` as a process of its own, and what it says."""

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]


def environment(home: Path, **settings: str) -> dict[str, str]:
    """What a bare machine gives a process: no CI, no opinion on telemetry."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT), **settings}


class Service:
    """A process and the lines that it and its workers have printed or logged."""

    def __init__(self, told: dict[str, str], home: Path, most_files: int | None = None) -> None:
        """`most_files` is how many descriptors the system allows it, where others than usual."""
        limit = f"ulimit -n {most_files} && " if most_files else ""
        self.process = subprocess.Popen(
            ["sh", "-c", f'{limit}exec "$0" -m service', sys.executable],
            env=told,
            cwd=home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self.port = 0
        self._more = threading.Condition()
        self._ended = False
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    @property
    def said(self) -> str:
        return "".join(self.lines)

    def until(self, pattern: str, times: int = 1, seconds: float = 60) -> list[re.Match[str]]:
        """The lines that match, once there are `times` of them."""
        found: list[re.Match[str]] = []

        def there() -> bool:
            found[:] = [match for line in self.lines if (match := re.search(pattern, line))]
            return len(found) >= times or self._ended

        with self._more:
            self._more.wait_for(there, seconds)
        assert len(found) >= times, f"no {times} lines with {pattern} in\n{self.said}"
        return found

    def workers(self) -> list[int]:
        """The process ids of its children."""
        return [
            int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()  # its workers notice
        self.process.wait()
        self._listener.join()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                with self._more:
                    self.lines.append(line)
                    self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()


@contextlib.contextmanager
def running(
    zoo: Path,
    home: Path,
    variables: Mapping[str, str] | None = None,
    most_files: int | None = None,
    **settings: str,
) -> Generator[Service]:
    """A service on a free port that has loaded its models; keyword `workers` is HARMONIUM_WORKERS.

    `variables` are others of its environment, `most_files` the descriptors that the system allows it.
    """
    told = {f"HARMONIUM_{name.upper()}": value for name, value in settings.items()} | dict(variables or {})
    service = Service(environment(home, HARMONIUM_MODELS=str(zoo), HARMONIUM_PORT="0", **told), home, most_files)
    try:
        service.port = int(service.until(r"http://127\.0\.0\.1:(\d+)/docs")[0][1])
        service.until(r"^Models on ")
        yield service
    finally:
        service.end()
