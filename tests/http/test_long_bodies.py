"""Long bodies: judged as short ones are, while the event loop goes on."""

import json
import threading
import time
from typing import Any

import pytest

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.inference.schemas import (
    PredictRequest,
    SigmoidRequest,
    ValidationContext,
    read_quickly,
    read_strictly,
)


def longest_wait(seconds: float = 30.0) -> Any:
    """Start a thread that counts how long it is kept from running, in seconds."""
    state = {"worst": 0.0, "runs": True}

    def watch() -> None:
        last = time.perf_counter()
        until = last + seconds
        while state["runs"] and last < until:
            time.sleep(0.001)
            now = time.perf_counter()
            state["worst"] = max(state["worst"], now - last)
            last = now

    thread = threading.Thread(target=watch)
    thread.start()
    return state, thread


ROWS = 20_000
NAMES = [f"feature {number}" for number in range(10)]
RECORD = json.dumps(dict.fromkeys(NAMES, 0.12345678))
LONG: dict[str, tuple[type[Any], str, ValidationContext, bool]] = {
    "good": (
        SigmoidRequest,
        f"[{','.join(['[0.1234567,2]'] * 300_000)}]",
        ValidationContext(10**7),
        True,
    ),
    "late fault": (
        SigmoidRequest,
        f"[{','.join(['[0.1234567,2]'] * 300_000)},[1,true]]",
        ValidationContext(10**7),
        False,
    ),
    "flat fault": (
        SigmoidRequest,
        f"[{','.join(['0.1234567'] * 600_000)},null]",
        ValidationContext(10**7),
        False,
    ),
    "records": (
        PredictRequest,
        f"[{','.join([RECORD] * ROWS)}]",
        ValidationContext(10**7, 10, NAMES),
        True,
    ),
}


@pytest.mark.parametrize("name", LONG)
def test_others_run_meanwhile(name: str) -> None:
    model, text, intake, is_good = LONG[name]
    body = f'{{"inputs": {text}}}'.encode()
    state, thread = longest_wait()
    start = time.perf_counter()
    try:
        quick = read_quickly(model, body, intake)
        assert (quick is not None) == is_good
        if not is_good:
            with pytest.raises(ServiceError) as caught:
                read_strictly(model, body, intake)
            assert caught.value.code == "not_a_number"
    finally:
        state["runs"] = False
        thread.join()
    print(
        f"{name}: {len(body):,} bytes in {time.perf_counter() - start:.2f} s, "
        f"others waited {1000 * state['worst']:.1f} ms at most"
    )
