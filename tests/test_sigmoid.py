"""The elementwise sigmoid against a reference in extended precision."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.dtype import DTYPES, DtypeName, Float64Array
from models.sigmoid import sigmoid, sigmoid64

Extended = NDArray[np.longdouble]

pytestmark = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="needs an extended long double"
)


def reference(values: Float64Array) -> Extended:
    wide = values.astype(np.longdouble)
    exponential = np.exp(-np.abs(wide))
    result: Extended = np.where(wide >= 0, 1, exponential) / (1 + exponential)
    return result


def ulps(got: NDArray[Any], want: Extended) -> float:
    """The greatest error, in units of the last place of the result."""
    unit = np.spacing(got).astype(np.longdouble)
    return float(np.max(np.abs(got.astype(np.longdouble) - want) / unit))


def test_every_float16_is_the_nearest() -> None:
    values = np.arange(2**16, dtype=np.uint16).view(np.float16)
    values = values[np.isfinite(values)]
    exact = reference(values.astype(np.float64))
    got = sigmoid(values.astype(np.float64), "float16")
    assert got.dtype == np.float16
    error = np.abs(got - exact)
    for towards in (np.float16(-1), np.float16(2)):
        neighbour = np.nextafter(got.astype(np.float16), towards)
        assert bool((error <= np.abs(neighbour - exact)).all())


def test_every_bfloat16_is_the_nearest() -> None:
    patterns = np.arange(2**16, dtype=np.uint32) << np.uint32(16)
    values = patterns.view(np.float32)
    finite = values[np.isfinite(values)].astype(np.float64)
    exact = reference(finite)
    got = np.asarray(sigmoid(finite, "bfloat16"), dtype=np.float32)
    code = got.view(np.uint32)
    assert not (code & 0xFFFF).any()
    error = np.abs(got - exact)
    upper = (code + np.uint32(0x10000)).view(np.float32)
    lower = np.where(code, code - np.uint32(0x10000), code).view(np.float32)
    assert bool((error <= np.abs(upper - exact)).all())
    assert bool((error <= np.abs(lower - exact)).all())


def test_float32_is_half_an_ulp_away() -> None:
    random = np.random.default_rng(0)
    values = np.concatenate(
        [
            random.uniform(-110, 30, 60_000),
            random.uniform(-103.9, -87.3, 20_000),  # below -87.34 it is subnormal
            random.standard_normal(20_000) * 10.0 ** random.integers(-30, 2, 20_000),
        ]
    )
    values = values.astype(np.float32).astype(np.float64)
    got = sigmoid(values, "float32")
    assert got.dtype == np.float32
    assert ulps(got, reference(values)) <= 0.5001
    deep = got[(values < -88.72) & (values > -103)]
    assert bool((deep > 0).all())
    assert bool((deep < np.finfo(np.float32).tiny).all())


def test_float64_is_within_two_ulps() -> None:
    random = np.random.default_rng(1)
    values = np.concatenate(
        [
            random.uniform(-745, 40, 100_000),
            random.standard_normal(100_000),
            random.standard_normal(20_000) * 10.0 ** random.integers(-300, 2, 20_000),
        ]
    )
    assert ulps(sigmoid(values, "float64"), reference(values)) <= 2


def test_far_below_zero_digits_stay() -> None:
    assert 0 < float(sigmoid64(np.array(-740.0))) < 1e-321
    assert float(sigmoid64(np.array(-1e308))) == 0
    assert float(sigmoid64(np.array(1e308))) == 1


def test_zeros_are_a_half() -> None:
    for dtype in DTYPES:
        assert sigmoid(np.array([0.0, -0.0]), dtype).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("dtype", DTYPES)
def test_monotone_and_bounded(dtype: DtypeName) -> None:
    values = np.sort(np.random.default_rng(2).uniform(-760, 60, 100_000))
    result = sigmoid(values, dtype).astype(np.float64)
    assert bool((np.diff(result) >= 0).all())
    assert float(result.min()) >= 0
    assert float(result.max()) <= 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_element_does_not_depend_on_its_place(dtype: DtypeName) -> None:
    values = np.random.default_rng(3).uniform(-50, 50, 1037)
    together = sigmoid(values, dtype)
    alone = [float(sigmoid(np.array(value), dtype)) for value in values]
    assert together.astype(np.float64).tolist() == alone
    for start in range(1, 17):
        np.testing.assert_array_equal(sigmoid(values[start:], dtype), together[start:])
    np.testing.assert_array_equal(sigmoid(values[::-3], dtype), together[::-3])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0, 2), (2, 3, 4)])
def test_shapes(dtype: DtypeName, shape: tuple[int, ...]) -> None:
    result = sigmoid(np.zeros(shape), dtype)
    assert result.shape == shape
    assert bool((result == 0.5).all())


def test_layout_keeps_each_value_in_place() -> None:
    values = np.arange(24, dtype=np.float64).reshape(2, 3, 4).transpose(2, 0, 1)
    np.testing.assert_array_equal(sigmoid64(values), sigmoid64(values.copy("C")))
