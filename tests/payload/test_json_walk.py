"""The first error of a tensor, in document order, or its numbers."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from sigmoid_models.dtype import DtypeName, round_to
from sigmoid_serve.errors import ElementError
from sigmoid_serve.json.text import JsonText, extend_pointer, no_check
from sigmoid_serve.payload.walk import json_walk
from sigmoid_serve.payload.walk.json_walk import walk_batch, walk_tensor

VALUES = ["0", "1.5", "-2e3", "65520", "1e39", "1e999", "-0.0", "9" * 30]
ODD = ["true", "null", "NaN", '"x"', '"[1,]"', "{}", '{"a":[1,{"b":2}]}', '"\\"]"']


def draw_text(draw: random.Random, depth: int) -> str:
    if depth == 0 or draw.random() < 0.1:
        return draw.choice(VALUES[:4] if draw.random() < 0.9 else VALUES + ODD)
    size = draw.choice([0, 1, 2, 2, 3])
    if draw.random() < 0.7:
        return "[" + ",".join([draw_text(draw, depth - 1)] * size) + "]"
    parts = [draw_text(draw, depth - 1) for _ in range(size)]
    return "[ " + " , ".join(parts) + "\n]"


def outer_shape(value: Any) -> list[int]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return shape


def errors(
    value: Any, place: list[int], shape: Sequence[int], dtype: DtypeName
) -> Iterator[tuple[str, list[int]]]:
    """Look at each element in turn; a list comes before what is in it."""
    if not shape:
        if isinstance(value, list):
            yield "ragged", place
        elif type(value) is not float or np.isnan(value):
            yield "not_a_number", place
        elif not np.isfinite(round_to(np.array(value), dtype)):
            yield "overflow", place
    elif isinstance(value, list) and len(value) == shape[0]:
        for position, part in enumerate(value):
            yield from errors(part, [*place, position], shape[1:], dtype)
    elif isinstance(value, list) or (type(value) is float and not np.isnan(value)):
        yield "ragged", place
    else:
        yield "not_a_number", place


Told = tuple[str, str | None] | None


def at(error: tuple[str, list[int]] | None, pointer: str) -> Told:
    return error and (error[0], extend_pointer(pointer, *error[1]))


def told(read: Callable[[], None]) -> Told:
    try:
        read()
    except ElementError as error:
        return error.code, error.pointer
    return None


def loaded(text: str) -> Any:
    return json.loads(text, parse_int=float, parse_constant=lambda _: None)


def text_of(text: str) -> JsonText:
    body = f'{{"inputs": {text} }}'.encode()
    return JsonText(body, 11, 11 + len(text))


@pytest.fixture(params=[1, 2**16])
def stretch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(json_walk, "_STRETCH_BYTES", request.param)
    size: int = request.param
    return size


@pytest.mark.usefixtures("stretch")
def test_the_first_error_of_random_texts() -> None:
    draw = random.Random(3)
    dtypes: list[DtypeName] = ["float16", "float32", "float64"]
    good = bad = 0
    for _ in range(4000):
        text = draw_text(draw, 4)
        text = text if text.startswith("[") else f"[{text}]"
        dtype = draw.choice(dtypes)
        value = loaded(text)

        def read(
            text: str = text, dtype: DtypeName = dtype, value: Any = value
        ) -> None:
            array = walk_tensor(text_of(text), "/inputs", dtype, 10**6, no_check)
            assert np.array_equal(array, round_to(np.array(value, float), dtype))
            assert array.shape == np.array(value).shape

        error = next(errors(value, [], outer_shape(value), dtype), None)
        assert told(read) == at(error, "/inputs"), text
        good, bad = good + (error is None), bad + (error is not None)
    assert min(good, bad) > 500


@pytest.mark.usefixtures("stretch")
def test_the_first_error_of_random_batches() -> None:
    draw = random.Random(4)
    good = bad = 0
    for _ in range(4000):
        parts = [draw_text(draw, draw.randrange(4)) for _ in range(draw.randrange(5))]
        text = f"[{', '.join(parts)}]"

        def read(text: str = text) -> None:
            tensors = walk_batch(text_of(text), "/batch", "float32", 10**6, no_check)
            arrays = [np.array(part, np.float32) for part in loaded(text)]
            assert list(tensors.shapes) == [array.shape for array in arrays]
            flat = [number for array in arrays for number in array.ravel().tolist()]
            assert tensors.values.tolist() == flat

        found = (
            next(errors(part, [position], outer_shape(part), "float32"), None)
            for position, part in enumerate(loaded(text))
        )
        error = next((error for error in found if error), None)
        assert told(read) == at(error, "/batch"), text
        good, bad = good + (error is None), bad + (error is not None)
    assert min(good, bad) > 500


@pytest.mark.parametrize(
    ("text", "expected", "got"),
    [
        ("[[1,2],[3,[4,5,6]]]", "a number", "a list of 3"),
        ("[[1,2],[3]]", "a list of 2", "a list of 1"),
        ('[[1,2],["[,]",3,[4,5]]]', "a list of 2", "a list of 3"),
        ("[[1],2]", "a list of 1", "a number"),
        ('[1,{"data":[1],"shape":[1]}]', "a number", "an object of the Open Inference"),
        ('[1,{"a":1}]', "a number", "an object"),
        ('["' + "x" * 10**6 + '"]', "a number", "a string"),
        ("[-Infinity]", "a number", "-Infinity"),
        ("[[1],1e999]", "a list of 1", "a number beyond the range of float64"),
    ],
)
def test_what_was_expected_and_what_came(text: str, expected: str, got: str) -> None:
    with pytest.raises(ElementError) as raised:
        walk_tensor(text_of(text), "/inputs", "float64", 10**6, no_check)
    assert raised.value.expected == expected
    assert str(raised.value.got).startswith(got)


def test_no_more_elements_than_allowed() -> None:
    for text, pointer in (("[[1,2],[3,4]]", "/inputs"), ("[1,[2],[3,4]]", "/inputs/2")):
        walk = walk_tensor if pointer == "/inputs" else walk_batch
        walk(text_of(text), "/inputs", "float32", 4, no_check)
        with pytest.raises(ElementError) as raised:
            walk(text_of(text), "/inputs", "float32", 3, no_check)
        assert raised.value.code == "too_many_elements"
        assert raised.value.pointer == pointer


def test_others_may_end_it() -> None:
    def check() -> None:
        raise TimeoutError

    for unit in ("[0]", "0"):
        text = text_of(f"[{','.join([unit] * 20_000)}]")
        with pytest.raises(TimeoutError):
            walk_tensor(text, "/inputs", "float32", 10**6, check)
