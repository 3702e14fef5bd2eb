"""JSON answers: the same text in one piece or many, and floats that read back."""

import json
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sigmoid_models.dtype import DtypeName, FloatArray, round_to, shortened
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.json.text import no_check
from sigmoid_serve.payload import json_answer
from sigmoid_serve.payload.array_text import Tensors
from sigmoid_serve.payload.json_answer import (
    count_lists,
    encode,
    encode_short,
    refuse_long,
)

SHAPES = [
    (),
    (0,),
    (3,),
    (8,),
    (100,),
    (10, 3),
    (3, 10),
    (2, 3, 4),
    (20, 1, 1),
    (1, 1, 20),
    (1, 20, 1),
    (0, 5),
    (9, 0),
    (3, 5, 0),
    (2, 2, 2, 2, 2),
]


def values(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    random = np.random.default_rng(0)
    if dtype == "object":
        names = np.array(["a", 'b"]', "ü"], dtype=object)
        return np.asarray(names[random.integers(3, size=shape)], dtype=object)
    if dtype == "bool":
        return np.asarray(random.integers(2, size=shape) > 0)
    return np.asarray(random.normal(size=shape) * 1000).astype(dtype)


def written(document: dict[str, Any], most_bytes: int = 2**30) -> bytes:
    return b"".join(encode(document, most_bytes, no_check))


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int64", "bool", "object"]
)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pieces_make_the_same_text(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], dtype: str
) -> None:
    array = values(shape, dtype)
    document = {"name": "x", "outputs": array, "shape": array.shape}
    (whole,) = encode_short(document)
    for chunk in (1, 7, 50, 2**15):
        monkeypatch.setattr(json_answer, "CHUNK_PARTS", chunk)
        assert written(document) == whole
    read = json.loads(whole)
    if dtype.startswith("float"):
        back = np.array(read["outputs"], dtype=np.float64).reshape(shape)
        assert np.array_equal(back.astype(dtype), array)
    else:
        assert read["outputs"] == array.tolist()


BATCHES: list[list[tuple[int, ...]]] = [
    [],
    [()],
    [()] * 20,
    [(3,), (), (0,), (2, 2), (2, 0), (1, 1, 1)] * 3,
    [*[(2, 3)] * 10, *[(3, 2)] * 10],
    [*[(0,)] * 9, (1,), (100,), (1,)],
    [(1, 3, 1, 2, 1)] * 9,
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shapes", BATCHES, ids=lambda shapes: str(shapes[:3]))
def test_tensors_of_any_shapes(
    monkeypatch: pytest.MonkeyPatch, shapes: list[tuple[int, ...]], dtype: str
) -> None:
    flat = values((sum(map(math.prod, shapes)),), dtype)
    for chunk in (1, 7, 50, 2**15):
        monkeypatch.setattr(json_answer, "CHUNK_PARTS", chunk)
        read = json.loads(written({"batch": Tensors(flat, shapes), "dtype": dtype}))
        assert [tuple(shape) for shape in read["shapes"]] == shapes
        start = 0
        for shape, tensor in zip(shapes, read["batch"], strict=True):
            stop = start + math.prod(shape)
            want = flat[start:stop].reshape(shape)
            assert np.array_equal(np.array(tensor, dtype).reshape(shape), want)
            start = stop


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [{}],
        [{"name": "a", "data": values((10, 3), "float32"), "shape": (10, 3)}],
        [
            {"data": values((9,), "object"), "more": {"size": 3}},
            {"data": values((0,), "float64"), "list": (1, [2, {"a": []}], None)},
            {"data": values((20,), "int64"), "inner": [{"x": values((8,), "bool")}]},
        ],
    ],
    ids=["none", "empty", "one", "several"],
)
def test_lists_of_objects(
    monkeypatch: pytest.MonkeyPatch, entries: list[dict[str, Any]]
) -> None:
    document = {"name": "x", "outputs": entries, "last": 1}
    (whole,) = encode_short(document)
    for chunk in (1, 7, 50, 2**15):
        monkeypatch.setattr(json_answer, "CHUNK_PARTS", chunk)
        assert written(document) == whole


def test_no_answer_is_longer_than_allowed() -> None:
    document = {"outputs": np.zeros(1000), "shape": (1000,)}
    length = len(written(document))
    assert len(written(document, length)) == length
    with pytest.raises(ServiceError, match="SIGMOID_MAX_ANSWER_BYTES") as refused:
        written(document, length - 1)
    assert refused.value.code == "too_many_elements"
    with pytest.raises(ServiceError, match=r"or for a table$"):
        encode(document, length - 1, no_check, "a table")


@pytest.mark.parametrize(
    ("shape", "lists"),
    [((), 0), ((3,), 1), ((0,), 1), ((3, 2), 4), ((2, 3, 4), 9), ((5, 0), 6)],
)
def test_lists_are_counted(shape: tuple[int, ...], lists: int) -> None:
    assert count_lists(shape) == lists
    assert json.dumps(np.zeros(shape).tolist()).count("[") == lists


@pytest.mark.parametrize(
    "shape", [(2**16, 0), (2**20, 0), (2**8, 2**8, 0), (2**12, *(1,) * 30, 0)], ids=str
)
def test_brackets_without_numbers_are_refused_before_they_are_made(
    shape: tuple[int, ...],
) -> None:
    with pytest.raises(ServiceError) as refused:
        refuse_long([shape], 2**30)
    assert refused.value.code == "too_many_elements"
    refuse_long([(2**15, 0), (0, 2**30)], 2**30)


@pytest.mark.parametrize("shape", [(2**24, *(1,) * 31), (2**12, 2**13, 1, 1, 1)])
def test_what_is_surely_too_long_is_refused_before_it_is_made(
    shape: tuple[int, ...],
) -> None:
    with pytest.raises(ServiceError, match="SIGMOID_MAX_ANSWER_BYTES"):
        refuse_long([shape], 2**28)


def test_shortest_digits() -> None:
    document: dict[str, Any] = {
        "single": np.array([0.1, 1e-45], np.float32),
        "double": np.array([0.1, 5e-324]),
        "turned": np.array([[0.1, 0.2], [0.3, 0.4]], np.float32).T,
    }
    assert written(document) == (
        b'{"single":[0.1,1e-45],"double":[0.1,5e-324],"turned":[[0.1,0.3],[0.2,0.4]]}'
    )


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_shortest_digits_of_the_short_types(dtype: DtypeName) -> None:
    """Every value of [0, 1]: read back to itself, and with one digit less no more."""
    if dtype == "float16":
        values: FloatArray = np.arange(0x3C01, dtype=np.uint16).view(np.float16)
    else:
        patterns = np.arange(0x3F81, dtype=np.uint32) << 16
        values = patterns.view(np.float32)
    short = shortened(values, dtype)
    text = written({"x": short})
    read = np.array(json.loads(text)["x"])
    assert np.array_equal(round_to(read, dtype), values)
    for decimal, value in zip(read.tolist()[1:], values.tolist()[1:], strict=True):
        shown = repr(decimal).partition("e")[0].replace(".", "").strip("0")
        assert len(shown) <= 5
        if len(shown) > 1:
            fewer = np.array(float(f"{value:.{len(shown) - 2}e}"))
            assert float(round_to(fewer, dtype)) != value
