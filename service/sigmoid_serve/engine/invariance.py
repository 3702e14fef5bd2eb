"""Which batch sizes give a row the same bits at every place, on the machine at hand.

What a matrix product does with a row may depend on how many rows there are, on the
row's place among them, and on the number of threads: the library picks its kernels and
its cuts by size. No library promises otherwise, so it is tried, with the network, the
device and the threads that will serve. Only sizes that were tried are used afterwards.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]
Compute = Callable[[Float32Array], Float32Array]

BLOCK_ROWS: Final = 32

# Multiplications of one batch of the trial; beyond, larger batches gain nothing.
_TRIAL_PRODUCTS: Final = 2 * 10**8


def find_batch_invariant_sizes(
    compute: Compute, features: int, products: int, max_rows: int
) -> tuple[int, ...]:
    """Try batches of 32, 64, 128, … rows, and keep those that change no bit.

    Args:
        compute: Maps features `(rows, features)` to logits `(rows, outputs)`, in one
            batch that is zero-padded to whole blocks of 32 rows.
        features: Of a row.
        products: Multiplications that one row takes.
        max_rows: Largest batch that is wanted; rounded up to a whole block.

    Returns:
        The sizes, largest first: in a batch of any of them, each row gets the bits that
        it gets alone, at the first place of a block. `(1,)` where no batch does; then
        rows must be computed one by one.
    """
    trial_rows = _TRIAL_PRODUCTS // products
    samples = max(2, min(BLOCK_ROWS, trial_rows // BLOCK_ROWS))
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(samples, features)).astype(np.float32)
    alone = np.concatenate([compute(row[None]) for row in rows])
    proven = []
    size = BLOCK_ROWS
    while size == BLOCK_ROWS or size <= min(max_rows, trial_rows):
        places = generator.integers(samples, size=size)
        if _same_bits(compute, rows[places], alone[places]):
            proven.append(size)
        size *= 2
    return tuple(reversed(proven)) or (1,)


def _same_bits(compute: Compute, rows: Float32Array, want: Float32Array) -> bool:
    """Compare with the threads that are set, and with one."""
    threads = torch.get_num_threads()
    try:
        for count in {threads, 1}:
            torch.set_num_threads(count)
            if compute(rows).tobytes() != want.tobytes():
                return False
    finally:
        torch.set_num_threads(threads)
    return True
