"""How many CPUs there are: trees of files as the kernel lays them out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sigmoid_serve.engine.cpus import (
    Cpus,
    available_cpus,
    cgroup_folders,
    threads_per_worker,
)

V2 = "30 24 0:26 {} {} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "33 31 0:30 {} {} rw,nosuid shared:9 master:1 - cgroup cgroup rw,cpu,cpuacct\n"
OTHERS = (
    "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "36 31 0:33 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
)
UNIFIED = "sys/fs/cgroup"
CPU = "sys/fs/cgroup/cpu,cpuacct"


def lay_out(root: Path, cgroup: str, mounts: str, **files: str) -> Path:
    """Write the files of /proc, and those of `files`: folder and name to content."""
    everything = {
        "proc/self/cgroup": cgroup,
        "proc/self/mountinfo": OTHERS + mounts,
        **files,
    }
    for name, content in everything.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(content))
    return root


def v2(folder: str, quota: str) -> dict[str, str]:
    return {f"{folder}/cpu.max": f"{quota} 100000\n"}


def v1(folder: str, quota: int, period: int = 100_000) -> dict[str, str]:
    return {
        f"{folder}/cpu.cfs_quota_us": f"{quota}\n",
        f"{folder}/cpu.cfs_period_us": f"{period}\n",
    }


def quota(root: Path) -> float | None:
    return available_cpus(root).quota


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("max 100000\n", None),
        ("200000 100000\n", 2.0),
        ("150000 100000\n", 1.5),
        ("1000 1000000\n", 0.001),
        ("50000 100000", 0.5),
        ("", None),
        ("0 100000\n", None),
        ("100000 0\n", None),
        ("-1 100000\n", None),
        ("100000\n", None),
        ("1e5 100000\n", None),
        ("nan inf\n", None),
        ("9" * 5000 + " 1\n", None),
        ("200000 100000 7\n", None),
        ("\udcff\udc80\0", None),
    ],
)
def test_version_2(text: str, cpus: float | None, tmp_path: Path) -> None:
    files = {f"{UNIFIED}/a/cpu.max": text}
    lay_out(tmp_path, "0::/a\n", V2.format("/", "/sys/fs/cgroup"), **files)
    assert quota(tmp_path) == cpus


@pytest.mark.parametrize(
    ("microseconds", "period", "cpus"),
    [(-1, 100_000, None), (250_000, 100_000, 2.5), (5000, 50_000, 0.1), (1, 0, None)],
)
def test_version_1(
    microseconds: int, period: int, cpus: float | None, tmp_path: Path
) -> None:
    lay_out(
        tmp_path,
        "7:memory:/else\n4:cpu,cpuacct:/a:b\n1:name=systemd:/a\n",
        V1.format("/", f"/{CPU}"),
        **v1(f"{CPU}/a:b", microseconds, period),
    )
    assert quota(tmp_path) == cpus


def test_the_tightest_on_the_way_up_counts(tmp_path: Path) -> None:
    files = {
        **v2(f"{UNIFIED}/top", "400000"),
        **v2(f"{UNIFIED}/top/middle", "150000"),
        **v2(f"{UNIFIED}/top/middle/leaf", "max"),
        **v2(f"{UNIFIED}/top/other", "1000"),
        **v2(f"{UNIFIED}/top/middle/leaf/below", "1000"),
    }
    mounts = V2.format("/", "/sys/fs/cgroup")
    lay_out(tmp_path, "0::/top/middle/leaf\n", mounts, **files)
    assert quota(tmp_path) == 1.5
    folders = list(cgroup_folders("cpu", tmp_path))
    assert folders == [
        tmp_path / UNIFIED / part
        for part in ("top/middle/leaf", "top/middle", "top", "")
    ]


def test_the_tightest_of_version_1(tmp_path: Path) -> None:
    files = {
        **v1(CPU, -1),
        **v1(f"{CPU}/top", 50_000),
        **v1(f"{CPU}/top/leaf", 300_000),
    }
    lay_out(tmp_path, "4:cpuacct,cpu:/top/leaf\n", V1.format("/", f"/{CPU}"), **files)
    assert quota(tmp_path) == 0.5


@pytest.mark.parametrize(
    ("old", "new", "cpus"),
    [(100_000, "max", 1.0), (-1, "300000", 3.0), (-1, "max", None)],
)
def test_hybrid(old: int, new: str, cpus: float | None, tmp_path: Path) -> None:
    lay_out(
        tmp_path,
        "4:cpu,cpuacct:/old\n0::/new\n",
        V1.format("/", f"/{CPU}") + V2.format("/", "/sys/fs/cgroup/unified"),
        **v1(f"{CPU}/old", old),
        **v2(f"{UNIFIED}/unified/new", new),
    )
    assert quota(tmp_path) == cpus


@pytest.mark.parametrize(
    ("path", "top", "folder"),
    [
        ("/docker/abc", "/docker/abc", ""),  # a container without a namespace
        ("/docker/abc/sub", "/docker/abc", "/sub"),
        ("/docker/abc", "/", ""),  # the path of the host, not mounted here
        ("/", "/", ""),  # a namespace
        ("/sub", "/", "/sub"),
        ("/../..", "/../..", ""),
        ("/../../sub", "/../..", "/sub"),
        ("/", "/..", ""),  # mounted before the namespace was entered
        ("/../outside", "/", ""),  # moved out of its namespace
        ("/docker/abc", "/docker/xyz", ""),
        ("/docker/abcd", "/docker/abc", ""),
        ("/gone (deleted)", "/", ""),
    ],
)
def test_containers(path: str, top: str, folder: str, tmp_path: Path) -> None:
    decoys = v2("sys/fs/outside", "1000") | v1("sys/fs/cgroup/outside", 1000)
    new = lay_out(
        tmp_path / "new",
        f"0::{path}\n",
        V2.format(top, "/sys/fs/cgroup"),
        **decoys,
        **v2(f"{UNIFIED}{folder}", "70000"),
    )
    assert quota(new) == 0.7
    old = lay_out(
        tmp_path / "old",
        f"4:cpu,cpuacct:{path}\n",
        V1.format(top, f"/{CPU}"),
        **decoys,
        **v1(f"{CPU}{folder}", 70_000),
    )
    assert quota(old) == 0.7


def test_of_two_mounts_the_one_that_shows_the_process(tmp_path: Path) -> None:
    lay_out(
        tmp_path,
        "0::/mine/leaf\n",
        V2.format("/other", "/other") + V2.format("/mine", "/mine"),
        **v2("other", "1000"),
        **v2("mine/leaf", "200000"),
    )
    assert quota(tmp_path) == 2.0


def test_escaped_mount_points(tmp_path: Path) -> None:
    mounts = V2.format("/a\\040b", "/my\\040own\\134point")
    lay_out(tmp_path, "0::/a b/c\n", mounts, **v2("my own\\point/c", "200000"))
    assert quota(tmp_path) == 2.0


@pytest.mark.parametrize(
    ("cgroup", "mounts"),
    [
        ("", ""),
        ("0::/a\n", ""),
        ("", V2.format("/", "/sys/fs/cgroup")),
        ("0\n::\n:::::\n0::a/../b\n\0", V2.format("/", "/sys/fs/cgroup")),
        ("0::/\0\n", V2.format("/", "/sys/\0/cgroup")),
        ("0::/\udcff\n", V2.format("/", "/sys/\\777/\udcfe")),
        ("0::/a\n", " - \n - cgroup2\n1 2 3 - cgroup2 x y\n1 2 3 4 5 6 - \n"),
        ("0::/" + "x/" * 3000, V2.format("/", "/" + "y" * 5000)),
        ("4:memory:/a\n", V1.format("/", "/sys/fs/cgroup/cpu")),
    ],
)
def test_odd_files_set_no_limit(cgroup: str, mounts: str, tmp_path: Path) -> None:
    lay_out(tmp_path, cgroup, mounts)
    assert available_cpus(tmp_path) == Cpus(len(os.sched_getaffinity(0)), None)


def test_nothing_to_read(tmp_path: Path) -> None:
    assert quota(tmp_path / "absent") is None
    lay_out(tmp_path, "0::/\n", V2.format("/", "/sys/fs/cgroup"))
    (tmp_path / UNIFIED / "cpu.max").mkdir(parents=True)
    assert quota(tmp_path) is None


def test_this_machine() -> None:
    cpus = available_cpus()
    assert cpus.affinity == len(os.sched_getaffinity(0))
    assert 1 <= cpus.count <= cpus.affinity
    assert cpus.quota is None or cpus.quota > 0


def test_affinity_of_a_pinned_process() -> None:
    program = (
        "import os; from sigmoid_serve.engine.cpus import available_cpus;"
        "os.sched_setaffinity(0, [max(os.sched_getaffinity(0))]);"
        "cpus = available_cpus(); print(cpus.affinity, cpus.count)"
    )
    output = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert output.split() == ["1", "1"]


@pytest.mark.parametrize(
    ("affinity", "quota", "count"),
    [
        (4, None, 4),
        (4, 8.0, 4),
        (4, 4.0, 4),
        (4, 2.5, 3),
        (4, 2.0, 2),
        (4, 0.1, 1),
        (1, 3.0, 1),
        (64, 3.0, 3),
    ],
)
def test_count(affinity: int, quota: float | None, count: int) -> None:
    assert Cpus(affinity, quota).count == count


@pytest.mark.parametrize(
    ("setting", "workers", "affinity", "quota", "threads"),
    [
        (None, 1, 8, None, 8),
        (None, 2, 8, None, 4),
        (None, 3, 8, None, 2),
        (None, 9, 8, None, 1),
        (None, 1, 8, 2.5, 3),
        (None, 2, 8, 0.5, 1),
        (5, 1, 8, None, 5),
        (16, 4, 8, 1.0, 16),
        (1, 1, 8, None, 1),
    ],
)
def test_threads(
    setting: int | None, workers: int, affinity: int, quota: float | None, threads: int
) -> None:
    assert threads_per_worker(setting, workers, Cpus(affinity, quota)) == threads
