"""How much memory this process has, and whether that is level."""

import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ctypes import CDLL
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

MIB: Final = 2**20
MAX_GROWTH: Final = 32 * MIB

# Memory is taken for good by the first of each kind of input.
WARM_SHARE: Final = 0.1


class Sample(NamedTuple):
    """Memory at one moment.

    Attributes:
        done: How many inputs had been tried.
        resident: Bytes.
    """

    done: int
    resident: int


class Level(NamedTuple):
    """What became of memory.

    Attributes:
        warm: Bytes resident after the first tenth of the run.
        end: Bytes resident at its end.
        slope: Bytes per input, fitted to all samples between.
    """

    warm: int
    end: int
    slope: float

    @property
    def fault(self) -> str | None:
        """What is wrong with it, if anything is."""
        growth = self.end - self.warm
        if growth <= MAX_GROWTH:
            return None
        return (
            f"memory grew by {growth / MIB:.1f} MiB, where it may grow by "
            f"{MAX_GROWTH // MIB} MiB once the first tenth is done"
        )


def resident_bytes() -> int:
    """Read what is resident now (proc(5), statm)."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


def settled_bytes() -> int:
    """Read what is resident once the allocator has given back what nobody uses."""
    trim = getattr(CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return resident_bytes()


@contextmanager
def peak_bytes() -> Iterator[Callable[[], int]]:
    """Tell how much more was resident at most in the block than before it."""
    # Resets the peak (proc(5), clear_refs).
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = resident_bytes()
    yield lambda: max(0, _highest() - before)


def _highest() -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.partition("VmHWM:")[2].split()[0]) * 1024


def level(samples: Sequence[Sample]) -> Level:
    """Judge samples of a whole run, in order.

    Args:
        samples: Two at least.
    """
    last = samples[-1]
    kept = [s for s in samples if s.done >= WARM_SHARE * last.done]
    slope = 0.0
    if len(kept) > 1:
        done, resident = zip(*kept, strict=True)
        slope = float(np.polyfit(done, resident, 1)[0])
    return Level(kept[0].resident, last.resident, slope)
