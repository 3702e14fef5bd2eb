"""Tensors whose shape and datatype are declared beside their values."""

from typing import Any

import numpy as np
import pytest

from sigmoid_models.dtype import DtypeName
from sigmoid_serve.errors import ElementError
from sigmoid_serve.json.text import no_check
from sigmoid_serve.payload.raw import (
    check_declared,
    read_declared,
    read_raw,
    to_integers,
)
from sigmoid_serve.payload.tensors import Reading

QUICK = Reading(1000, False, no_check)


def fault(function: Any, *arguments: Any) -> tuple[str, str | None, str]:
    with pytest.raises(ElementError) as caught:
        function(*arguments)
    return caught.value.code, caught.value.pointer, caught.value.detail


@pytest.mark.parametrize("offset", [0, 1, 3], ids="offset {}".format)
@pytest.mark.parametrize(
    "stored", ["<f2", "<f4", "<f8", "<i1", "<i2", "<i4", "<i8", "<u4", "<u8"]
)
def test_values_are_not_copied(stored: str, offset: int) -> None:
    values = np.arange(6).astype(stored).reshape(2, 3)
    body = bytes(offset) + values.tobytes()
    data = memoryview(body)[offset:]
    read = read_raw(data, np.dtype(stored), "float32", (2, 3), "/inputs/0")
    np.testing.assert_array_equal(read, values)
    assert read.dtype == values.dtype
    assert np.shares_memory(read, np.frombuffer(body, np.uint8))


def test_bfloat16_is_the_high_half_of_a_float32() -> None:
    values = np.array([1.0, -0.0, 3.140625, 2.0**-133, -3e38], np.float32)
    bits = (values.view(np.uint32) >> 16).astype("<u2")
    exact = (bits.astype(np.uint32) << 16).view(np.float32)
    read = read_raw(memoryview(bits.tobytes()), bits.dtype, "bfloat16", (5,), None)
    assert read.dtype == np.float32
    assert read.tobytes() == exact.tobytes()


BAD_BITS = {
    "FP16 NaN": (np.array([0x3C00, 0x7E00], "<u2"), "<f2", "float16"),
    "FP16 infinity": (np.array([0x3C00, 0xFC00], "<u2"), "<f2", "float16"),
    "BF16 NaN": (np.array([0x3F80, 0xFFC0], "<u2"), "<u2", "bfloat16"),
    "BF16 infinity": (np.array([0x3F80, 0x7F80], "<u2"), "<u2", "bfloat16"),
    "FP32 NaN": (np.array([1, np.nan], "<f4"), "<f4", "float32"),
    "FP64 infinity": (np.array([1, -np.inf], "<f8"), "<f8", "float64"),
}


@pytest.mark.parametrize("name", BAD_BITS)
def test_what_is_not_finite_is_pointed_at(name: str) -> None:
    bits, stored, dtype = BAD_BITS[name]
    data = memoryview(bits.tobytes())
    code, pointer, detail = fault(
        read_raw, data, np.dtype(stored), dtype, (2, 1), "/inputs/0"
    )
    assert (code, pointer) == ("not_a_number", "/inputs/0")
    assert detail.endswith("at index [1, 0]")


def test_an_empty_tensor() -> None:
    read = read_raw(memoryview(b""), np.dtype("<f4"), "float32", (0, 30), None)
    assert read.shape == (0, 30)


@pytest.mark.parametrize(
    ("shape", "features", "code", "pointer"),
    [
        ([], 3, "rank", "/shape"),
        ([2, 4], 3, "features", "/shape/1"),
        ([0, 10**18], 3, "features", "/shape/1"),
        ([0, 10**18, 3], 3, "too_many_elements", "/shape"),
        ([0, 10**18], 0, "too_many_elements", "/shape"),
        ([2**63 - 1] * 4, 0, "too_many_elements", "/shape"),
        ([1, 1, 1, 1, 3], 3, "rank", "/shape"),
        ([11, 3], 3, "too_many_elements", "/shape"),
    ],
    ids=str,
)
def test_a_shape_that_is_not_taken(
    shape: list[int], features: int, code: str, pointer: str
) -> None:
    found = fault(check_declared, shape, "/shape", features, 1000, 4, 10)
    assert found[:2] == (code, pointer)
    assert len(found[2]) < 500


@pytest.mark.parametrize(("shape", "features"), [([], 0), ([0, 3], 3), ([10, 3], 3)])
def test_a_shape_that_is_taken(shape: list[int], features: int) -> None:
    check_declared(shape, "/shape", features, 1000, 4, 10)


@pytest.mark.parametrize("stored", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
def test_the_range_of_an_integer_type(stored: str) -> None:
    limits = np.iinfo(stored)
    ends = np.array([limits.min, limits.max], np.float64)
    assert to_integers(ends, np.dtype(stored), "").tolist() == [limits.min, limits.max]
    for beyond in (ends[0] - 1025 * 2, ends[1] + 1025 * 2):
        code, pointer, detail = fault(
            to_integers, np.array([0, beyond]), np.dtype(stored), "/data"
        )
        assert (code, pointer) == ("overflow", "/data/1")
        assert f"from {limits.min} to {limits.max}" in detail


def test_an_integer_has_no_fraction() -> None:
    numbers = np.array([[3.0, -0.0], [0.5, 1e30]])
    assert fault(to_integers, numbers, np.dtype("<i4"), "/data")[:2] == (
        "not_a_number",
        "/data/1/0",
    )
    assert to_integers(numbers[:1], np.dtype("<i4"), "").tolist() == [[3, 0]]


@pytest.mark.parametrize(
    ("value", "shape", "came"),
    [
        (0.5, (), ()),
        ([0.5], (1,), (1,)),
        ([1, 2, 3, 4], (2, 2), (4,)),
        ([[1, 2], [3, 4]], (2, 2), (2, 2)),
        ([], (0, 3), (0,)),
        ([[], []], (2, 0), (2, 0)),
        ([0.5], (), (1,)),
    ],
    ids=str,
)
def test_flat_or_nested(
    value: Any, shape: tuple[int, ...], came: tuple[int, ...]
) -> None:
    read = read_declared(value, "", np.dtype("<f4"), "float32", shape, QUICK)
    assert read.shape == came
    assert read.dtype == np.float32


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([1, 2, 3], "a list of 3"),
        ([[1], [2], [3], [4]], "lists of shape [4, 1]"),
        ([[1, 2, 3, 4]], "lists of shape [1, 4]"),
    ],
    ids=str,
)
def test_other_nestings_are_told(value: Any, told: str) -> None:
    code, pointer, detail = fault(
        read_declared, value, "/data", np.dtype("<f4"), "float32", (2, 2), QUICK
    )
    assert (code, pointer) == ("ragged", "/data")
    assert detail == (
        "expected a list of 4, or lists nested as shape [2, 2] says at /data, "
        f"got {told}"
    )


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [("float16", "<f2"), ("bfloat16", "<u2"), ("float32", "<f4"), ("float64", "<f8")],
)
def test_json_and_raw_bytes_have_equal_bits(dtype: DtypeName, stored: str) -> None:
    numbers = [0.1, -2.5, 1e-40, 65504.0, 3.0000000000000001, 0.0]
    from_json = read_declared(numbers, "", np.dtype(stored), dtype, (6,), QUICK)
    bits = from_json
    if dtype == "bfloat16":
        bits = (from_json.view(np.uint32) >> 16).astype("<u2")
    raw = read_raw(memoryview(bits.tobytes()), np.dtype(stored), dtype, (6,), None)
    assert raw.tobytes() == from_json.tobytes()
