import os
import shutil
import subprocess
from pathlib import Path

import pytest

from service import limits

ALL = len(os.sched_getaffinity(0))
MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
V1 = "4:memory:{0}\n3:cpu,cpuacct:{0}\n1:name=systemd:{0}\n0::{0}\n"
V2 = "0::{0}\n"


def system(root: Path, groups: str, **files: str) -> Path:
    """A machine's tree below `root`; in the names of `files`, which lie in sys/fs/cgroup, "__" stands for "/"."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(("quota", "expected"), [("150000", 1), ("20000", 1), ("100000", 1), ("99900000", ALL)])
def test_the_whole_part_of_a_quota_counts(tmp_path: Path, quota: str, expected: int) -> None:
    second = system(tmp_path / "2", V2.format("/"), **{"cpu.max": f"{quota} 100000\n"})
    first = system(
        tmp_path / "1", V1.format("/"), **{"cpu__cpu.cfs_quota_us": f"{quota}\n", "cpu__cpu.cfs_period_us": "100000\n"}
    )
    assert limits.processors(second) == limits.processors(first) == expected


def test_two_processors_of_a_quota_are_two(tmp_path: Path) -> None:
    if ALL < 2:
        pytest.skip("this process may use one processor only")
    assert limits.processors(system(tmp_path, V2.format("/"), **{"cpu.max": "290000 100000\n"})) == 2


def test_every_group_up_to_the_root_bounds(tmp_path: Path) -> None:
    root = system(
        tmp_path,
        V2.format("/pod/app"),
        **{"pod__app__memory.max": "max\n", "pod__memory.max": "300000000\n", "memory.max": "900000000\n"},
        **{"pod__app__cpu.max": "max 100000\n", "pod__cpu.max": "100000 100000\n"},
    )
    assert limits.memory(root) == 300_000_000
    assert limits.processors(root) == 1


def test_in_a_container_that_sees_its_place_on_the_host(tmp_path: Path) -> None:
    files = {"memory__memory.limit_in_bytes": "314572800\n", "cpu__cpu.cfs_quota_us": "100000\n"}
    files["cpu__cpu.cfs_period_us"] = "100000\n"
    root = system(tmp_path, V1.format("/docker/5e3d"), **files)
    assert limits.memory(root) == 314_572_800
    assert limits.processors(root) == 1


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"memory.max": "max\n", "cpu.max": "max 100000\n"},
        {"memory__memory.limit_in_bytes": "9223372036854771712\n", "cpu__cpu.cfs_quota_us": "-1\n"},
        {"memory.max": "much", "cpu.max": "100000", "cpu__cpu.cfs_quota_us": "1"},
        {"memory.max": "0", "cpu.max": "0 0"},
        {"memory.max": "\xff", "cpu.max": "100000 0"},
        {"memory.max": "-5", "cpu.max": "-5 100000"},
    ],
)
@pytest.mark.parametrize("groups", [V1.format("/"), V2.format("/"), V2.format("/../../x"), "", "nonsense\n:\n"])
def test_no_limit_is_the_machine(tmp_path: Path, groups: str, files: dict[str, str]) -> None:
    root = system(tmp_path, groups, **files)
    assert limits.memory(root) == MACHINE
    assert limits.processors(root) == ALL


def test_no_linux_is_the_machine(tmp_path: Path) -> None:
    assert limits.memory(tmp_path) == MACHINE
    assert limits.processors(tmp_path) == ALL


IMAGES = "harmonium:cpu", "python:3.13-slim-trixie"


def image() -> str:
    """An image with Python that the engine has; without one the test is skipped."""
    if shutil.which("docker") is None:
        pytest.skip("there is no docker")
    for name in IMAGES:
        if subprocess.run(["docker", "image", "inspect", name], capture_output=True).returncode == 0:
            return name
    pytest.skip(f"no engine answers, or it has none of {', '.join(IMAGES)}")


@pytest.mark.parametrize(("cpus", "expected"), [("1.5", 1), ("0.5", 1)])
def test_a_real_container(cpus: str, expected: int) -> None:
    command = ["docker", "run", "--rm", "--network", "none", "--cpus", cpus, "--memory", "300m"]
    command += ["--volume", f"{limits.__file__}:/tmp/limits.py:ro", "--workdir", "/tmp", "--entrypoint", "python"]
    command += [image(), "-c", "import limits; print(limits.processors(), limits.memory())"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{expected} {300 * 2**20}\n", done.stderr
