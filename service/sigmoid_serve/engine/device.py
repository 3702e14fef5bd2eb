"""Which device a setting means on this machine, and what differs between devices."""

import sys
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sigmoid_models.messages import UserError
from sigmoid_serve.engine.background import background_threads
from sigmoid_serve.errors import ServiceError

CACHED_ELEMENTS: Final = 2**17
"""Numbers that stay in the cache of a processor's core: half a megabyte of float32."""


class DeviceError(UserError):
    """A device that was asked for and is not there."""


def resolve_device(setting: str) -> torch.device:
    """Turn `auto`, `cpu`, `cuda` or `cuda:N` into a device.

    `auto` is the first CUDA device, or the CPU where there is none; it alone ever
    falls back.

    Raises:
        DeviceError: CUDA was asked for, and that device is not there.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if setting == "auto":
        setting = "cuda" if count else "cpu"
    device = torch.device(setting)
    if device.type == "cuda" and (device.index or 0) >= count:
        found = f"{count} CUDA devices" if count else "no CUDA device"
        raise DeviceError(
            f"the device {setting} was asked for, but there is {found}; "
            "use --device cpu or --device auto"
        )
    if device.type == "cuda":
        # Products of float32 in float32, not in TF32.
        torch.set_float32_matmul_precision("highest")
    return device


def use_one_thread() -> None:
    """Have each operation on tensors of this thread computed by it alone.

    The threads of PyTorch's own pool spin while they wait for each other. Where they
    share their cores with an event loop or with other processes, an operation that
    takes microseconds may so take milliseconds. What is worth more than one thread is
    computed in parts, by threads of which each uses this.
    """
    torch.set_num_threads(1)


class DeviceThreads(NamedTuple):
    """The threads that compute on a device.

    Attributes:
        executor: Runs what it is given on them.
        number: How many there are.
    """

    executor: Executor
    number: int

    @classmethod
    def of(cls, device: torch.device, cpu_threads: int) -> "DeviceThreads":
        """Make those of a CPU, or the one that feeds another device."""
        number = cpu_threads if device.type == "cpu" else 1
        return cls(background_threads("device", number, use_one_thread), number)


def as_memory_error(error: Exception) -> ServiceError | None:
    """Recognise what NumPy and PyTorch raise where there is no memory left."""
    # The CPU's allocator raises a RuntimeError, known by its text alone.
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    ):
        return ServiceError(
            "out_of_memory",
            "there is not enough memory to answer this request now; "
            "send fewer rows at once, or ask again later",
        )
    return None


def most_elements(device: torch.device) -> int:
    """Say how many numbers the memory of one batch may hold to good use.

    On a CPU, a batch that leaves the cache takes no less time per row. A GPU is the
    faster the more it is given at once.
    """
    return CACHED_ELEMENTS if device.type == "cpu" else sys.maxsize


def row_elements(widths: Sequence[int]) -> int:
    """Count the numbers that `Buffers` holds for a row."""
    return widths[0] + 2 * max(widths[1:])


class Buffers:
    """The memory of one batch on a device, with its ends on the CPU.

    Args:
        widths: Of the features, and of the results of each layer.
        rows: Of the batch.
        device: Where it is computed.

    Attributes:
        features: `(rows, widths[0])`, on the CPU; zeros at first.
        signals: Of each width, on the device; the first holds the features after
            `upload`, and of the results each takes the place of the last but one.
    """

    def __init__(self, widths: Sequence[int], rows: int, device: torch.device) -> None:
        # PyTorch's memory is aligned, which NumPy's need not be.
        self._host = torch.zeros(rows, widths[0])
        self.features: NDArray[np.float32] = self._host.numpy()
        # On the CPU this is the same memory.
        self.signals = [self._host.to(device)]
        # A result is needed until the next one is there: two memories are enough.
        both = [torch.empty(rows * max(widths[1:]), device=device) for _ in range(2)]
        for position, width in enumerate(widths[1:]):
            self.signals.append(both[position % 2][: rows * width].view(rows, width))
        self._last: NDArray[np.float32] | None = None
        if device.type == "cpu":
            self._last = self.signals[-1].numpy()

    def upload(self) -> None:
        """Bring the features to the device."""
        if self.signals[0] is not self._host:
            self.signals[0].copy_(self._host)

    def logits(self, rows: int, outputs: int) -> NDArray[np.float32]:
        """Bring a copy of a part of the last signal to the CPU: `(rows, outputs)`."""
        last = self.signals[-1].cpu().numpy() if self._last is None else self._last
        return last[:rows, :outputs].copy()
