"""Whatever rows are kept in, they get the bits of the HTTP API, or a clear error."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import ml_dtypes
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from sigmoid_serve import AsyncClient, Client, InvalidInputError
from sigmoid_serve.client.answers import nearest_singles, read_bfloat16
from sigmoid_serve.configuration.settings import Settings
from tests.client.conftest import calling

RNG = np.random.default_rng(0)
ROWS = RNG.normal(500, 400, size=(6, 30))
NAMES = [f"feature {place}" for place in range(30)]
NPY = "application/x-npy"


@pytest.fixture(scope="module")
def ours(way: str) -> Iterator[Any]:
    with calling(way) as client:
        yield client


@pytest.fixture(scope="module")
def names(client: httpx.Client) -> list[str]:
    return list(client.get("/models/breast-cancer").json()["feature_names"])


def raw(client: httpx.Client, path: str, array: Any) -> Any:
    """Ask over plain HTTP, in bytes both ways."""
    body = io.BytesIO()
    np.save(body, array)
    headers = {"Content-Type": NPY, "Accept": NPY}
    answer = client.post(path, content=body.getvalue(), headers=headers)
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


def assert_bits(got: Any, want: Any) -> None:
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    assert got.tobytes() == want.tobytes()


ARRAYS: dict[str, Callable[[Any], Any]] = {
    "lists": lambda rows: rows.tolist(),
    "tuples": lambda rows: tuple(map(tuple, rows.tolist())),
    "rows as arrays": list,
    "rows as tensors": lambda rows: list(map(torch.tensor, rows)),
    "scalars of NumPy": lambda rows: [list(row) for row in rows],
    "float64": lambda rows: rows,
    "Fortran order": np.asfortranarray,
    "every other": lambda rows: np.repeat(rows, 2, axis=0)[::2],
    "big-endian": lambda rows: rows.astype(">f8"),
    "tensor": torch.tensor,
    "tensor with gradient": lambda rows: torch.tensor(rows, requires_grad=True),
}
NAMED: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "pandas, another order": lambda frame: frame[frame.columns[::-1]],
    "pandas, nullable": lambda frame: frame.astype("Float64"),
    "pandas, objects": lambda frame: frame.astype(object),
    "polars": lambda frame: pl.DataFrame(frame.to_dict("list")),
    "polars, another order": lambda frame: pl.DataFrame(
        frame[frame.columns[::-1]].to_dict("list")
    ),
    "records": lambda frame: frame.to_dict("records"),
    "columns of lists": lambda frame: frame.to_dict("list"),
    "columns of arrays": lambda frame: {
        name: frame[name].to_numpy() for name in frame.columns[::-1]
    },
}


def test_every_kind_has_the_bits_of_the_api(
    ours: Any, client: httpx.Client, names: list[str]
) -> None:
    likely = raw(client, "/predict", ROWS)
    logits = raw(client, "/predict?output=logits", ROWS)
    labels = client.post("/predict", json={"inputs": ROWS.tolist()}).json()["labels"]
    frame = pd.DataFrame(ROWS, columns=names)
    asked = [(name, make(ROWS)) for name, make in ARRAYS.items()]
    asked += [(name, make(frame)) for name, make in NAMED.items()]
    for name, rows in asked:
        answer = ours.predict(rows)
        assert_bits(answer.probabilities, likely)
        assert_bits(answer.logits, logits)
        assert answer.labels.tolist() == labels, name
        assert (answer.model, answer.version) == ("breast-cancer", "1")
        assert (answer.classes, answer.link) == (("benign",), "sigmoid")


def test_other_types_and_shapes(ours: Any, client: httpx.Client) -> None:
    whole = RNG.integers(0, 100, size=(2, 3, 30))
    for array in (
        whole.astype(np.float16),
        whole.astype(np.uint8),
        whole.astype(np.int64),
        (whole / 7).astype(np.float32),
        whole[0, 0],
        whole[:0, 0],
        whole.transpose(1, 0, 2),
    ):
        answer = ours.predict(array)
        assert_bits(answer.probabilities, raw(client, "/predict", array))
        assert answer.labels.shape == array.shape[:-1]
    # A scalar of float32 is the float64 of the same value, not of the same digits.
    single = (whole[0] / 7).astype(np.float32)
    want = raw(client, "/predict", single)
    assert_bits(ours.predict([list(row) for row in single]).probabilities, want)
    short = torch.tensor(single).to(torch.bfloat16)
    want = raw(client, "/predict", short.float().numpy())
    assert_bits(ours.predict(short).probabilities, want)
    assert_bits(
        ours.predict(short.float().numpy().astype(ml_dtypes.bfloat16)).probabilities,
        want,
    )


def test_one_row(ours: Any, names: list[str]) -> None:
    frame = pd.DataFrame(ROWS, columns=names)
    whole = ours.predict(ROWS)
    record = dict(zip(names, ROWS[2].tolist(), strict=True))
    for row in (ROWS[2], ROWS[2].tolist(), record, frame.iloc[2], pl.Series(ROWS[2])):
        answer = ours.predict(row)
        assert_bits(answer.logits, whole.logits[2])
        assert answer.labels.shape == ()
        assert str(answer.labels) == whole.labels[2]
    assert_bits(ours.predict(pd.Series(ROWS[2])).logits, whole.logits[2])


def test_models(ours: Any, client: httpx.Client) -> None:
    first, second = ours.models()
    assert (first.name, first.is_default) == ("breast-cancer", True)
    assert (second.name, second.versions, second.is_default) == (
        "digits",
        ("1",),
        False,
    )
    assert ours.ready() is True
    card = client.get("/models/digits").json()
    for version in (None, 1, "1"):
        assert ours.card("digits", version) == card
    assert ours.card()["name"] == ours.card(version=1)["name"] == "breast-cancer"
    pixels = RNG.integers(0, 16, size=(3, 64))
    want = raw(client, "/models/digits/predict", pixels)
    for rows in (pixels, pd.DataFrame(pixels, columns=card["feature_names"])):
        for version in (None, 1):
            answer = ours.predict(rows, model="digits", version=version)
            assert_bits(answer.probabilities, want)
            assert (answer.model, answer.labels.dtype.kind) == ("digits", "U")
    assert ours.predict(ROWS, version="1").model == "breast-cancer"


def test_the_sigmoid(ours: Any, client: httpx.Client) -> None:
    numbers = RNG.normal(0, 20, size=(3, 5))
    for array in (numbers, numbers.astype(np.float16), numbers.T, numbers[0, 0]):
        assert_bits(ours.sigmoid(array), raw(client, "/sigmoid", array))
    single = numbers.astype(np.float32)
    frame = pd.DataFrame(single)
    for values in (single.tolist(), frame, torch.tensor(single)):
        assert_bits(ours.sigmoid(values), raw(client, "/sigmoid", single))
    assert ours.sigmoid([-1.0, 0, 1]).tolist() == [
        0.2689414322376251,
        0.5,
        0.7310585975646973,
    ]
    assert ours.sigmoid(0).shape == ()
    assert ours.sigmoid(np.zeros((0, 3))).shape == (0, 3)
    assert ours.sigmoid([[], []]).shape == (2, 0)
    assert ours.sigmoid(pl.Series([0.0, None]).drop_nulls()).tolist() == [0.5]
    for dtype in ("float16", "float32", "float64"):
        want = raw(client, "/sigmoid", numbers.astype(dtype))
        assert_bits(ours.sigmoid(numbers, dtype=dtype), want)
        assert_bits(ours.sigmoid(numbers.tolist(), dtype=dtype), want)
    short = (
        torch.tensor(numbers).to(torch.bfloat16).double().sigmoid().to(torch.bfloat16)
    )
    assert_bits(ours.sigmoid(numbers, dtype="bfloat16"), short.float().numpy())


NAN, INF = float("nan"), float("inf")
WRONG: dict[str, tuple[Callable[[pd.DataFrame], Any], str, str, str | None]] = {
    "NaN in lists": (lambda f: [1.0] * 29 + [NAN], "not_a_number", "NaN", "/inputs/29"),
    "infinity": (lambda f: [INF] * 30, "not_a_number", "Infinity", "/inputs/0"),
    "NaN in an array": (lambda f: ROWS * NAN, "not_a_number", "NaN", "/inputs/0/0"),
    "null": (lambda f: [None] * 30, "not_a_number", "null", "/inputs/0"),
    "True": (lambda f: [1, True], "not_a_number", "a boolean", "/inputs/1"),
    "np.True": (lambda f: [np.True_], "not_a_number", "a boolean", "/inputs/0"),
    "text": (lambda f: ["1"], "not_a_number", "a string", "/inputs/0"),
    "object": (lambda f: [object()], "not_a_number", "object", None),
    "complex": (lambda f: [1j], "not_a_number", "complex", None),
    "set": (lambda f: {1.0}, "not_a_number", "set", None),
    "an array of bool": (lambda f: ROWS > 0, "dtype", "bool", None),
    "a tensor of bool": (lambda f: torch.tensor(ROWS > 0), "dtype", "bool", None),
    "a sparse tensor": (lambda f: torch.eye(3).to_sparse(), "dtype", "float32", None),
    "an array of complex": (lambda f: ROWS + 1j, "dtype", "complex128", None),
    "an array of objects": (lambda f: ROWS.astype(object), "dtype", "object", None),
    "longdouble": (lambda f: ROWS.astype(np.longdouble), "dtype", "float128", None),
    "masked": (lambda f: np.ma.masked_array(ROWS), "not_a_number", "mask", None),
    "structured": (lambda f: np.zeros(3, [("a", "f8")]), "dtype", "('a'", None),
    "a number": (lambda f: 3, "rank", "a bare number", "/inputs"),
    "nothing": (lambda f: None, "missing_field", "none", ""),
    "ragged": (lambda f: [[1.0] * 30, [1.0]], "ragged", "", "/inputs/1"),
    "features": (lambda f: ROWS[:, 1:], "features", "29", None),
    "a record": (lambda f: {"a": 1}, "features", "a", "/inputs/a"),
    "a missing column": (lambda f: f.iloc[:, 1:], "features", "radius", "/inputs/0"),
    "an unknown column": (lambda f: f.assign(x=1), "features", "x", "/inputs/0/x"),
    "a lazy frame": (lambda f: pl.LazyFrame(f.to_dict("list")), "dtype", "lazy", None),
    "two columns of a name": (
        lambda f: f.rename(columns={"mean texture": "mean radius"}),
        "features",
        "twice",
        None,
    ),
    "columns of two lengths": (
        lambda f: {"a": [1.0], "b": np.zeros(2)},
        "ragged",
        "2",
        None,
    ),
    "a matrix as a column": (
        lambda f: {"a": np.zeros((2, 3))},
        "not_a_number",
        "(3,)",
        "/inputs/0/a",
    ),
    "an endless integer": (
        lambda f: {"a": [1, 10**400]},
        "not_a_number",
        "integer",
        "/inputs/1/a",
    ),
    "NaN in a frame": (
        lambda f: f.assign(**{"mean radius": [1, 2, None, 4, 5, 6]}),
        "not_a_number",
        "missing",
        "/inputs/2/mean radius",
    ),
    "a missing value": (
        lambda f: f.astype("Float64").mask(f > f.iloc[2, 0] - 1, pd.NA).iloc[2:3],
        "not_a_number",
        "missing",
        "/inputs/0/mean radius",
    ),
    "infinity in a frame": (
        lambda f: f / 0,
        "not_a_number",
        "infinity",
        "/inputs/0/mean radius",
    ),
    "bool in a frame": (
        lambda f: f.assign(**{"mean area": True}),
        "not_a_number",
        "bool",
        "/inputs/0/mean area",
    ),
    "None among objects": (
        lambda f: f.assign(**{"mean radius": pd.Series([1, None] * 3, dtype=object)}),
        "not_a_number",
        "null",
        "/inputs/1/mean radius",
    ),
    "text in a frame": (
        lambda f: f.assign(**{"a/b": "1"}),
        "not_a_number",
        "str",
        "/inputs/0/a~1b",
    ),
    "null of polars": (
        lambda f: pl.DataFrame({"a": [1.0, None]}),
        "not_a_number",
        "null",
        "/inputs/1/a",
    ),
    "bool of polars": (
        lambda f: pl.DataFrame({"a": [True]}),
        "not_a_number",
        "Boolean",
        "/inputs/0/a",
    ),
}


def test_what_is_no_number_is_never_made_one(ours: Any, names: list[str]) -> None:
    frame = pd.DataFrame(ROWS, columns=names)
    for name, (make, code, told, pointer) in WRONG.items():
        with pytest.raises(InvalidInputError) as caught:
            ours.predict(make(frame))
        error = caught.value
        assert (error.code, error.pointer) == (code, pointer), (name, str(error))
        assert told in error.detail, name
        assert error.hint, name
        assert error.hint in str(error)
        assert len(str(error)) < 1000
    for values in ([1, True], ROWS > 0, [NAN], np.array([NAN]), pd.Series([None, 1.0])):
        with pytest.raises(InvalidInputError):
            ours.sigmoid(values)
    with pytest.raises(InvalidInputError, match="rounds to infinity"):
        ours.sigmoid(np.array([1e300]), dtype="float16")
    with pytest.raises(InvalidInputError, match="dtype"):
        ours.sigmoid([1], dtype="float8")


def test_extra_columns_where_the_server_passes_them_over(names: list[str]) -> None:
    frame = pd.DataFrame(ROWS, columns=names).assign(extra="text")[["extra", *names]]
    with calling("sync-app", Settings(extra_fields="ignore")) as client:
        with pytest.raises(InvalidInputError, match="row 0 of column 'extra'"):
            client.predict(frame)
        frame["extra"] = 1
        assert_bits(client.predict(frame).logits, client.predict(ROWS).logits)


def test_decimals_between_two_floats() -> None:
    """To read float32 by way of float64 rounds twice; here that would be wrong."""
    bits = np.array([0x15AE43FD, 0x15AE43FE, 0x3F000000, 1, 0], np.uint32)
    singles = bits.view(np.float32)
    doubles = np.array([float(str(single)) for single in singles])
    assert (doubles.astype(np.float32) != singles).any()
    assert_bits(nearest_singles(doubles), singles)
    assert_bits(nearest_singles(-doubles), -singles)


def test_decimals_of_every_bfloat16() -> None:
    """As the server writes them."""
    bits = np.arange(0, 0x7F80, dtype=np.uint32) << 16
    numbers = bits.view(np.float32)
    texts = [np.format_float_scientific(n, 3, unique=False) for n in numbers]
    content = f'{{"outputs":[{",".join(texts)}],"shape":[{len(texts)}]}}'
    assert_bits(read_bfloat16(content.encode()), numbers)


def test_what_cannot_be_a_client() -> None:
    for server in ("", "localhost:8080", "ftp://h", "http://", "http://a:b", 3):
        with pytest.raises(ValueError, match="expected an address"):
            Client(server)  # type: ignore[arg-type]
    for key in ("", "a\nb", "ключ", "a\0"):
        with pytest.raises(ValueError, match="expected a key") as caught:
            AsyncClient("http://127.0.0.1", key=key)
        assert key not in str(caught.value) or not key


def test_a_prediction_shows_itself(ours: Any) -> None:
    shown = repr(ours.predict(ROWS[0]))
    assert shown.startswith("Prediction(probabilities=array([")
    assert "link='sigmoid'" in shown
