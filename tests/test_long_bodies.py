"""Long bodies: judged as short ones are, while the event loop goes on."""

import json
import threading
import time
from typing import Any

import pytest

from service import json_body
from service.errors import ServiceError
from service.json_body import parse_object
from service.schemas import Intake, PredictRequest, SigmoidRequest, read_body

SHORT = [
    "[]",
    "[ ]",
    "[1]",
    "[1, 2.5, -3e-7 ]",
    "[[1,2],[3,4]]",
    "[[], [ ]]",
    "[[[1]], 2]",
    "[true, null, 1]",
    '["a,]b", 1]',
    '[{"a": 1, "b": [1,2]}, {"a": 2}]',
    '[{"a": 1, "a": 2}]',
    "[NaN, 1e999]",
    "[1,]",
    "[,1]",
    "[1,,2]",
    "[1 2]",
    "[1,2",
    "[[1,2]",
    "[1]]",
    "[01]",
    "[" * 100 + "]" * 100,
    "[-]",
    "[1, x]",
]


def outcome(body: bytes) -> Any:
    try:
        return repr(parse_object(body))
    except ServiceError as error:
        return (error.code, error.detail)


@pytest.mark.parametrize("slice_bytes", [0, 1, 3, 100])
@pytest.mark.parametrize("text", SHORT)
def test_the_patient_way_finds_the_same(
    monkeypatch: pytest.MonkeyPatch, text: str, slice_bytes: int
) -> None:
    bodies = [f'{{"inputs": {text}, "dtype": "float64"}}'.encode(), text.encode()]
    want = [outcome(body) for body in bodies]
    monkeypatch.setattr(json_body, "_MEDIUM_BYTES", 0)
    monkeypatch.setattr(json_body, "_SLICE_BYTES", slice_bytes)
    assert [outcome(body) for body in bodies] == want


@pytest.mark.parametrize("padding", [0, 70_000])
def test_nothing_between_two_commas_is_no_number(padding: int) -> None:
    numbers = ",".join(["1.25"] * 200_000)
    for text in (f"{numbers},{' ' * padding}", f"{' ' * padding},{numbers}"):
        with pytest.raises(ServiceError) as caught:
            parse_object(f'{{"inputs": [{text}]}}'.encode())
        assert caught.value.code == "malformed_json"


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
LONG: dict[str, tuple[type[Any], str, Intake, bool]] = {
    "good": (
        SigmoidRequest,
        f"[{','.join(['[0.1234567,2]'] * 300_000)}]",
        Intake(10**7),
        True,
    ),
    "late fault": (
        SigmoidRequest,
        f"[{','.join(['[0.1234567,2]'] * 300_000)},[1,true]]",
        Intake(10**7),
        False,
    ),
    "flat fault": (
        SigmoidRequest,
        f"[{','.join(['0.1234567'] * 600_000)},null]",
        Intake(10**7),
        False,
    ),
    "records": (
        PredictRequest,
        f"[{','.join([RECORD] * ROWS)}]",
        Intake(10**7, 10, NAMES),
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
        if is_good:
            read_body(model, body, intake)
        else:
            with pytest.raises(ServiceError) as caught:
                read_body(model, body, intake)
            assert caught.value.code == "not_a_number"
    finally:
        state["runs"] = False
        thread.join()
    print(
        f"{name}: {len(body):,} bytes in {time.perf_counter() - start:.2f} s, "
        f"others waited {1000 * state['worst']:.1f} ms at most"
    )
