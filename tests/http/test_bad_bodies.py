"""Bad bodies: each has its status, its code and a pointer to the first bad element."""

import io
import json
from typing import Any

import httpx
import numpy as np
import pytest

NPY = "application/x-npy"
ROW = [0.0] * 30
DEEP = "[" * 33 + "0" + "]" * 33
ABSURD = "[" * 5000 + "0" + "]" * 5000

# path, body as text, status, code, pointer
JSON_BODIES: list[tuple[str, str, int, str, str | None]] = [
    *(
        (path, body, 400, "malformed_json", None)
        for path in ("/sigmoid", "/predict")
        for body in (
            "",
            "   ",
            "[1, 2]",
            "3",
            "null",
            '"inputs"',
            '{"inputs": [1, 2}',
            '{"inputs": [1, 2',
            '{"inputs": [1, 2]} x',
            '{"inputs": [1,, 2]}',
            '{"inputs": [01]}',
            '{"inputs": [.5]}',
            '{"inputs": [+1]}',
            "{'inputs': [1]}",
            '{"inputs": 1, "inputs": 2}',
            '{"inputs": {"a": 1, "a": 1}}',
            '{"\\ud800": 1}',
            '\ufeff{"inputs": 1}',
            '{"inputs": ' + "[" * 5000 + "}",
        )
    ),
    *(
        (path, body, 422, code, pointer)
        for path in ("/sigmoid", "/predict")
        for body, code, pointer in (
            ("{}", "missing_field", ""),
            ('{"inputs": [true]}', "not_a_number", "/inputs/0"),
            ('{"inputs": true}', "not_a_number", "/inputs"),
            ('{"inputs": null}', "missing_field", ""),
            ('{"inputs": null, "extra": null}', "unknown_field", "/extra"),
            ('{"inputs": "1.5"}', "not_a_number", "/inputs"),
            ('{"inputs": ["1.5"]}', "not_a_number", "/inputs/0"),
            ('{"inputs": [[1, 2], [3, null]]}', "not_a_number", "/inputs/1/1"),
            ('{"inputs": [1, {"a": 2}]}', "not_a_number", "/inputs/1"),
            ('{"inputs": [1, NaN]}', "not_a_number", "/inputs/1"),
            ('{"inputs": [Infinity]}', "not_a_number", "/inputs/0"),
            ('{"inputs": [-Infinity]}', "not_a_number", "/inputs/0"),
            ('{"inputs": [[1, 2], null]}', "not_a_number", "/inputs/1"),
            ('{"inputs": [[1,2],[3],[4,5,6]]}', "ragged", "/inputs/1"),
            ('{"inputs": [[1], 2]}', "ragged", "/inputs/1"),
            ('{"inputs": [1, [2]]}', "ragged", "/inputs/1"),
            ('{"inputs": [[], [1]]}', "ragged", "/inputs/1"),
            ('{"inputs": [[[1],[2]],[[3],[4,5]]]}', "ragged", "/inputs/1/1"),
            ('{"inputs": [[["x"],[2]],[[3]]]}', "not_a_number", "/inputs/0/0/0"),
            ('{"inputs": [1e400]}', "overflow", "/inputs/0"),
            ('{"inputs": [1, -1e999, true]}', "overflow", "/inputs/1"),
            ('{"inputs": [1' + "0" * 400 + "]}", "overflow", "/inputs/0"),
            ('{"inputs": ' + DEEP + "}", "rank", "/inputs"),
            ('{"inputs": ' + ABSURD + "}", "rank", "/inputs"),
            ('{"extra": 1, "inputs": [true]}', "unknown_field", "/extra"),
            ('{"inputs": [true], "extra": 1}', "not_a_number", "/inputs/0"),
            ('{"a/b~c": 1}', "unknown_field", "/a~1b~0c"),
        )
    ),
    ("/sigmoid", '{"inputs": [1e39]}', 422, "overflow", "/inputs/0"),
    ("/sigmoid", '{"inputs": 65520, "dtype": "float16"}', 422, "overflow", "/inputs"),
    (
        "/sigmoid",
        '{"inputs": [3.4e38], "dtype": "bfloat16"}',
        422,
        "overflow",
        "/inputs/0",
    ),
    ("/sigmoid", '{"inputs": 1, "dtype": "int8"}', 422, "dtype", "/dtype"),
    ("/sigmoid", '{"inputs": 1, "dtype": 32}', 422, "dtype", "/dtype"),
    ("/sigmoid", '{"inputs": null, "batch": null}', 422, "missing_field", ""),
    ("/sigmoid", '{"inputs": 1, "dtype": "null"}', 422, "dtype", "/dtype"),
    ("/sigmoid", '{"batch": [0, null]}', 422, "not_a_number", "/batch/1"),
    ("/sigmoid", '{"inputs": 1, "batch": [1]}', 422, "unknown_field", "/batch"),
    ("/sigmoid", '{"batch": [1], "inputs": 1}', 422, "unknown_field", "/inputs"),
    ("/sigmoid", '{"batch": 1}', 422, "rank", "/batch"),
    ("/sigmoid", '{"batch": "x"}', 422, "not_a_number", "/batch"),
    ("/sigmoid", '{"batch": [1, [true]]}', 422, "not_a_number", "/batch/1/0"),
    ("/sigmoid", '{"batch": [[1, [2]]]}', 422, "ragged", "/batch/0/1"),
    ("/sigmoid", '{"dtype": "float16"}', 422, "missing_field", ""),
    ("/predict", '{"inputs": 1, "dtype": "float32"}', 422, "rank", "/inputs"),
    ("/predict", '{"dtype": "float32", "inputs": 1}', 422, "unknown_field", "/dtype"),
    ("/predict", '{"inputs": []}', 422, "features", "/inputs"),
    ("/predict", '{"inputs": [[],[]]}', 422, "features", "/inputs/0"),
    ("/predict", '{"inputs": [1, 2, 3]}', 422, "features", "/inputs"),
    ("/predict", '{"inputs": [[1, 2, 3]]}', 422, "features", "/inputs/0"),
    ("/predict", '{"inputs": {}}', 422, "features", "/inputs"),
    ("/predict", '{"inputs": {"typo": 1}}', 422, "features", "/inputs/typo"),
    (
        "/predict",
        '{"inputs": [{"mean radius": "x"}]}',
        422,
        "not_a_number",
        "/inputs/0/mean radius",
    ),
    (
        "/predict",
        json.dumps({"inputs": [[*ROW[:-1], 1e300]]}),
        422,
        "overflow",
        "/inputs/0/29",
    ),
    (
        "/sigmoid",
        json.dumps({"inputs": [0] * 1001}),
        413,
        "too_many_elements",
        "/inputs",
    ),
    (
        "/sigmoid",
        json.dumps({"batch": [[0] * 600, [0] * 401]}),
        413,
        "too_many_elements",
        "/batch/1",
    ),
    (
        "/predict",
        json.dumps({"inputs": [ROW] * 34}),
        413,
        "too_many_elements",
        "/inputs",
    ),
    ("/sigmoid", '{"inputs": "' + "x" * 200_000 + '"}', 413, "body_too_large", None),
    ("/predict", '{"inputs": "' + "x" * 200_000 + '"}', 413, "body_too_large", None),
]


def array(values: Any, **kwargs: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array(values, **kwargs), allow_pickle=True)
    return buffer.getvalue()


def with_header(text: str, data: bytes = b"", version: int = 1) -> bytes:
    header = text.encode()
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes((version, 0)) + length + header + data


GOOD = array([0.0, 1.0])
HEAD = "{{'descr': {}, 'fortran_order': {}, 'shape': {}}}"

NPY_BODIES: list[tuple[bytes, int, str]] = [
    (b"", 422, "bad_npy"),
    (b"\x93NUM", 422, "bad_npy"),
    (b"\x93NUMPY", 422, "bad_npy"),
    (b"PK\x03\x04" + b"0" * 100, 422, "bad_npy"),
    (b"\x93NUMPY\x09\x00" + GOOD[8:], 422, "bad_npy"),
    (b"\x93NUMPY\x01\x07" + GOOD[8:], 422, "bad_npy"),
    (GOOD[:50], 422, "bad_npy"),
    (GOOD[:-1], 422, "bad_npy"),
    (GOOD + b"\x00", 422, "bad_npy"),
    (with_header("__import__('os').abort()"), 422, "bad_npy"),
    (with_header("(" * 300), 422, "bad_npy"),
    (with_header("'\\d'"), 422, "bad_npy"),
    (with_header("[1]"), 422, "bad_npy"),
    (with_header(HEAD.format("'<f٤'", False, "(1,)"), b"0000", 3), 422, "dtype"),
    (
        with_header("\x0b" + HEAD.format("'<f4'", False, "(1,)"), b"0000"),
        422,
        "bad_npy",
    ),
    (with_header("{[]: 1}"), 422, "bad_npy"),
    (with_header("{'descr': '<f4'}"), 422, "bad_npy"),
    (with_header(HEAD.format("'<f4'", 0, "(1,)"), b"0000"), 422, "bad_npy"),
    (with_header(HEAD.format("'<f4'", False, "[1]"), b"0000"), 422, "bad_npy"),
    (with_header(HEAD.format("'<f4'", False, "(-1,)")), 422, "bad_npy"),
    (with_header(HEAD.format("'<f4'", False, "(True,)"), b"0000"), 422, "bad_npy"),
    (with_header(HEAD.format("'<f4'", False, "(3,)"), b"0000"), 422, "bad_npy"),
    (with_header(HEAD.format("'<f3'", False, "(1,)"), b"000"), 422, "dtype"),
    (with_header(HEAD.format("[('a', '<f4')]", False, "(1,)"), b"0000"), 422, "dtype"),
    (with_header(HEAD.format("5", False, "(1,)"), b"0000"), 422, "dtype"),
    (array([True]), 422, "dtype"),
    (array(["a"]), 422, "dtype"),
    (array([1j]), 422, "dtype"),
    (array([{}], dtype=object), 422, "dtype"),
    (array([np.nan]), 422, "not_a_number"),
    (array([[1.0, np.inf]], dtype=np.float16), 422, "not_a_number"),
    (with_header(HEAD.format("'<f4'", False, (1,) * 33), b"0000"), 422, "rank"),
    (array(np.zeros(1001)), 413, "too_many_elements"),
    (with_header(HEAD.format("'<f8'", False, (0, 10**30))), 413, "too_many_elements"),
]


def check(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    assert len(response.content) <= 4096
    problem: dict[str, Any] = response.json()
    assert (response.status_code, problem["code"]) == (status, code)
    assert problem["status"] == status
    assert problem["type"] == f"urn:sigmoid-serve:{code}"
    assert problem["request_id"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text
    return problem


def test_there_are_many() -> None:
    assert len(JSON_BODIES) + 2 * len(NPY_BODIES) >= 60


@pytest.mark.parametrize(("path", "body", "status", "code", "pointer"), JSON_BODIES)
def test_json(
    client: httpx.Client, path: str, body: str, status: int, code: str, pointer: str
) -> None:
    response = client.post(
        path,
        content=body.encode("utf-8", "surrogatepass"),
        headers={"Content-Type": "application/json"},
    )
    assert check(response, status, code).get("pointer") == pointer


@pytest.mark.parametrize("path", ["/sigmoid", "/predict"])
@pytest.mark.parametrize(("body", "status", "code"), NPY_BODIES)
def test_npy(
    client: httpx.Client, path: str, body: bytes, status: int, code: str
) -> None:
    response = client.post(path, content=body, headers={"Content-Type": NPY})
    assert "pointer" not in check(response, status, code)


def test_npy_of_another_width(client: httpx.Client) -> None:
    for values, code in ((np.zeros(3), "features"), (np.zeros(()), "rank")):
        response = client.post(
            "/predict", content=array(values), headers={"Content-Type": NPY}
        )
        check(response, 422, code)


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", '{"inputs": 1}'.encode("utf-16"), b'"\x80"']
)
def test_not_utf8(client: httpx.Client, body: bytes) -> None:
    check(client.post("/sigmoid", content=body), 400, "malformed_json")


def test_a_chunked_body_is_counted(client: httpx.Client) -> None:
    chunks = (b" " * 50_000 for _ in range(5))
    check(client.post("/sigmoid", content=chunks), 413, "body_too_large")


def test_records_and_rows_do_not_mix(client: httpx.Client) -> None:
    names = client.get("/models/breast-cancer").json()["feature_names"]
    record = dict.fromkeys(names, 0)
    mixed: list[tuple[Any, str, str | None]] = [
        ([record, ROW], "ragged", "/inputs/1"),
        ([record, None], "not_a_number", "/inputs/1"),
        ([ROW, record], "not_a_number", "/inputs/1"),
        ([[record]], "not_a_number", "/inputs/0/0"),
        ([record, {**record, "mean radius": True}], "not_a_number", None),
        ([record, {"mean radius": 1}], "features", "/inputs/1"),
        ({**record, "mean radius": 1e300}, "overflow", "/inputs/mean radius"),
    ]
    for inputs, code, pointer in mixed:
        problem = check(client.post("/predict", json={"inputs": inputs}), 422, code)
        assert pointer is None or problem["pointer"] == pointer


@pytest.mark.parametrize("size", [10, 127, 128, 129, 5000])
@pytest.mark.parametrize("letter", ["x", '"', "\\", "\x00", "\U0001f600", "é"])
def test_long_names_stay_bounded(client: httpx.Client, letter: str, size: int) -> None:
    body = json.dumps({letter * size: 1})
    response = client.post("/sigmoid", content=body)
    check(response, 422, "unknown_field")


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "text/csv"}, 415, "unsupported_media_type"),
        ({"Content-Type": "application/json; charset=latin-1"}, 415, None),
        ({"Content-Encoding": "br"}, 415, "unsupported_media_type"),
        ({"Accept": "text/html"}, 406, "not_acceptable"),
        ({"Accept": "*/*;q=0"}, 406, "not_acceptable"),
        ({"Accept": "application/json;q=x"}, 406, "not_acceptable"),
        ({"Accept": "é" * 4000}, 406, "not_acceptable"),
    ],
)
@pytest.mark.parametrize("path", ["/sigmoid", "/predict"])
def test_headers(
    client: httpx.Client, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    response = client.post(path, content=b'{"inputs": 0}', headers=raw)
    check(response, status, code or "unsupported_media_type")


def test_curl_is_shown_the_header(client: httpx.Client) -> None:
    response = client.post("/predict", data={"a": "b"})
    assert "-H 'Content-Type: application/json'" in response.json()["detail"]


@pytest.mark.parametrize(
    "document", [{"batch": [1]}, {"inputs": 1, "dtype": "bfloat16"}]
)
def test_what_npy_cannot_hold(client: httpx.Client, document: Any) -> None:
    response = client.post("/sigmoid", json=document, headers={"Accept": NPY})
    check(response, 406, "not_acceptable")


@pytest.mark.parametrize("query", ["output=labels", "ouput=logits", "output="])
def test_query(client: httpx.Client, query: str) -> None:
    response = client.post(f"/predict?{query}", json={"inputs": ROW})
    check(response, 422, "unknown_field")
