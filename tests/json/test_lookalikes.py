"""Bodies in another guise: the answer says what they are, and what to do."""

import gzip
import io
import json
import pickle
import zipfile
import zlib
from typing import Any

import httpx
import numpy as np
import pytest

from tests.admission.test_queue import npy_bytes

NPY = "application/x-npy"
JSON = '{"inputs": [1.0, 2.0]}'
ARRAY = np.ones(3, np.float32)


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("array.npy", npy_bytes(ARRAY))
    return file.getvalue()


# What is sent as JSON, and words of the answer.
AS_JSON: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "BOM": (b"\xef\xbb\xbf" + JSON.encode(), ("byte order mark", "without one")),
    "BOM alone": (b"\xef\xbb\xbf", ("byte order mark",)),
    "UTF-16": (JSON.encode("utf-16"), ("UTF-16", "UTF-8")),
    "UTF-16, big-endian": (JSON.encode("utf-16-be"), ("UTF-16", "UTF-8")),
    "UTF-16, little-endian": (JSON.encode("utf-16-le"), ("UTF-16", "UTF-8")),
    "UTF-32": (JSON.encode("utf-32"), ("UTF-32", "UTF-8")),
    "gzip": (gzip.compress(JSON.encode()), ("Content-Encoding: gzip",)),
    "zlib": (zlib.compress(JSON.encode()), ("Content-Encoding: deflate",)),
    "zlib, fast": (zlib.compress(JSON.encode(), 1), ("Content-Encoding: deflate",)),
    "zlib, best": (zlib.compress(JSON.encode(), 9), ("Content-Encoding: deflate",)),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x00", ("zstd", "Content-Encoding: gzip")),
    "npy": (npy_bytes(ARRAY), ("Content-Type: application/x-npy",)),
    "npz": (zipped(), ("zip archive", "numpy.save")),
    "pickle": (pickle.dumps([1.0]), ("pickle", "never read")),
    "HDF5": (b"\x89HDF\r\n\x1a\n", ("HDF5",)),
    "Parquet": (b"PAR1\x15\x04", ("Parquet",)),
    "image": (b"\x89PNG\r\n\x1a\n", ("image", "pixels")),
    "XML": (b"<?xml version='1.0'?>", ("XML or HTML",)),
    "form": (b'--x\r\nContent-Disposition: form-data; name="a"', ("multipart form",)),
}


@pytest.mark.parametrize("name", AS_JSON)
@pytest.mark.parametrize("path", ["/sigmoid", "/predict", "/sigmoid?"])
def test_what_is_sent_as_json(client: httpx.Client, path: str, name: str) -> None:
    body, words = AS_JSON[name]
    for filler in (b"", b" " * 100_000):
        answered = client.post(path, content=body + filler)
        problem = answered.json()
        assert (answered.status_code, problem["code"]) == (400, "malformed_json")
        assert problem["detail"].startswith("the body is not valid JSON: it ")
        for word in words:
            assert word in problem["detail"]


AS_NPY: dict[str, tuple[bytes, str]] = {
    "JSON": (JSON.encode(), "Content-Type: application/json"),
    "JSON, white space": (b"\r\n [1]", "Content-Type: application/json"),
    "gzip": (gzip.compress(npy_bytes(ARRAY)), "Content-Encoding: gzip"),
    "npz": (zipped(), "zip archive"),
    "pickle": (pickle.dumps(ARRAY), "never read"),
    "nothing known": (b"123", "does not start with"),
    "nothing": (b"", "does not start with"),
}


@pytest.mark.parametrize("name", AS_NPY)
def test_what_is_sent_as_npy(client: httpx.Client, name: str) -> None:
    body, word = AS_NPY[name]
    for path in ("/sigmoid", "/predict"):
        answered = client.post(path, content=body, headers={"Content-Type": NPY})
        problem = answered.json()
        assert (answered.status_code, problem["code"]) == (422, "bad_npy")
        assert word in problem["detail"]


ROWS = [[0.0] * 30]
TENSOR = {"name": "x", "shape": [1, 30], "datatype": "FP32", "data": ROWS}
# A body of another server, the code, and words of the answer.
FOREIGN: list[tuple[dict[str, Any], str, tuple[str, ...]]] = [
    ({"instances": ROWS}, "unknown_field", ("KServe V1", "rows as inputs")),
    (
        {"signature_name": "serving_default", "instances": ROWS},
        "unknown_field",
        ("TensorFlow Serving", "leave it out"),
    ),
    ({"data": ROWS}, "unknown_field", ("field data", "as inputs")),
    ({"data": {"ndarray": ROWS}}, "unknown_field", ("field data", "as inputs")),
    ({"dataframe_split": {"data": ROWS}}, "unknown_field", ("MLflow", "as inputs")),
    ({"dataframe_records": []}, "unknown_field", ("MLflow", "as inputs")),
    ({"input_data": ROWS}, "unknown_field", ("as inputs",)),
    ({"columns": [], "index": [], "data": ROWS}, "unknown_field", ("pandas",)),
    ({"input": ROWS}, "unknown_field", ("called inputs here",)),
    ({"features": ROWS}, "unknown_field", ("called inputs here",)),
    ({"X": ROWS}, "unknown_field", ("called inputs here",)),
    (
        {"id": "1", "inputs": ROWS},
        "unknown_field",
        ("Open Inference Protocol", "/v2/models/NAME/infer"),
    ),
    ({"nothing known": 1}, "unknown_field", ("got the field nothing known",)),
]


@pytest.mark.parametrize(("body", "code", "words"), FOREIGN, ids=repr)
def test_fields_of_other_servers(
    client: httpx.Client, body: dict[str, Any], code: str, words: tuple[str, ...]
) -> None:
    for path in ("/predict", "/sigmoid"):
        problem = client.post(path, json=body).json()
        assert (problem["status"], problem["code"]) == (422, code)
        assert problem["pointer"] == "/" + next(iter(body))
        for word in words:
            assert word in problem["detail"]


@pytest.mark.parametrize(
    ("path", "code", "pointer"),
    [
        ("/predict", "features", "/inputs/0/name"),
        ("/models/digits/predict", "features", "/inputs/0/name"),
        ("/sigmoid", "not_a_number", "/inputs/0"),
    ],
)
def test_tensors_of_the_open_inference_protocol(
    client: httpx.Client, path: str, code: str, pointer: str
) -> None:
    problem = client.post(path, json={"inputs": [TENSOR]}).json()
    assert (problem["code"], problem["pointer"]) == (code, pointer)
    assert "Open Inference Protocol" in problem["detail"]
    assert "/v2/models/NAME/infer" in problem["detail"]
    assert "the data alone" in problem["detail"]


def test_columns_in_place_of_rows(client: httpx.Client) -> None:
    """As `DataFrame.to_dict("list")` writes them."""
    names = client.get("/models/breast-cancer").json()["feature_names"]
    columns = {name: [0.0, 1.0] for name in names}
    problem = client.post("/predict", json={"inputs": columns}).json()
    assert problem["code"] == "ragged"
    assert problem["pointer"] == f"/inputs/{names[0]}"
    assert "send a list of records" in problem["detail"]
    assert client.post(
        "/predict", content=json.dumps({"inputs": dict.fromkeys(names, 0.0)})
    ).json()["shape"] == [1]
