"""JSON answers: the same text in one piece or many, and floats that read back."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.dtype import DtypeName, FloatArray, round_to, shortened
from service import json_answer
from service.json_answer import encode

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


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int64", "bool", "object"]
)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_pieces_make_the_same_text(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], dtype: str
) -> None:
    array = values(shape, dtype)
    document = {
        "name": "x",
        "outputs": array,
        "batch": [array, array[..., None], np.float32(0.1)],
        "shape": array.shape,
    }
    whole = encode(document, is_long=False)
    assert len(whole) == 1
    for chunk in (1, 7, 50):
        monkeypatch.setattr(json_answer, "CHUNK_ELEMENTS", chunk)
        pieces = encode(document, is_long=True)
        assert b"".join(pieces) == whole[0]
    assert len(pieces) > 1
    read = json.loads(whole[0])
    if dtype.startswith("float"):
        back = np.array(read["outputs"], dtype=np.float64).reshape(shape)
        assert np.array_equal(back.astype(dtype), array)
    else:
        assert read["outputs"] == array.tolist()


def test_shortest_digits() -> None:
    document: dict[str, Any] = {
        "single": np.array([0.1, 1e-45], np.float32),
        "double": np.array([0.1, 5e-324]),
        "turned": np.array([[0.1, 0.2], [0.3, 0.4]], np.float32).T,
    }
    assert encode(document, is_long=False)[0] == (
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
    (text,) = encode({"x": short}, is_long=False)
    read = np.array(json.loads(text)["x"])
    assert np.array_equal(round_to(read, dtype), values)
    for decimal, value in zip(read.tolist()[1:], values.tolist()[1:], strict=True):
        shown = repr(decimal).partition("e")[0].replace(".", "").strip("0")
        assert len(shown) <= 5
        if len(shown) > 1:
            fewer = np.array(float(f"{value:.{len(shown) - 2}e}"))
            assert float(round_to(fewer, dtype)) != value
