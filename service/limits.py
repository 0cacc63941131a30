"""What the system lets this process use: descriptors, and processors and memory of the machine or a control group.

On Linux a container or a unit of systemd is bounded by control groups, which the usual calls
do not see: a quota of processor time does not show in the affinity, and a memory limit not in
the machine's size. Version 2 has one tree of groups, version 1 one for each resource; both are
read. Every group bounds those inside it, so all up to the root count. In a container the tree
may begin at the container's own group while the process is still told its place on the host;
a folder that is not there is passed over.
"""

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path("/")


def processors(root: Path = ROOT) -> int:
    """Processors that may be kept busy all the time: by affinity and quota, at least 1.

    Of a quota the whole part counts. A thread more would get no more work done: it would spend the quota early in
    each period (commonly 0.1 s), and all threads, the event loop's too, would be held until the next one.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for group in _groups("cpu", root) if (quota := _quota(group)) is not None]
    return max(1, int(min([usable, *quotas])))


def memory(root: Path = ROOT) -> int | None:
    """Bytes of memory that the process may use, by the machine's size and its groups; None where nothing tells."""
    limits = [_number(group / name) for group in _groups("memory", root) for name in MEMORY_FILES]
    return min((limit for limit in [_machine(), *limits] if limit is not None), default=None)


def descriptors(needed: int) -> int:
    """Descriptors that the process may have open, raised to `needed` as far as the system lets it.

    The soft limit, commonly 1024, is there for programs that use select(2), which this is not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        with suppress(ValueError, OSError):  # macOS has a lower limit than it tells
            resource.setrlimit(
                resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else min(needed, hard), hard)
            )
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return needed if soft == resource.RLIM_INFINITY else soft


MEMORY_FILES = "memory.max", "memory.limit_in_bytes"
"""Of version 2 and 1. No limit is `max` in the one and more than any machine has in the other."""


def _machine() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _quota(group: Path) -> float | None:
    """Processors that the group may use on average; no limit is `max` in version 2 and -1 in version 1."""
    quota, _, period = _text(group / "cpu.max").partition(" ")
    if not quota:
        quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
    if quota.isdecimal() and period.isdecimal() and int(quota) and int(period):
        return int(quota) / int(period)
    return None


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """Folders of the groups that bound this process in the tree of `controller`, from its own to the tree's root."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, named = line.partition(":")
        controllers, _, place = named.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        tree = root / "sys/fs/cgroup" / (controller if controllers else "")
        inner = [part for part in place.split("/") if part not in ("", "..")]
        yield from (tree.joinpath(*inner[:depth]) for depth in range(len(inner), -1, -1))


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) or None if text.isdecimal() else None


def _text(path: Path) -> str:
    """What the file holds, or nothing if it cannot be read: a limit that is not told does not bound."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
