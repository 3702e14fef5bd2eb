"""What clients ask, and the right answers."""

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmark.client import NPY, Request
from benchmark.payloads import Task, json_request, normal, sigmoid_task
from faulting.bodies import FEATURES, LONG_ROWS, predict
from faulting.server import referenced

_MODEL = "digits"


async def questions(port: int, headers: Sequence[tuple[str, str]]) -> list[Task]:
    """Ask a quiet server; the bytes of its answers are right for all that follow.

    Args:
        port: Of 127.0.0.1.
        headers: Beyond those of each request.

    Raises:
        FaultError: An answer is no 200.
    """
    short = sigmoid_task(3, 5).request
    asked = [
        predict(_MODEL, 1),
        short,
        predict(_MODEL, LONG_ROWS, 1),
        _npy(1),
        predict(_MODEL, 1, 2),
        _npy(LONG_ROWS),
        json_request("/sigmoid", normal(64, 64)),
    ]
    with_key = (replace(each, headers=(*each.headers, *headers)) for each in asked)
    return [await referenced(port, request) for request in with_key]


def _npy(rows: int) -> Request:
    file = io.BytesIO()
    np.save(file, normal(rows, FEATURES))
    path = f"/models/{_MODEL}/predict?output=logits"
    head = (("Content-Type", NPY), ("Accept", NPY))
    return Request("POST", path, file.getvalue(), head)
