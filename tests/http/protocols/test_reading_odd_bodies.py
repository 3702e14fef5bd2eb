"""Drawn and hostile bodies: both ways agree, and little is taken of memory."""

import tracemalloc
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.protocols.open_inference import reading
from sigmoid_serve.http.protocols.open_inference.reading import (
    read_quickly,
    read_strictly,
)
from sigmoid_serve.json.text import no_check
from tests.http.protocols.bodies import (
    ELEMENTWISE,
    MODEL,
    body,
    plain,
    refused,
)
from tests.json.test_json_body import kept_bytes

NUMBER = st.sampled_from(["0", "1", "-2.5", "1e3", "3.0000000000000001", "7e-5", "300"])
ODD = st.sampled_from(
    ["true", "null", "NaN", '"1"', "1e999", "[]", "{}", "9" * 30, '"[1]"', '"data"']
)
ROW = st.lists(NUMBER, min_size=3, max_size=3).map(lambda x: f"[{', '.join(x)}]")
ROWS = st.lists(ROW, max_size=3).map(lambda x: f"[{','.join(x)}]")
LIST = st.lists(st.one_of(NUMBER, NUMBER, ODD), max_size=4).map(
    lambda x: f"[{','.join(x)}]"
)
SHAPE = st.sampled_from(["[3]", "[1, 3]", "[2,3]", "[0,3]", "[1.0,3]", "[-1,3]", "3"])
DATATYPE = st.sampled_from(['"FP32"'] * 3 + ['"FP64"', '"BF16"', '"INT8"', '"BOOL"'])
VALUES = {
    "name": st.sampled_from(['"inputs"'] * 5 + ['"x"', "null"]),
    "shape": SHAPE,
    "datatype": DATATYPE,
    "data": st.one_of(ROW, ROW, ROWS, LIST, ODD),
    "parameters": st.sampled_from(
        ["{}", "null", '{"data": [1]}', '{"a": 1}', '{"binary_data_size": 12}']
    ),
    "more": st.one_of(ODD, st.just('{"data": [1, 2, 3]}')),
}


def joined(pairs: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f'"{name}": {value}' for name, value in pairs) + "}"


def members(names: st.SearchStrategy[list[str]], values: dict[str, Any]) -> Any:
    return names.flatmap(
        lambda some: st.tuples(*(values[name] for name in some)).map(
            lambda found: joined(zip(some, found, strict=True))
        )
    )


NEEDED = ["name", "shape", "datatype", "data"]
TENSOR = members(
    st.one_of(
        st.permutations(NEEDED),
        st.permutations(NEEDED).map(list),
        st.lists(st.sampled_from(list(VALUES)), max_size=6),
        st.permutations(list(VALUES)),
    ),
    VALUES,
)
FIELDS = {
    "inputs": st.one_of(TENSOR, TENSOR, TENSOR, ODD).map(lambda x: f"[{x}]"),
    "id": st.sampled_from(['"a"', '""', "5", '"\\"data\\": [1]"', '"}"']),
    "outputs": st.sampled_from(
        ["[]", "null", '[{"name": "labels"}]', '[{"name": "x"}]', '[{"data": [1]}]']
    ),
    "parameters": st.sampled_from(
        ["{}", '{"timeout": 5}', '{"timeout": 5.0}', '{"binary_data_output": true}']
    ),
    "data": LIST,
}
BODY = members(
    st.one_of(
        st.just(["inputs"]),
        st.permutations(["inputs", "id", "outputs", "parameters"]),
        st.lists(st.sampled_from(list(FIELDS)), max_size=5),
    ),
    FIELDS,
)


@pytest.mark.parametrize("small", [0, 4096], ids=["as text", "as lists"])
def test_what_is_read_quickly_is_read_so_strictly(
    small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = quick = 0

    @settings(
        max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    @given(BODY)
    def agree(text: str) -> None:
        nonlocal accepted, quick
        content = text.encode()
        strict = None
        with suppress(ServiceError):
            strict = plain(read_strictly(content, None, MODEL, no_check))
        with monkeypatch.context() as patch:
            patch.setattr(reading, "_SMALL_BYTES", small)
            found = read_quickly(content, None, MODEL)
        assert found is None or plain(found) == strict
        accepted += strict is not None
        quick += found is not None

    agree()
    assert accepted > 20
    assert quick > accepted // 2


HOSTILE = {
    "brackets": (b'{"inputs": [{"data": ', b"[", b""),
    "closed brackets": (b'{"inputs": [{"data": [', b"[],", b"[]]}]}"),
    "sizes": (b'{"inputs": [{"shape": [', b"1,", b"1]}]}"),
    "inputs": (b'{"inputs": [', b"{},", b"{}]}"),
    "outputs": (b'{"outputs": [', b"{},", b"{}]}"),
    "parameters": (b'{"parameters": {"a": [', b"[],", b"[]]}}"),
    "id": (b'{"id": "', b"x", b'"}'),
    "escapes": (b'{"id": "', b"\\u0041", b'"}'),
    "digits": (b'{"inputs": [{"shape": [', b"9", b"]}]}"),
    "what is not known": (b'{"more": [', b'{"data":[1]},', b"1]}"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_take_little_memory(name: str) -> None:
    start, part, end = HOSTILE[name]
    text = start + part * (2**19 // len(part)) + end
    tracemalloc.start()
    try:
        refused(text, None, ELEMENTWISE)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Less than three copies, and what the outline may hold.
    assert most < 3 * len(text) + 2**22


@pytest.mark.parametrize("end", ["true", "[]", "NaN"])
def test_nothing_is_kept_of_what_was_refused(end: str) -> None:
    """Not even what only the garbage collector could free: it may be long in coming."""
    tensor = {"shape": [50_001], "data": 0}
    data = f"[{'0.25, ' * 50_000}{end}]"
    text = body(tensor).replace(b'"data": 0', b'"data": ' + data.encode())
    expected = ELEMENTWISE._replace(max_elements=10**6)

    def read() -> None:
        assert read_quickly(text, None, expected) is None
        with pytest.raises(ServiceError):
            read_strictly(text, None, expected, no_check)

    assert kept_bytes(read) < len(text)
