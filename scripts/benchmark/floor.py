"""What the work of `POST /sigmoid` costs in process, with no server around it.

A program: `floor.py BODY SECONDS` reads a JSON body and prints `{"floor": seconds,
"sigmoid": seconds}`, medians of repeated runs.
"""

import sys
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import orjson
import simdjson

from sigmoid_models.dtype import Float64Array
from sigmoid_models.exact_sigmoid import sigmoid

_NUMBER = b"0123456789+-.eE \t\r\n"
_MINIMUM_RUNS = 3


def read(body: bytes, rows: int, columns: int) -> Float64Array:
    """Read the numbers of a body and make sure that they are a matrix.

    simdjson reads them flat; what is left of the text without its numbers is the
    shape.

    Raises:
        ValueError: The inputs have another shape.
    """
    document: Any = simdjson.Parser().parse(body)
    flat = document["inputs"].as_buffer(of_type="d")
    text = body[body.index(b"[") : body.rindex(b"]") + 1]
    row = b"[" + b"," * (columns - 1) + b"]"
    if text.translate(None, _NUMBER) != b"[" + b",".join([row] * rows) + b"]":
        raise ValueError("the inputs are no such matrix")
    return np.frombuffer(flat, np.float64).reshape(rows, columns)


def answer(body: bytes, rows: int, columns: int) -> bytes:
    """Do all that an answer needs: read, compute exactly, write."""
    outputs = sigmoid(read(body, rows, columns), "float32")
    return orjson.dumps(
        {"outputs": outputs, "shape": [rows, columns], "dtype": "float32"},
        option=orjson.OPT_SERIALIZE_NUMPY,
    )


def main(body: bytes, seconds: float) -> dict[str, float]:
    """Measure both for some seconds each; medians."""
    matrix = np.asarray(orjson.loads(body)["inputs"])
    rows, columns = matrix.shape
    results: dict[str, float] = {}
    for name in ("floor", "sigmoid"):
        taken: list[float] = []
        end = perf_counter() + seconds
        while perf_counter() < end or len(taken) <= _MINIMUM_RUNS:
            start = perf_counter()
            if name == "floor":
                answer(body, rows, columns)
            else:
                sigmoid(matrix, "float32")
            taken.append(perf_counter() - start)
        results[name] = median(taken[1:])  # the first warms up
    return results


if __name__ == "__main__":
    print(
        orjson.dumps(main(Path(sys.argv[1]).read_bytes(), float(sys.argv[2]))).decode()
    )
