"""What a process in the container may do. Runs there, with the standard library: `docker exec -i ... python - < this`.

One line a check; the exit code is the number of those that failed.
"""

import contextlib
import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

failed = 0


def check(what: str, right: bool, seen: object) -> None:
    """Say it, and remember it if it is wrong."""
    global failed
    failed += not right
    print(f"{what}: {seen}{'' if right else '   <- WRONG'}")


def status() -> dict[str, str]:
    """This process, as the kernel sees it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def refusal(attempt: Callable[[], object]) -> str:
    """The name of the error, or `allowed`."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "allowed"


def fill(folder: str, most: int) -> int:
    """MiB that fit into a folder, up to `most`."""
    path = Path(folder, "filling")
    written = 0
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while written < most:
            written += file.write(bytes(2**20)) == 2**20
    path.unlink()
    return written


@contextlib.contextmanager
def tasks(most: int) -> Generator[int]:
    """Processes that can be started, up to `most`; they end with the block."""
    started: list[subprocess.Popen[bytes]] = []
    with contextlib.suppress(OSError):
        while len(started) < most:
            started.append(subprocess.Popen(["sleep", "60"]))
    yield len(started)
    for process in started:
        process.kill()
        process.wait()


def limit(controller: str, old: str, new: str) -> str:
    """Of the control group, version 1 or 2."""
    for path in (Path("/sys/fs/cgroup", new), Path("/sys/fs/cgroup", controller, old)):
        if path.exists():
            return path.read_text().strip()
    return "unknown"


now = status()
users = set(now["Uid"].split() + now["Gid"].split())
check("user and group", users == {"10001"}, " ".join(sorted(users)))
capabilities = {name: now[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
check("capabilities", not any(int(value, 16) for value in capabilities.values()), " ".join(set(capabilities.values())))
check("no new privileges", now["NoNewPrivs"] == "1", now["NoNewPrivs"])
check("seccomp filter", now["Seccomp"] == "2", now["Seccomp"])
for folder in ("/", "/app", "/models", "/venv", "/etc", "/var/tmp"):
    answer = refusal(Path(folder, "new").touch)
    check(f"a file in {folder}", answer == "EROFS", answer)
most = fill("/tmp", 200)
check("MiB that fit into /tmp", 0 < most < 200, most)
memory = limit("memory", "memory.limit_in_bytes", "memory.max")
check("memory, bytes", memory.isdigit() and int(memory) < 2**50, memory)
pids = limit("pids", "pids.max", "pids.max")
check("tasks", pids.isdigit(), pids)
with tasks(int(pids) if pids.isdigit() else 0) as count:
    check("processes that can be started", 0 < count < int(pids), count)
telemetry = os.environ.get("ORT_DISABLE_TELEMETRY")
check("ORT_DISABLE_TELEMETRY", telemetry == "1", telemetry)
for tool in ("pip", "gcc", "cc", "curl", "wget", "git"):
    path = shutil.which(tool)
    check(tool, path is None, path or "not there")
for module in ("pip", "torch", "pytest"):
    code = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, check=False).returncode
    check(f"import {module}", code != 0, "fails" if code else "works")
sys.exit(failed)
