"""The classification extension: order, ties, names, six decimals, limits."""

from typing import Any

import numpy as np
import pytest

from sigmoid_serve.errors import ElementError
from sigmoid_serve.http.protocols.open_inference.classification import (
    MOST_CLASSES,
    MOST_ELEMENTS,
    classify,
)
from sigmoid_serve.json.text import no_check

POINTER = "/outputs/0/parameters/classification"


def classified(
    values: Any, classes: int, names: list[str] | None = None, dtype: str = "float32"
) -> Any:
    array = np.asarray(values, dtype)
    return classify(array, classes, names, POINTER, no_check).tolist()


def test_the_largest_come_first() -> None:
    row = [0.1, 0.9, -0.5, 0.3]
    assert classified(row, 2) == ["0.900000:1", "0.300000:3"]
    assert classified(row, 1) == ["0.900000:1"]


@pytest.mark.parametrize("classes", [4, 5, MOST_CLASSES])
def test_more_than_there_are_gives_all(classes: int) -> None:
    row = [0.1, 0.9, -0.5, 0.3]
    assert classified(row, classes) == [
        "0.900000:1",
        "0.300000:3",
        "0.100000:0",
        "-0.500000:2",
    ]


def test_of_equal_values_the_first_comes_first() -> None:
    assert classified([0, 1, 0, 1, -0.0], 5) == [
        "1.000000:1",
        "1.000000:3",
        "0.000000:0",
        "0.000000:2",
        "-0.000000:4",
    ]
    many = [0.5] * 1000
    assert [text.split(":")[1] for text in classified(many, 1000)] == [
        str(index) for index in range(1000)
    ]


def test_each_row_for_itself_with_names() -> None:
    rows = [[[0.1, 0.2], [0.4, 0.3]], [[0.5, 0.6], [0.8, 0.7]]]
    assert classified(rows, 1, ["no: never", "ja, gern"]) == [
        [["0.200000:1:ja, gern"], ["0.400000:0:no: never"]],
        [["0.600000:1:ja, gern"], ["0.800000:0:no: never"]],
    ]


@pytest.mark.parametrize(
    ("values", "want"),
    [
        (0.25, ["0.250000:0"]),
        ([], []),
        (np.empty((0, 3)), []),
        (np.empty((2, 0)), [[], []]),
        ([[0.25]], [["0.250000:0"]]),
    ],
    ids=["number", "empty", "no-rows", "no-outputs", "one"],
)
def test_odd_shapes(values: Any, want: Any) -> None:
    assert classified(values, 2) == want


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_six_decimals_of_every_float(dtype: str) -> None:
    assert classified([1e-7, 1 / 3, -2.5, 60000], 4, dtype=dtype) == [
        f"{float(np.asarray(60000, dtype)):.6f}:3",
        f"{float(np.asarray(1 / 3, dtype)):.6f}:1",
        "0.000000:0",
        "-2.500000:2",
    ]


@pytest.mark.parametrize(
    ("values", "classes", "code", "text"),
    [
        (np.zeros((2, 3)), 1001, "too_many_elements", "at most 1000 classes"),
        (np.zeros((2, 3)), 2**40, "too_many_elements", "at most 1000 classes"),
        (np.zeros((2**15 + 1, 2)), 1, "too_many_elements", "fewer rows"),
        (np.zeros(3, np.int64), 1, "dtype", "labels"),
        (np.array(["a"], object), 1, "dtype", "labels"),
        (np.zeros(3, bool), 1, "dtype", "labels"),
    ],
    ids=["classes", "absurd", "elements", "integers", "strings", "booleans"],
)
def test_what_is_refused(values: Any, classes: int, code: str, text: str) -> None:
    with pytest.raises(ElementError, match=text) as refused:
        classify(values, classes, None, POINTER, no_check)
    assert refused.value.code == code
    assert POINTER in refused.value.detail
    assert len(refused.value.detail) < 300


def test_most_elements_ask_again_and_again() -> None:
    calls: list[None] = []
    values = np.linspace(0, 1, MOST_ELEMENTS).reshape(-1, 256)
    found = classify(values, 256, None, POINTER, lambda: calls.append(None))
    assert found.shape == values.shape
    assert found[0, 0] == f"{values[0, 255]:.6f}:255"
    assert len(calls) > 10
