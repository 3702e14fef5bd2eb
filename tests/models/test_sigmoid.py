"""The elementwise sigmoid: how near the truth, how smooth, and the same anywhere.

Each finite pattern of a dtype has a number that orders it by value: -1 and 0 are -0.0
and 0.0, -2 and 1 the smallest sizes, and so on to the largest. Samples are ranges of
these numbers. Errors are in units in the last place (ULP) of the true value.

The worst of each dtype is printed: `pytest -rP tests/test_sigmoid.py`.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from sigmoid_models.dtype import DTYPES, DtypeName, Float64Array, round_to
from sigmoid_models.exact_sigmoid import sigmoid

Extended = NDArray[np.longdouble]
Numbers = NDArray[np.int64]

SIZES: Final = {  # how many finite patterns have one sign
    "float16": 0x7C00,
    "bfloat16": 0x7F80,
    "float32": 0x7F800000,
    "float64": 0x7FF0000000000000,
}
PRECISION: Final = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
LOWEST: Final = {"float16": -24, "bfloat16": -133, "float32": -149, "float64": -1074}

# The half of an ULP is the one rounding to the dtype; the rest of float32's share is
# what float64 has lost before, of the others' what the reference has. Where the long
# double is no longer than float64, its bound is that of `sigmoid64`.
BOUND: Final = {
    "float16": 0.5 + 1e-9,
    "bfloat16": 0.5 + 1e-9,
    "float32": 0.5001,
    "float64": 0.502,
}

BLOCK: Final = 2**17  # so many extended values fit a cache

extended = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="needs an extended long double"
)


def values_of(numbers: Numbers, dtype: DtypeName) -> Float64Array:
    """The values that have these numbers, widened to float64."""
    sizes = np.where(numbers < 0, -1 - numbers, numbers)
    if dtype == "bfloat16":
        found: NDArray[Any] = (sizes << 16).astype(np.uint32).view(np.float32)
    else:
        found = sizes.astype(f"u{np.dtype(dtype).itemsize}").view(dtype)
    return np.copysign(found.astype(np.float64), np.where(numbers < 0, -1.0, 1.0))


def number_of(size: float) -> int:
    """The number of a float32 that is not negative."""
    return int(np.float32(size).view(np.uint32))


def around(size: float) -> list[range]:
    """The float32 neighbours of `size` and of `-size`, 50,000 on each side."""
    number = number_of(size)
    return [range(n - 50_000, n + 50_000) for n in (number, -1 - number)]


def between(low: float, high: float, step: int) -> list[range]:
    """Every `step`-th float32 whose size is in this range, of either sign."""
    first, last = number_of(low), number_of(high)
    return [range(-1 - last, -first, step), range(first, last + 1, step)]


def every(dtype: DtypeName, step: int = 1) -> range:
    return range(-SIZES[dtype], SIZES[dtype], step)


# Most float32 patterns are so small that the result is 1/2, or so large that it is 0 or
# 1; so those between, and those about the ends and the ties, are there more densely.
RANGES: Final[dict[DtypeName, list[range]]] = {
    "float16": [every("float16")],
    "bfloat16": [every("bfloat16")],
    "float32": [
        every("float32", 397),
        *between(2**-26, 128, 97),
        *between(87, 104.5, 1),  # of the negative ones the results are subnormal
        *chain.from_iterable(
            map(around, (0, 2**-24, 2**-23, 1, 2, 16.6355, 17.3287, 88.72, 103.97))
        ),
    ],
}


def blocks(span: range) -> Iterator[Numbers]:
    """Cut a range into blocks, each beginning with the last number of the one before.

    So no pair of neighbours is lost.
    """
    for start in range(0, len(span), BLOCK):
        part = span[max(0, start - 1) : start + BLOCK]
        yield np.arange(part.start, part.stop, part.step, dtype=np.int64)


def float64_sample() -> Float64Array:
    """Random values of float64, sorted: all over the patterns, and where it matters."""
    random = np.random.default_rng(1)
    numbers = random.integers(-SIZES["float64"], SIZES["float64"], 1_000_000)
    ends = [(-746, -708, 300_000), (-708, 40, 300_000), (-40, 40, 600_000)]
    middle = [(-4, -1, 600_000), (-1, 1, 300_000), (-1e-15, 1e-15, 100_000)]
    parts = [random.uniform(low, high, count) for low, high, count in ends + middle]
    return np.sort(np.concatenate([values_of(numbers, "float64"), *parts]))


def reference(values: Float64Array) -> Extended:
    wide = values.astype(np.longdouble)
    exponential = np.exp(-np.abs(wide))
    result: Extended = np.where(wide >= 0, 1, exponential) / (1 + exponential)
    return result


def in_ulps(values: NDArray[Any], truth: Extended, dtype: DtypeName) -> Extended:
    """Count in the unit of the last place that the dtype has where `truth` lies."""
    _, exponents = np.frexp(truth)
    units = np.maximum(exponents - PRECISION[dtype], LOWEST[dtype])
    result: Extended = np.ldexp(values.astype(np.longdouble), -units)
    return result


def bits(values: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(values).view(f"u{values.itemsize}")


@extended
@pytest.mark.parametrize("dtype", RANGES)
def test_the_nearest_value_is_given(dtype: DtypeName) -> None:
    count, off, worst, place = 0, 0, 0.0, 0.0
    for numbers in chain.from_iterable(map(blocks, RANGES[dtype])):
        values = values_of(numbers, dtype)
        truth = reference(values)
        got = in_ulps(sigmoid(values, dtype), truth, dtype)
        want = in_ulps(truth, truth, dtype)
        error = np.abs(got - want)
        at = int(np.argmax(error))
        if error[at] > worst:
            worst, place = float(error[at]), float(values[at])
        count += len(values)
        off += int((got != np.rint(want)).sum())
    print(f"{dtype}: {count:,} patterns, worst {worst:.9f} ULP, at {place!r}")
    print(f"{dtype}: {off} of them are not the value nearest to the truth")
    assert worst <= BOUND[dtype]
    assert count >= {"float16": 63_488, "bfloat16": 65_280}.get(dtype, 10_000_000)
    assert off == 0 or dtype == "float32"


@extended
def test_float64_holds_its_bound() -> None:
    values = float64_sample()
    worst, place = 0.0, 0.0
    for part in np.array_split(values, len(values) // BLOCK):
        truth = reference(part)
        got = in_ulps(sigmoid(part, "float64"), truth, "float64")
        error = np.abs(got - in_ulps(truth, truth, "float64"))
        at = int(np.argmax(error))
        if error[at] > worst:
            worst, place = float(error[at]), float(part[at])
    print(f"float64: {len(values):,} values, worst {worst:.4f} ULP, at {place!r}")
    assert worst <= BOUND["float64"]


@extended
def test_float64_and_the_reference_against_a_hundred_digits() -> None:
    values = float64_sample()[::160]
    got = sigmoid(values, "float64")
    mantissas, exponents = np.frexp(reference(values))
    high = mantissas.astype(np.float64)
    low = (mantissas - high).astype(np.float64)
    worst = worst_reference = 0.0
    with mpmath.workdps(100):
        for i, value in enumerate(values.tolist()):
            exponential = mpmath.exp(-abs(mpmath.mpf(value)))
            truth = (1 if value >= 0 else exponential) / (1 + exponential)
            unit = mpmath.mpf(2) ** max(int(mpmath.frexp(truth)[1]) - 53, -1074)
            wide = mpmath.ldexp(mpmath.mpf(high[i]) + low[i], int(exponents[i]))
            worst = max(worst, float(abs(got[i] - truth) / unit))
            worst_reference = max(worst_reference, float(abs(wide - truth) / unit))
    print(f"float64: {len(values):,} values, worst {worst:.4f} ULP by mpmath")
    print(f"the reference: worst {worst_reference:.5f} ULP of float64 by mpmath")
    assert len(values) >= 20_000
    assert worst <= BOUND["float64"]
    assert worst_reference <= 2**-9


@pytest.mark.parametrize("dtype", RANGES)
def test_a_greater_value_has_no_smaller_result(dtype: DtypeName) -> None:
    for numbers in chain.from_iterable(map(blocks, RANGES[dtype])):
        result = sigmoid(values_of(numbers, dtype), dtype)
        assert bool((result[1:] >= result[:-1]).all())
        assert 0 <= float(result[0]) <= float(result[-1]) <= 1


@extended
def test_float64_is_monotone_to_the_next_neighbour() -> None:
    values = float64_sample()
    result = sigmoid(values, "float64")
    assert bool((result[1:] >= result[:-1]).all())
    assert (float(result[0]), float(result[-1])) == (0, 1)
    above = sigmoid(np.nextafter(values, np.inf), "float64")
    assert bool((above >= result).all())


def test_ends_and_middle() -> None:
    for dtype in DTYPES:
        assert sigmoid(np.array([0.0, -0.0]), dtype).tolist() == [0.5, 0.5]
    assert sigmoid(np.array([-1e308, 1e308]), "float64").tolist() == [0, 1]
    assert 0 < float(sigmoid(np.array(-740.0), "float64")) < 1e-321
    deep = sigmoid(np.array([-89.0, -95, -103]), "float32")
    assert bool((deep > 0).all())
    assert bool((deep < np.finfo(np.float32).tiny).all())


@pytest.mark.parametrize("dtype", DTYPES)
def test_type_of_the_result(dtype: DtypeName) -> None:
    result = sigmoid(
        np.linspace(-100, 20, 1000).astype(np.float16).astype(float), dtype
    )
    assert result.dtype == ("float32" if dtype == "bfloat16" else dtype)
    if dtype == "bfloat16":
        assert not (bits(result) & 0xFFFF).any()


def pool(dtype: DtypeName) -> Float64Array:
    """Values of the dtype, their results of every size."""
    random = np.random.default_rng(3)
    values = np.concatenate([random.uniform(-120, 40, 128), random.normal(size=128)])
    return round_to(random.permutation(values), dtype).astype(np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_element_does_not_depend_on_its_place(dtype: DtypeName) -> None:
    values = pool(dtype)
    alone = np.array([bits(sigmoid(np.array([v]), dtype))[0] for v in values])
    for length in range(1, 71):
        for start in range(18):
            for step in (1, 2, -1, -3):
                place = slice(start, start + length * abs(step))
                got = sigmoid(values[place][::step], dtype)
                np.testing.assert_array_equal(bits(got), alone[place][::step])
        for index in range(0, 256, 32):
            same = sigmoid(np.full(length, values[index]), dtype)
            assert set(bits(same).tolist()) == {int(alone[index])}


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_element_does_not_depend_on_the_shape(dtype: DtypeName) -> None:
    values = pool(dtype)
    alone = np.array([bits(sigmoid(np.array([v]), dtype))[0] for v in values])
    cube, expected = values.reshape(4, 8, 8), alone.reshape(4, 8, 8)
    for axes in ((0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)):
        got = sigmoid(cube.transpose(axes), dtype)
        np.testing.assert_array_equal(bits(got), expected.transpose(axes))
    got = sigmoid(cube[::2, 1::3, ::-1], dtype)
    np.testing.assert_array_equal(bits(got), expected[::2, 1::3, ::-1])
    got = sigmoid(np.broadcast_to(values, (3, 256)), dtype)
    np.testing.assert_array_equal(bits(got), np.broadcast_to(alone, (3, 256)))
    unaligned = np.frombuffer(b"\0" + values.tobytes(), dtype=np.float64, offset=1)
    np.testing.assert_array_equal(bits(sigmoid(unaligned, dtype)), alone)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0, 2), (2, 3, 4), (1,) * 32])
def test_shapes(dtype: DtypeName, shape: tuple[int, ...]) -> None:
    result = sigmoid(np.zeros(shape), dtype)
    assert result.shape == shape
    assert bool((result == 0.5).all())
