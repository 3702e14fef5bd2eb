"""Which device a setting means on this machine, and what differs between devices."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import NamedTuple

import torch

from sigmoid_models.messages import UserError
from sigmoid_serve.engine.background import background_threads
from sigmoid_serve.errors import ServiceError


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

    The threads of PyTorch's own pool wait for each other at the end of each operation.
    Where they share their cores with an event loop or with other processes, one that
    takes microseconds may so take milliseconds. What is worth more than one thread is
    computed in parts, by threads of which each uses this; only the products of large
    layers are shared by PyTorch's threads.
    """
    torch.set_num_threads(1)


@contextmanager
def shared_by(threads: int) -> Iterator[None]:
    """Have each operation on tensors of this thread computed by several.

    Args:
        threads: How many, for as long as the context lasts; then one again.
    """
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        use_one_thread()


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
