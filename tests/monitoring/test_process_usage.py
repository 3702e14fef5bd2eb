"""What processes use of the machine: summed, and counted on after a replacement."""

import os
import resource
from math import isclose
from pathlib import Path
from time import process_time, time

import pytest

from sigmoid_serve.monitoring import process_usage
from sigmoid_serve.monitoring.metrics import SLAB_BYTES, Metrics, new_memory
from sigmoid_serve.monitoring.process_usage import ProcessUsage
from tests.monitoring.test_metrics import read, sample

CPU = sample("process_cpu_seconds_total")
MEMORY = sample("process_resident_memory_bytes")


def test_one_process() -> None:
    memory = new_memory(1)
    usage = ProcessUsage(Metrics(memory, 0))
    before = process_time()
    usage.update()
    samples = read(memory)
    assert before <= samples[CPU] <= process_time()
    status = Path("/proc/self/status").read_text()
    sizes = dict(line.split(":", 1) for line in status.splitlines())
    resident, virtual = (1024 * int(sizes[n].split()[0]) for n in ("VmRSS", "VmSize"))
    assert isclose(samples[MEMORY], resident, rel_tol=0.1)
    assert isclose(
        samples[sample("process_virtual_memory_bytes")], virtual, rel_tol=0.1
    )
    assert 0 < time() - samples[sample("process_start_time_seconds")] < 24 * 3600
    # Listing the folder opens one more, here as there.
    files = len(os.listdir("/proc/self/fd"))
    assert samples[sample("process_open_fds")] == files
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert samples[sample("process_max_fds")] == limit


def test_several_processes_are_summed() -> None:
    memory = bytearray(2 * SLAB_BYTES)
    usages = [ProcessUsage(Metrics(memory, slab)) for slab in (0, 1)]
    usages[0].update()
    alone = read(memory)
    usages[1].update()
    both = read(memory)
    for name in ("process_open_fds", "process_max_fds"):
        assert both[sample(name)] == 2 * alone[sample(name)]
    assert isclose(both[MEMORY], 2 * alone[MEMORY], rel_tol=0.1)
    assert isclose(both[CPU], 2 * alone[CPU], rel_tol=0.1)
    start = sample("process_start_time_seconds")
    assert both[start] == alone[start]


def test_cpu_time_of_a_process_that_was_replaced_stays() -> None:
    memory = bytearray(SLAB_BYTES)
    usage = ProcessUsage(Metrics(memory, 0))
    usage.update()
    usage.update()
    counted = read(memory)[CPU]
    assert counted <= process_time()
    replacement = ProcessUsage(Metrics(memory, 0))
    assert read(memory)[CPU] == counted
    assert MEMORY not in read(memory)
    before = process_time()
    replacement.update()
    assert read(memory)[CPU] >= counted + before


def test_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_usage, "_PROC", tmp_path)
    memory = bytearray(SLAB_BYTES)
    ProcessUsage(Metrics(memory, 0)).update()
    assert read(memory).keys() == {CPU, sample("process_max_fds")}
