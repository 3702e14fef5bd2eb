"""How many rows a batch has: which sizes are tried, and which one some rows take."""

from collections.abc import Sequence
from itertools import count, takewhile
from typing import Final

import torch

_ON_CPU: Final = (2, 4, 8, 16, 24, 32, 48, 64, 128, 256, 512, 1024)
_LEAST_ON_GPU: Final = 32

# A batch takes about as long as this many more rows do: the weights are read for it,
# and each layer is a few calls.
_ROWS_OF_A_BATCH: Final = 16


# PyTorch's elementwise functions compute 32 numbers at once with AVX-512, 16 with AVX2,
# and what is left one by one, which may be rounded otherwise. Each thread is given as
# much as the next, and 32,768 numbers at least (`at::internal::GRAIN_SIZE`).
_VECTORS: Final = 32
_NUMBERS_OF_A_THREAD: Final = 32768


def sizes_to_try(
    device: torch.device,
    max_rows: int,
    widths: Sequence[int] = (),
    threads: int = 1,
) -> tuple[int, ...]:
    """List sizes that are worth a trial, smallest first; at least one.

    On a CPU, larger ones take no less time per row. A GPU is the faster the more it is
    given at once.

    Args:
        device: Where they are computed.
        max_rows: More are not wanted, if any size is as small.
        widths: Of the signals that functions are applied to.
        threads: PyTorch's threads that share a batch. They should get whole vectors.
    """
    if device.type == "cpu":
        sizes = {_shared_in_vectors(size, widths, threads) for size in _ON_CPU}
        return tuple(size for size in sorted(sizes) if size <= max_rows) or _ON_CPU[:1]
    larger = (_LEAST_ON_GPU << doublings for doublings in count())
    return tuple(takewhile(lambda s: s <= max_rows, larger)) or (_LEAST_ON_GPU,)


def _shared_in_vectors(size: int, widths: Sequence[int], threads: int) -> int:
    """Find the next size of which each thread gets whole vectors, if there is one."""
    sizes = range(size, 2 * size)
    return next(
        (s for s in sizes if all(_is_even(s * width, threads) for width in widths)),
        size,
    )


def _is_even(numbers: int, threads: int) -> bool:
    threads = min(threads, -(-numbers // _NUMBERS_OF_A_THREAD))
    return threads == 1 or -(-numbers // threads) % _VECTORS == 0


def size_for(rows: int, sizes: Sequence[int]) -> int:
    """Choose the size of the next batch of some rows.

    To fill up a batch with zeros may take less time than another batch.

    Args:
        rows: That are left to be computed, at least 1.
        sizes: That may be used, largest first.

    Returns:
        One of the sizes; the batch takes at most that many of the rows.
    """
    if rows >= sizes[0]:
        return sizes[0]
    above = min((size for size in sizes if size >= rows), default=sizes[0])
    below = next((size for size in sizes if size <= rows), above)
    return above if above - rows <= _ROWS_OF_A_BATCH else below


def cost(rows: int, sizes: Sequence[int]) -> int:
    """Estimate how long rows take, in rows.

    Args:
        rows: How many.
        sizes: That may be used, largest first.
    """
    whole, rest = divmod(rows, sizes[0])
    total = whole * (sizes[0] + _ROWS_OF_A_BATCH)
    while rest > 0:
        size = size_for(rest, sizes)
        total += size + _ROWS_OF_A_BATCH
        rest -= size
    return total
