"""Arrays from their text: exactly the dense ones, each number the nearest."""

import itertools
import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmoid_models.dtype import DtypeName, round_to
from sigmoid_serve.json.text import JsonText, no_check
from sigmoid_serve.payload import array_text
from sigmoid_serve.payload.array_shape import Unverified
from sigmoid_serve.payload.array_text import read_array, read_arrays


def text_of(text: str) -> JsonText:
    """Make the text of a list, with something before and after it in the body."""
    body = f"xx{text}y".encode()
    return JsonText(body, 2, len(body) - 1)


def read(text: str, dtype: DtypeName = "float64", max_elements: int = 10**6) -> Any:
    """Read the array."""
    return read_array(text_of(text), dtype, max_elements, no_check)


def dense_shape(value: Any) -> tuple[int, ...] | None:
    if not isinstance(value, list):
        return ()
    shapes = {dense_shape(part) for part in value}
    if len(shapes) > 1 or None in shapes:
        return None
    return (len(value), *(shapes.pop() or ())) if shapes else (0,)


LISTS = pytest.mark.parametrize(
    "list_bytes", [0, 2**30], ids=["by their lengths", "by the text"]
)


@LISTS
@pytest.mark.parametrize("slice_bytes", [1, 2**20])
def test_every_text_of_brackets_commas_and_ones(
    monkeypatch: pytest.MonkeyPatch, slice_bytes: int, list_bytes: int
) -> None:
    monkeypatch.setattr(array_text, "SLICE_BYTES", slice_bytes)
    monkeypatch.setattr(array_text, "LIST_BYTES", list_bytes)
    accepted = 0
    for length in range(9):
        for inner in itertools.product("[],1", repeat=length):
            text = f"[{''.join(inner)}]"
            try:
                value = json.loads(text)
            except json.JSONDecodeError:
                value = None
            shape = None if value is None else dense_shape(value)
            try:
                array = read(text)
            except Unverified:
                # Empty arrays may be left to the strict way.
                assert shape is None or 0 in shape, text
                continue
            accepted += 1
            assert array.shape == shape, text
            assert array.tolist() == value, text
    assert accepted > 20


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr),
    st.floats(-1e30, 1e30).map(lambda x: f"{x:.30e}"),
    st.integers(-(2**63), 2**63 - 1).filter(bool).map(str),
    st.sampled_from(["0", "-0.0", "1E5", "2e+3", "1e-400", "0.1000000000000000055"]),
)
SPACE = st.sampled_from(["", "", "", " ", "\n\t ", "\r\n"])


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_numbers_are_those_of_the_standard_library(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    dtype: DtypeName = data.draw(st.sampled_from(["float64", "float32", "float16"]))

    def write(level: int) -> str:
        space = data.draw(SPACE)
        if level == len(shape):
            return space + data.draw(NUMBERS) + space
        parts = ",".join(write(level + 1) for _ in range(shape[level]))
        return f"{space}[{parts}]{space}"

    text = write(0).strip()
    want = round_to(np.array(json.loads(text), dtype=np.float64), dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(array_text, "SLICE_BYTES", data.draw(st.integers(1, 60)))
        patch.setattr(array_text, "LIST_BYTES", data.draw(st.sampled_from([0, 2**30])))
        try:
            array = read(text, dtype)
        except Unverified:
            assert not np.isfinite(want).all()
        else:
            assert (array.dtype, array.shape) == (want.dtype, want.shape)
            assert array.tobytes() == want.tobytes()


@LISTS
@pytest.mark.parametrize(
    "text",
    [
        "[[1,2],[3],[4,5,6]]",
        "[[1,2],3[,4]]",
        "[[1,2][3,4]]",
        "[1,[2]]",
        "[[1],2]",
        "[1 2]",
        "[1,,2]",
        "[1,]",
        "[,1]",
        "[1]]",
        "[[1]",
        "]",
        "[",
        "[NaN]",
        "[-Infinity]",
        "[true]",
        "[null]",
        '["1"]',
        '[{"a":1}]',
        "[1e999]",
        "[01]",
        "[+1]",
        "[.5]",
        "[1.]",
        "[1e]",
        "[--1]",
        "[\u00a01]",
        "[" * 33 + "1" + "]" * 33,
        "[" * 100_000,
        "[" * 50_000 + "]" * 50_000,
    ],
    ids=lambda text: text[:20],
)
def test_unverified(
    monkeypatch: pytest.MonkeyPatch, text: str, list_bytes: int
) -> None:
    monkeypatch.setattr(array_text, "LIST_BYTES", list_bytes)
    with pytest.raises(Unverified):
        read(text)


@LISTS
def test_reading_goes_on_after_an_error_that_is_kept(
    monkeypatch: pytest.MonkeyPatch, list_bytes: int
) -> None:
    monkeypatch.setattr(array_text, "LIST_BYTES", list_bytes)
    with pytest.raises(Unverified) as kept:
        read("[[1],[2,3]]")
    assert read("[[1],[2]]").tolist() == [[1], [2]]
    assert kept.value


@pytest.mark.parametrize("slice_bytes", [1, 2**20])
def test_no_more_elements_than_allowed(
    monkeypatch: pytest.MonkeyPatch, slice_bytes: int
) -> None:
    monkeypatch.setattr(array_text, "SLICE_BYTES", slice_bytes)
    assert read("[1,2,3]", max_elements=3).size == 3
    with pytest.raises(Unverified):
        read("[1,2,3]", max_elements=2)


def test_what_a_dtype_cannot_hold_is_unverified() -> None:
    assert read("[65504]", "float16").tolist() == [65504]
    for text, dtype in (("[65520]", "float16"), ("[1, 3.5e38]", "float32")):
        with pytest.raises(Unverified):
            read(text, dtype)  # type: ignore[arg-type]


@pytest.mark.parametrize("slice_bytes", [1, 2**20])
def test_every_batch_of_brackets_commas_and_ones(
    monkeypatch: pytest.MonkeyPatch, slice_bytes: int
) -> None:
    monkeypatch.setattr(array_text, "SLICE_BYTES", slice_bytes)
    accepted = 0
    for length in range(9):
        for inner in itertools.product("[],1", repeat=length):
            text = f"[{''.join(inner)}]"
            try:
                value = json.loads(text)
            except json.JSONDecodeError:
                value = None
            shapes = None if value is None else [dense_shape(part) for part in value]
            try:
                tensors = read_arrays(text_of(text), "float32", 10**6, no_check)
            except Unverified:
                assert shapes is None or None in shapes, text
                continue
            accepted += 1
            assert list(tensors.shapes) == shapes, text
            assert tensors.values.tolist() == list(map(float, re.findall("1+", text)))
    assert accepted > 100
