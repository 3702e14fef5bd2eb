"""The fast ways of reading a body give what the strict way gives, or give up."""

import gc
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.inference.schemas import (
    PredictRequest,
    SigmoidRequest,
    ValidationContext,
    read_quickly,
    read_strictly,
)
from sigmoid_serve.json import body as json_body
from sigmoid_serve.payload.array_text import Tensors

NAMES = ["a", "b:", "c["]
INTAKE = ValidationContext(1000, 3, NAMES)

NUMBER = st.sampled_from(["0", "1", "-2.5", "1e3", "3.0000000000000001", "7e-5"])
ODD = st.sampled_from(
    ["true", "null", "NaN", '"1"', "1e999", "[]", "{}", "9" * 30, '"[1]"', '"a:[1],b"']
)
ROW = st.lists(NUMBER, max_size=4).map(lambda x: f"[{','.join(x)}]")
ROWS = st.lists(st.one_of(ROW, ROW, ROW, ODD), max_size=4).map(
    lambda x: f"[ {', '.join(x)} ]"
)
RECORD = st.lists(
    st.tuples(st.sampled_from([*NAMES, "d"]), st.one_of(NUMBER, NUMBER, ODD)),
    max_size=4,
).map(lambda x: "{" + ",".join(f'"{name}": {value}' for name, value in x) + "}")
GOOD_RECORD = st.permutations(NAMES).map(
    lambda names: "{" + ",".join(f'"{name}":0.5' for name in names) + "}"
)
RECORDS = st.lists(st.one_of(GOOD_RECORD, GOOD_RECORD, RECORD), max_size=3).map(
    lambda x: f"[{','.join(x)}]"
)
GOOD_ROWS = st.lists(
    st.lists(NUMBER, min_size=3, max_size=3).map(lambda x: f"[{', '.join(x)}]"),
    min_size=1,
    max_size=3,
).map(lambda x: f"[{','.join(x)}]")
VALUE = st.one_of(NUMBER, ODD, ROW, ROWS, RECORD, GOOD_RECORD, RECORDS, GOOD_ROWS)
KEY = st.sampled_from(["inputs"] * 4 + ["batch", "dtype", "in[puts", "inpu\\u0074s"])
DTYPE = st.sampled_from(['"float16"', '"float64"', '"flo[at"', '"]"', "1"])
MEMBER = st.one_of(
    st.tuples(KEY, VALUE), st.tuples(st.just("dtype"), DTYPE), st.tuples(KEY, ROWS)
).map(lambda pair: f'"{pair[0]}" : {pair[1]}')
GOOD = st.one_of(GOOD_ROWS, GOOD_RECORD).map(lambda x: '{"inputs":' + x + "}")
BODY = st.one_of(
    GOOD,
    st.lists(MEMBER, min_size=1, max_size=3).map(lambda x: "{" + ",".join(x) + "}"),
)


def plain(value: Any) -> Any:
    """Make values comparable, bit for bit."""
    if isinstance(value, Tensors):
        return (plain(value.values), [tuple(shape) for shape in value.shapes])
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value


def outcome(read: Any) -> Any:
    try:
        request = read()
    except ServiceError as error:
        return (error.code, error.pointer, error.detail)
    return request and {name: plain(value) for name, value in request}


@pytest.mark.parametrize("model", [SigmoidRequest, PredictRequest])
@pytest.mark.parametrize("small", [0, 4096], ids=["as text", "as lists"])
def test_what_is_read_quickly_is_read_so_strictly(
    model: type[Any], small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = quick = 0

    @settings(
        max_examples=300,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(BODY)
    def agree(text: str) -> None:
        nonlocal accepted, quick
        body = text.encode()
        strict = outcome(lambda: read_strictly(model, body, INTAKE))
        with monkeypatch.context() as patch:
            patch.setattr(json_body, "_SMALL_BYTES", small)
            found = outcome(lambda: read_quickly(model, body, INTAKE))
        assert found in (None, strict)
        accepted += isinstance(strict, dict)
        quick += found is not None

    agree()
    assert accepted > 20
    assert quick > accepted // 2


@pytest.mark.parametrize(
    "text",
    [
        '{"inputs": [1], "dtype": "a[b]c"}',
        '{"dtype": "[", "inputs": [1], "x": "]"}',
        '{"inputs": {"a": [1]}}',
        '{"inputs": []} []',
        '[{"inputs": [1]}]',
        '{"inputs": ][}',
        "[]",
        "",
    ],
)
def test_doubt_leaves_it_to_the_strict_way(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(json_body, "_SMALL_BYTES", 0)
    assert read_quickly(SigmoidRequest, text.encode(), INTAKE) is None


@pytest.mark.parametrize("end", ["true", "[]", "NaN"])
def test_nothing_is_kept_of_what_was_refused(end: str) -> None:
    """Not even what only the garbage collector could free: it may be long in coming."""
    body = f'{{"inputs": [[{"0.25, " * 50_000}{end}]]}}'.encode()
    intake = ValidationContext(10**6, 50_001)

    def read() -> None:
        assert read_quickly(PredictRequest, body, intake) is None
        with pytest.raises(ServiceError):
            read_strictly(PredictRequest, body, intake)

    assert kept_bytes(read) < len(body)


def kept_bytes(read: Callable[[], None]) -> int:
    """Return how many bytes four calls keep, after two, while no cycle is freed."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for round_ in range(6):
            read()
            if round_ == 1:
                before, _ = tracemalloc.get_traced_memory()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    return after - before
