"""Rounding to each dtype is to nearest, ties to even, and done once."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sigmoid_models.dtype import DTYPES, DtypeName, Float64Array, round_to

BITS = {"float16": (11, -24), "bfloat16": (8, -133), "float32": (24, -149)}
TOP = {"float16": 16, "bfloat16": 128, "float32": 128}


def rounded(value: float, dtype: DtypeName) -> float:
    """Round by exact arithmetic."""
    precision, lowest = BITS[dtype]
    exact = abs(Fraction(value))
    if not exact:
        return value
    exponent = exact.numerator.bit_length() - exact.denominator.bit_length()
    if Fraction(2) ** exponent > exact:
        exponent -= 1
    unit = Fraction(2) ** max(exponent - precision + 1, lowest)
    result = round(exact / unit) * unit  # of a Fraction: ties to even
    size = float("inf") if result >= 2 ** TOP[dtype] else float(result)
    return -size if value < 0 else size


def one(value: float, dtype: DtypeName) -> float:
    return float(round_to(np.array(value), dtype))


def finite_bfloat16() -> Float64Array:
    patterns = np.arange(2**16, dtype=np.uint32) << np.uint32(16)
    values = patterns.view(np.float32)
    return values[np.isfinite(values)].astype(np.float64)


def bits(values: NDArray[Any]) -> NDArray[np.uint64]:
    """Bits of the float64 of each value, so that -0.0 is told from 0.0."""
    return values.astype(np.float64).view(np.uint64)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(list(BITS)))
def test_any_double(value: float, dtype: DtypeName) -> None:
    assert one(value, dtype) == rounded(value, dtype)


@given(
    st.floats(allow_nan=False, width=16) | st.floats(allow_nan=False, width=32),
    st.integers(-3, 3),
    st.sampled_from(list(BITS)),
)
def test_near_narrow_values(value: float, steps: int, dtype: DtypeName) -> None:
    for _ in range(abs(steps)):
        value = float(np.nextafter(value, np.copysign(1e300, steps)))
    assert np.isinf(value) or one(value, dtype) == rounded(value, dtype)


def test_every_bfloat16_is_itself() -> None:
    values = finite_bfloat16()
    result = round_to(values, "bfloat16")
    assert result.dtype == np.float32
    np.testing.assert_array_equal(bits(result), bits(values))


def test_every_float16_is_itself() -> None:
    patterns = np.arange(2**16, dtype=np.uint16).view(np.float16)
    values = patterns[np.isfinite(patterns)].astype(np.float64)
    np.testing.assert_array_equal(bits(round_to(values, "float16")), bits(values))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_midpoints_and_their_neighbours(dtype: DtypeName) -> None:
    if dtype == "bfloat16":
        values = np.unique(finite_bfloat16())
        codes = (values.astype(np.float32).view(np.uint32) >> 16).astype(np.int64)
    else:
        halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
        values = np.unique(halves[np.isfinite(halves)].astype(np.float64))
        codes = values.astype(np.float16).view(np.uint16).astype(np.int64)
    low, high = values[:-1], values[1:]
    middle = low + (high - low) / 2  # exact: one bit more than the type has
    even = np.where(codes[:-1] % 2 == 0, low, high)
    np.testing.assert_array_equal(round_to(middle, dtype), even)
    below, above = np.nextafter(middle, -np.inf), np.nextafter(middle, np.inf)
    np.testing.assert_array_equal(round_to(below, dtype), low)
    np.testing.assert_array_equal(round_to(above, dtype), high)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_double_rounding_traps(sign: float) -> None:
    # Each of these is rounded otherwise if it goes through float32 to nearest.
    above = 1 + 2**-8 + 2**-40
    below = 1 + 3 * 2**-8 - 2**-40
    assert float(np.float32(above)) == 1 + 2**-8
    assert one(sign * above, "bfloat16") == sign * (1 + 2**-7)
    assert one(sign * below, "bfloat16") == sign * (1 + 2**-7)
    assert one(sign * (1 + 2**-11 + 2**-40), "float16") == sign * (1 + 2**-10)
    subnormal = 2**-134 * (1 + 2**-30)
    assert one(sign * subnormal, "bfloat16") == sign * 2**-133
    assert one(sign * 2**-134, "bfloat16") == 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_overflow_is_an_infinity(dtype: DtypeName) -> None:
    precision, _ = BITS[dtype]
    limit = 2.0 ** TOP[dtype]
    edge = limit - limit * 2.0 ** -(precision + 1)
    assert one(edge, dtype) == np.inf
    assert one(-edge, dtype) == -np.inf
    assert np.isfinite(one(float(np.nextafter(edge, 0)), dtype))
    assert one(1.7e308, dtype) == np.inf
    assert one(np.inf, dtype) == np.inf


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3), (2, 3)])
def test_shapes(dtype: DtypeName, shape: tuple[int, ...]) -> None:
    assert round_to(np.zeros(shape), dtype).shape == shape


@pytest.mark.parametrize("dtype", DTYPES)
def test_strided_and_negative_zero(dtype: DtypeName) -> None:
    values = np.linspace(-2, 2, 40).reshape(5, 8)
    np.testing.assert_array_equal(
        round_to(values.T[::2], dtype),
        round_to(np.ascontiguousarray(values.T[::2]), dtype),
    )
    assert np.signbit(round_to(np.array(-0.0), dtype))
    assert not np.signbit(round_to(np.array(0.0), dtype))


def test_float64_is_untouched() -> None:
    values = np.random.default_rng(0).standard_normal(1000)
    np.testing.assert_array_equal(round_to(values, "float64"), values)
