"""Which batch sizes give a row the same bits at every place, on the machine at hand.

What a matrix product does with a row may depend on how many rows there are, on the
row's place among them, and on the number of threads: the library picks its kernels and
its cuts by size. What an elementwise function does may depend on the place, too, where
the last numbers do not fill a vector. No library promises otherwise, so it is tried,
with every step of the network, the device and the threads that will serve. Only sizes
that were tried are used afterwards. If no step changes a bit, the whole does not.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from typing import Final, NamedTuple

import torch
from torch import Tensor

from sigmoid_serve.engine.batch_sizes import cost

# Rows that the sizes of a group are judged by, beside as many as the largest takes.
_USUAL_ROWS: Final = (1, 32)

# Sums of another order may well be rounded to the same number: by so many results, a
# difference in one of 300 is missed once in a thousand times.
_RESULTS: Final = 2048
_LEAST_SAMPLES: Final = 4

_POOL: Final = 4096


class Step(NamedTuple):
    """What is done with a batch: one product, or one function.

    Attributes:
        compute: Maps signals `(rows, inputs)` to `(rows, outputs)`, maybe in place.
        inputs: Numbers of a row before it.
        outputs: Numbers of a row behind it.
        values: What the numbers are drawn from; None for normally distributed ones.
    """

    compute: Callable[[Tensor], Tensor]
    inputs: int
    outputs: int
    values: Tensor | None = None


def find_batch_invariant_sizes(
    steps: Sequence[Step],
    sizes: Iterable[int],
    device: torch.device,
    threads: int = 1,
    report: Callable[[int], None] = lambda size: None,
) -> tuple[int, ...]:
    """Try batch sizes, and keep those that agree in every bit.

    A size agrees with itself if a row has the same bits at every place, among whatever
    rows, with each number of threads. Of sizes that agree with each other, the group is
    kept with which usual numbers of rows take the least time.

    Args:
        steps: All that is done with a batch, in any order.
        sizes: To try, smallest first.
        device: Where it is done.
        threads: PyTorch's threads to try them with, beside one alone.
        report: Called with each size before it is tried.

    Returns:
        The sizes, largest first. `(1,)` where none agrees even with itself; then rows
        must be computed one by one.
    """
    groups: dict[tuple[bytes, ...], list[int]] = {}
    for size in sizes:
        report(size)
        bits = _bits_of_all(steps, size, device, {threads, 1})
        if bits is not None:
            groups.setdefault(bits, []).insert(0, size)
    largest = max((group[0] for group in groups.values()), default=1)
    found = min(groups.values(), key=lambda g: _slowness(g, largest), default=[1])
    return tuple(found)


def _slowness(sizes: Sequence[int], largest: int) -> float:
    rows = (*_USUAL_ROWS, largest)
    return max(cost(number, sizes) / cost(number, [number]) for number in rows)


def _bits_of_all(
    steps: Sequence[Step], size: int, device: torch.device, threads: Collection[int]
) -> tuple[bytes, ...] | None:
    before = torch.get_num_threads()
    all_bits = []
    try:
        for step in steps:
            found = set()
            for number in threads:
                torch.set_num_threads(number)
                found.add(_bits(step, size, device))
            bits = found.pop()
            if bits is None or found:
                return None
            all_bits.append(bits)
    finally:
        torch.set_num_threads(before)
    return tuple(all_bits)


@torch.inference_mode()
def _bits(step: Step, size: int, device: torch.device) -> bytes | None:
    """Compute each of some rows at several places; None where the place matters."""
    generator = torch.Generator().manual_seed(0)
    samples = max(_LEAST_SAMPLES, -(-_RESULTS // step.outputs))
    rows = _rows(step, samples, generator).to(device)
    wanted = torch.empty(samples, step.outputs, dtype=torch.int32, device=device)
    for start in range(0, samples, size):
        batch = (torch.arange(size) + start).to(device) % samples
        wanted[batch] = step.compute(rows[batch]).view(torch.int32)
    for _ in range(max(2, -(-2 * samples // size))):
        batch = torch.randint(samples, (size,), generator=generator).to(device)
        if not torch.equal(step.compute(rows[batch]).view(torch.int32), wanted[batch]):
            return None
    return wanted.cpu().numpy().tobytes()


def _rows(step: Step, samples: int, generator: torch.Generator) -> Tensor:
    shape = (samples, step.inputs)
    if step.values is None:
        return torch.randn(shape, generator=generator)
    return step.values[torch.randint(len(step.values), shape, generator=generator)]


@cache
@torch.inference_mode()
def telling_values(function: Callable[[Tensor], object]) -> Tensor:
    """Find values with which a function differs where it is computed one by one.

    Most values are rounded alike with and without a vector: these show at which places
    there was none.

    Args:
        function: Elementwise, in place, on the CPU.

    Returns:
        Some values; any, where they make no difference.
    """
    pool = torch.randn(_POOL, generator=torch.Generator().manual_seed(0))
    vectors, alone = pool.clone(), pool.clone()
    function(vectors)
    for number in alone.unbind():
        function(number)
    differ = vectors.view(torch.int32) != alone.view(torch.int32)
    return pool[differ] if differ.any() else pool
