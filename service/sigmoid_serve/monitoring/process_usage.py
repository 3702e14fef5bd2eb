"""What a process uses of the machine, under the names that Prometheus' clients share.

Every process of the service writes its own share, once a second; where the metrics are
shown the shares are summed. Where there is no `/proc`, only the CPU time and the limit
of file descriptors are known.
"""

import os
import resource
from contextlib import suppress
from pathlib import Path
from time import process_time

from sigmoid_serve.monitoring.metrics import Metrics

_PROC = Path("/proc")


class ProcessUsage:
    """Writes what this process uses; one thread may update it.

    Args:
        metrics: That this process writes.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._cpu = metrics.counter("process_cpu_seconds_total")
        self._counted = 0.0
        with suppress(OSError, ValueError, StopIteration):
            metrics.gauge("process_start_time_seconds").set(_start_time())

    def update(self) -> None:
        """Write how things are at the moment."""
        cpu = process_time()
        # A replacement goes on counting where the process before it ended.
        self._cpu.add(cpu - self._counted)
        self._counted = cpu
        gauge = self._metrics.gauge
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        gauge("process_max_fds").set(limit)
        with suppress(OSError, ValueError):
            size, resident, *_ = (_PROC / "self/statm").read_bytes().split()
            page = resource.getpagesize()
            gauge("process_virtual_memory_bytes").set(int(size) * page)
            gauge("process_resident_memory_bytes").set(int(resident) * page)
            gauge("process_open_fds").set(len(os.listdir(_PROC / "self/fd")))


def _start_time() -> float:
    """Return when this process began; the kernel counts ticks since it was booted."""
    # The name of the program, in brackets, may hold spaces.
    fields = (_PROC / "self/stat").read_bytes().rpartition(b")")[2].split()
    lines = (_PROC / "stat").read_bytes().splitlines()
    booted = next(line for line in lines if line.startswith(b"btime "))
    return int(booted.split()[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")
