"""What processes have used so far: CPU and memory, from `/proc` (proc(5))."""

import re
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

# From a process's number to its clock: the kernel's `CPUCLOCK_SCHED`, of all threads,
# ended ones too (clock_getcpuclockid(3)).
_ALL_THREADS = 2


def family(pid: int) -> list[int]:
    """List a process and all that come from it."""
    found = [pid]
    for parent in found:
        with suppress(OSError):
            for path in Path(f"/proc/{parent}/task").glob("*/children"):
                found += map(int, path.read_text(encoding="ascii").split())
    return found


def cpu_seconds(pids: Sequence[int]) -> float:
    """Add up the CPU time of processes; of one that has ended, none."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            total += time.clock_gettime_ns((~pid << 3) | _ALL_THREADS)
    return total / 1e9


def queued_seconds(pid: int) -> float:
    """Read for how long a process's first thread has waited for a CPU (schedstat)."""
    try:
        text = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii")
        return int(text.split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def memory_bytes(status: str, name: str) -> int:
    """Find a figure of memory in the text of `/proc/PID/status`.

    Args:
        status: The text.
        name: `VmRSS`, resident now, or `VmHWM`, its highest.

    Returns:
        Bytes; 0 where there is none, as of a process that has ended.
    """
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def resident(pids: Sequence[int], name: str = "VmRSS") -> int:
    """Add up the memory of processes."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
            total += memory_bytes(status, name)
    return total


def forget_peaks(pids: Sequence[int]) -> None:
    """Set `VmHWM` to what is resident now (clear_refs)."""
    for pid in pids:
        with suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
