"""The child's side of taking turns: a request a line in, its figures a line out.

Needs nothing but NumPy, as ONNX Runtime's environment has nothing else of ours.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

Call = Callable[[], NDArray[np.float32]]
Prepare = Callable[[int], Call]

_SEED = 0
_MINIMUM_CALLS = 3
# Calls that take longer than this are steady enough.
_LONG_SECONDS = 2.0


def serve(load: Callable[[Path], Prepare]) -> None:
    """Answer the lines of standard input until it ends.

    `{"load": PATH}` reads a network, `{"rows": N, "seconds": S}` times batches of it.

    Args:
        load: Reads the checkpoint; returns what makes, of a number of rows, the call
            that computes their logits.
    """
    prepare: Prepare | None = None
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        answer: dict[str, float] = {}
        if "load" in request:
            prepare = None  # the last network goes before the next one comes
            prepare = load(Path(request["load"]))
        elif prepare is not None:
            answer = timed_call(prepare(request["rows"]), request["seconds"])
        print(json.dumps(answer), flush=True)


def rows_of(count: int, features: int) -> NDArray[np.float64]:
    """Draw rows, the same for all sides."""
    return np.random.default_rng(_SEED).standard_normal((count, features))


def timed_call(call: Call, seconds: float) -> dict[str, float]:
    """Call for some seconds, once before that; a long call is timed but once.

    Returns:
        `seconds`, the median of a call; `mean`, of the logits, to compare.
    """
    start = perf_counter()
    logits = call()
    minimum = 1 if perf_counter() - start > _LONG_SECONDS else _MINIMUM_CALLS
    taken: list[float] = []
    end = perf_counter() + seconds
    while len(taken) < minimum or perf_counter() < end:
        start = perf_counter()
        call()
        taken.append(perf_counter() - start)
    return {"seconds": median(taken), "mean": float(logits.mean())}
