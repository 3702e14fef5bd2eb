"""The classification extension: the largest values of each row, with their names.

An element is text, as Triton writes it: `value:index`, or `value:index:name` where the
outputs have names, with six decimals.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sigmoid_serve.errors import ElementError
from sigmoid_serve.json.text import Check

MOST_CLASSES: Final = 1000
MOST_ELEMENTS: Final = 2**16

# Written between two checks, within a few milliseconds.
_STEP: Final = 2**12


def classify(
    values: NDArray[Any],
    classes: int,
    names: Sequence[str] | None,
    pointer: str,
    check: Check,
) -> NDArray[np.object_]:
    """Name the largest values of each row, the largest first.

    Args:
        values: Floats, `(..., outputs)`; a single number counts as a row of one.
        classes: How many of each row, from 1; all where there are fewer.
        names: Of the outputs, where known.
        pointer: JSON Pointer to what asked for it.
        check: Called again and again; it may raise, and so end the work.

    Returns:
        Strings, `(..., min(classes, outputs))`; of equal values the first comes first.

    Raises:
        ElementError: `too_many_elements`; `dtype` where the values are no floats.
    """
    _refuse(values, classes, pointer)
    rows = np.atleast_1d(values)
    # The sign turns the order, and is exact.
    order = np.argsort(-rows, axis=-1, kind="stable")[..., :classes]
    check()
    largest = np.take_along_axis(rows, order, axis=-1)
    known = [f":{name}" for name in names] if names else [""] * rows.shape[-1]
    elements = zip(largest.ravel().tolist(), order.ravel().tolist(), strict=True)
    texts: list[str] = []
    while some := list(islice(elements, _STEP)):
        check()
        texts += [f"{value:.6f}:{index}{known[index]}" for value, index in some]
    return np.array(texts, dtype=object).reshape(order.shape)


def _refuse(values: NDArray[Any], classes: int, pointer: str) -> None:
    if values.dtype.kind != "f":
        raise ElementError(
            "dtype",
            pointer=pointer,
            expected="an output of numbers to classify (ask for labels as they are)",
            got="labels",
        )
    if classes > MOST_CLASSES:
        raise ElementError(
            "too_many_elements",
            pointer=pointer,
            expected=f"at most {MOST_CLASSES} classes",
            got="more",
        )
    if values.size > MOST_ELEMENTS:
        raise ElementError(
            "too_many_elements",
            pointer=pointer,
            expected=f"an output of at most {MOST_ELEMENTS} elements to classify "
            "(ask for fewer rows at once, or for the output as it is)",
            got=f"one of {values.size}",
        )
