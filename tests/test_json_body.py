"""The fast ways of reading a body give what the strict way gives, or give up."""

import gc
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service import json_body
from service.errors import ServiceError
from service.json_body import parse_object
from service.schemas import Intake, PredictRequest, SigmoidRequest, read_body, validate

NAMES = ["a", "b:", "c["]
INTAKE = Intake(1000, 3, NAMES)

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
    return {name: plain(value) for name, value in request}


@pytest.mark.parametrize("model", [SigmoidRequest, PredictRequest])
@pytest.mark.parametrize("small", [0, 4096], ids=["as text", "as lists"])
def test_the_ways_agree(
    model: type[Any], small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = 0

    @settings(
        max_examples=600,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(BODY)
    def agree(text: str) -> None:
        nonlocal accepted
        body = text.encode()
        strict = outcome(lambda: validate(model, parse_object(body), INTAKE))
        with monkeypatch.context() as patch:
            patch.setattr(json_body, "_SMALL_BYTES", small)
            if small == 0:
                # What stands around the array may be as long as it is here.
                patch.setattr(json_body, "_AROUND_BYTES", 4096)
            assert outcome(lambda: read_body(model, body, INTAKE)) == strict
        accepted += isinstance(strict, dict)

    agree()
    assert accepted > 20


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
    monkeypatch.setattr(json_body, "_MEDIUM_BYTES", 0)
    assert list(json_body.parse_quickly(text.encode())) == []


@pytest.mark.parametrize("end", ["true", "[]", "NaN"])
def test_nothing_is_kept_of_what_was_refused(end: str) -> None:
    """Not even what only the garbage collector could free: it may be long in coming."""
    body = f'{{"inputs": [[{"0.25, " * 50_000}{end}]]}}'.encode()
    intake = Intake(10**6, 50_001)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for round_ in range(12):
            with pytest.raises(ServiceError):
                read_body(PredictRequest, body, intake)
            if round_ == 1:
                before, _ = tracemalloc.get_traced_memory()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert after - before < len(body)
