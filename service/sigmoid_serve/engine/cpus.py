"""How many CPUs this process may use, and how many threads each worker gets.

A container's limit of CPUs is a quota of time that its cgroup sets; the CPUs that a
process may run on, its affinity, do not show it.
"""

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_QUOTA = re.compile(r"([0-9]{1,19})\s+([0-9]{1,19})\s*")
_ESCAPE = re.compile(r"\\([0-7]{3})")
# Version 2 has one hierarchy for all controllers; /proc/self/cgroup names none there.
_UNIFIED = ""


@dataclass(frozen=True)
class Cpus:
    """The CPUs of this process.

    Attributes:
        affinity: CPUs that it may run on, at least 1.
        quota: CPUs' worth of time that its cgroups allow; None where unlimited.
    """

    affinity: int
    quota: float | None = None

    @property
    def count(self) -> int:
        """How many it can keep busy, at least 1."""
        allowed = self.affinity if self.quota is None else math.ceil(self.quota)
        return max(1, min(self.affinity, allowed))


class _Mount(NamedTuple):
    controllers: frozenset[str]
    root: PurePosixPath
    folder: Path


def available_cpus(root: Path = Path("/")) -> Cpus:
    """Find the affinity and the tightest quota of this process.

    The limits of a cgroup bind all that are below it, so the smallest on the way from
    the process's cgroup up to the root counts. What cannot be read sets no limit.

    Args:
        root: Where `proc` and the mount points of the cgroups lie.

    Source of the formats: the Linux kernel's Documentation/admin-guide/cgroup-v2.rst
    (`cpu.max`: `$MAX $PERIOD`, `max` for none) and Documentation/scheduler/
    sched-bwc.rst (`cpu.cfs_quota_us`, -1 for none, and `cpu.cfs_period_us`).
    """
    quotas = [
        quota for folder in cgroup_folders("cpu", root) if (quota := _quota(folder))
    ]
    return Cpus(_affinity(), min(quotas, default=None))


def threads_per_worker(setting: int | None, workers: int, cpus: Cpus) -> int:
    """Return the setting, else a worker's equal share of the CPUs, at least 1.

    Args:
        setting: Threads that were asked for, if so.
        workers: Processes that compute, at least 1.
        cpus: Of all of them together.
    """
    return max(1, cpus.count // workers) if setting is None else setting


def cgroup_folders(controller: str, root: Path = Path("/")) -> Iterator[Path]:
    """Yield the folders of this process's cgroups, each before those above it.

    They are those of the controller's own hierarchy (version 1) and of the unified one
    (version 2); a hybrid system has both. Not all of them need to exist: a container
    may see only a part of a hierarchy. Where the process's place in a hierarchy is not
    below what is mounted, the mounted folder stands for it.

    Args:
        controller: As version 1 calls it: `cpu`, `memory`.
        root: Where `proc` and the mount points lie.

    Source of the formats: the Linux manual's cgroups(7), cgroup_namespaces(7) and
    proc_pid_mountinfo(5).
    """
    mounts = list(_mounts(root))
    for line in read_text(root / "proc/self/cgroup").split("\n"):
        fields = line.split(":", 2)
        if len(fields) != 3:
            continue
        names, path = fields[1].split(","), PurePosixPath(fields[2])
        for name in {controller, _UNIFIED}.intersection(names):
            theirs = [mount for mount in mounts if name in mount.controllers]
            seen = [mount for mount in theirs if _is_below(path, mount.root)]
            for mount in seen or theirs:
                place = path.relative_to(mount.root) if seen else PurePosixPath()
                for part in (place, *place.parents):
                    yield mount.folder / part


def read_text(path: Path) -> str:
    """Read a file of the kernel; empty where that is not possible."""
    try:
        return os.fsdecode(path.read_bytes())
    except (OSError, ValueError):  # ValueError: a path with a zero byte
        return ""


def _is_below(path: PurePosixPath, top: PurePosixPath) -> bool:
    # A namespace shows what is outside of it by "..", but gives it no name.
    return path.is_relative_to(top) and ".." not in path.relative_to(top).parts


def _mounts(root: Path) -> Iterator[_Mount]:
    for line in read_text(root / "proc/self/mountinfo").split("\n"):
        before, _, after = line.partition(" - ")
        mount, kind = before.split(" "), after.split(" ")
        if len(mount) < 6 or len(kind) < 3 or kind[0] not in {"cgroup", "cgroup2"}:
            continue
        top, point = (_ESCAPE.sub(_unescape, text) for text in mount[3:5])
        names = [_UNIFIED] if kind[0] == "cgroup2" else kind[2].split(",")
        folder = root / point.lstrip("/")
        yield _Mount(frozenset(names), PurePosixPath(top), folder)


def _unescape(match: re.Match[str]) -> str:
    return chr(int(match[1], 8))


def _quota(folder: Path) -> float | None:
    text = read_text(folder / "cpu.max") or " ".join(
        read_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period")
    )
    match = _QUOTA.fullmatch(text)
    if match is None:
        return None
    quota, period = map(int, match.groups())
    return quota / period if quota and period else None


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
