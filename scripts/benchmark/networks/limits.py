"""What the machine can do at most: `THREADS DEVICE`.

Prints `{"bandwidth": bytes per second, "peak": multiplications per second}`, each the
best of several: PyTorch multiplies a vector by a matrix that no cache holds, and a
square matrix by another.
"""

import json
import sys
from collections.abc import Callable
from time import perf_counter

import torch

_REPETITIONS = 7
_FLOAT32_BYTES = 4
_LONG_SIDE, _SHORT_SIDE = 32768, 8192  # 1 GiB
_SQUARE = {"cpu": 2048, "cuda": 8192}


def measure(threads: int, device: str) -> dict[str, float]:
    """Measure both."""
    torch.set_num_threads(threads)
    with torch.inference_mode():
        large = torch.ones(_LONG_SIDE, _SHORT_SIDE, device=device)
        vector = torch.ones(_SHORT_SIDE, device=device)
        read = _least_seconds(lambda: torch.mv(large, vector), device)
        size = _LONG_SIDE * _SHORT_SIDE * _FLOAT32_BYTES
        side = _SQUARE[device]
        left, right = torch.rand(2, side, side, device=device)
        multiplied = _least_seconds(lambda: torch.mm(left, right), device)
    return {"bandwidth": size / read, "peak": side**3 / multiplied}


def _least_seconds(call: Callable[[], object], device: str) -> float:
    taken = []
    for _ in range(_REPETITIONS):
        start = perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(perf_counter() - start)
    return min(taken)


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), sys.argv[2])))
