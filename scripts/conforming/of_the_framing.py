"""What the documents say of bytes after the JSON, and of compressed bodies.

https://github.com/triton-inference-server/server, docs/protocol.
"""

import gzip
import zlib
from typing import Final

import numpy as np

from conforming.answers import answers, both, error, header, sigmoids
from conforming.case import (
    JSON_LENGTH,
    Case,
    Check,
    Request,
    binary,
    framed,
    get,
    infer,
    infer_path,
    tensor,
)
from conforming.of_the_protocol import SIGMOIDS, VALUES

_BINARY: Final = "Triton extension_binary_data.md"
_HTTP: Final = "Triton http_server.cc, RFC 9110"
_ERROR: Final = "400 and an error with a text"

_BYTES: Final = np.array(VALUES, "<f4").tobytes()
_BINARY_FLAT: Final = binary([2, 3], "FP32", _BYTES)
_RIGHT: Final = answers([2, 3], "FP32", SIGMOIDS)
_ROW: Final = np.zeros(30, "<f4").tobytes()
# Two bytes of each, the high half of a float32.
_HIGH_HALVES: Final = np.array(VALUES, "<f4").view("<u2")[1::2].tobytes()

MOST: Final = 64 * 2**20
"""Most bytes of a body once it is decompressed, by default."""


def _refused(name: str, sent: str, request: Request, *words: str) -> Case:
    return Case(name, _BINARY, sent, _ERROR, request, 400, error(*words))


def _said(size: int | None = None) -> dict[str, object]:
    parameters = {} if size is None else {"binary_data_size": size}
    return {"inputs": [tensor([2, 3], "FP32", None, parameters=parameters)]}


def _raw(model: str, data: bytes) -> Request:
    return Request("POST", infer_path(model), data, {JSON_LENGTH: "0"})


_BINARY_CASES: Final = (
    Case("binary in", _BINARY, "FP32", "200", _BINARY_FLAT, 200, _RIGHT),
    Case(
        "binary in and out",
        _BINARY,
        "FP64, and binary_data_output",
        "200; data after the JSON",
        binary(
            [6],
            "FP64",
            np.array(VALUES, "<f8").tobytes(),
            parameters={"binary_data_output": True},
        ),
        200,
        answers([6], "FP64", SIGMOIDS, is_binary=True),
    ),
    Case(
        "BF16",
        _BINARY,
        "BF16, and binary_data_output",
        "200; data after the JSON",
        binary([2, 3], "BF16", _HIGH_HALVES, parameters={"binary_data_output": True}),
        200,
        answers([2, 3], "BF16", SIGMOIDS, is_binary=True),
    ),
    Case(
        "no elements",
        _BINARY,
        "shape [0, 3], 0 bytes, and binary_data_output",
        "200, and an output of 0 bytes",
        binary([0, 3], "FP32", b"", parameters={"binary_data_output": True}),
        200,
        answers([0, 3], "FP32", [], is_binary=True),
    ),
    Case(
        "raw to a model",
        _BINARY,
        "a length of 0, and two rows",
        "200; all outputs after the JSON",
        _raw("breast-cancer", _ROW * 2),
        200,
        both(
            answers([2, 1], "FP32", name="logits", is_binary=True),
            answers([2], "BYTES", name="labels", is_binary=True),
        ),
    ),
    Case(
        "raw to sigmoid",
        _BINARY,
        "a length of 0, and 6 numbers",
        "200; all outputs after the JSON",
        _raw("sigmoid", _BYTES),
        200,
        answers([6], "FP32", SIGMOIDS, is_binary=True),
    ),
    _refused("raw, half a row", "half a row", _raw("breast-cancer", _ROW[:60]), "60"),
    *(
        _refused(
            f"length {length}",
            f"{JSON_LENGTH}: {length}",
            framed(_said(24), _BYTES, length=length),
            JSON_LENGTH,
        )
        for length in ("abc", "-1", "100000", "99999999999999999999")
    ),
    _refused(
        "no length",
        "bytes after the JSON, and no header",
        Request("POST", infer_path("sigmoid"), _BINARY_FLAT.body),
    ),
    _refused("bytes missing", "20 of 24 bytes", framed(_said(24), _BYTES[:20]), "24"),
    _refused("bytes too many", "28 for 24 bytes", framed(_said(24), _BYTES + b"1234")),
    _refused(
        "size is not the shape's",
        "binary_data_size 20 for 6 numbers",
        framed(_said(20), _BYTES[:20]),
        "24",
        "20",
    ),
    _refused(
        "data twice",
        "data and binary_data_size",
        framed(
            {
                "inputs": [
                    tensor([6], "FP32", VALUES, parameters={"binary_data_size": 24})
                ]
            },
            _BYTES,
        ),
        "data",
        "binary_data_size",
    ),
    _refused(
        "binary NaN",
        "NaN in the bytes",
        binary([1], "FP32", np.array([np.nan], "<f4").tobytes()),
    ),
)


def _compressed(name: str, body: bytes, length: int) -> Request:
    headers = {"Content-Encoding": name, JSON_LENGTH: str(length)}
    return Request("POST", infer_path("sigmoid"), body, headers)


_LENGTH: Final = int(_BINARY_FLAT.headers[JSON_LENGTH])
_LONG: Final = tensor([500], "FP64", [0.5] * 500)


def _asking(accepted: str, request: Request) -> Request:
    return request._replace(headers={**request.headers, "Accept-Encoding": accepted})


def _is_coded(coding: str | None) -> Check:
    values = sigmoids([0.5] * 500)
    return both(header("content-encoding", coding), answers([500], "FP64", values))


_COMPRESSION_CASES: Final = (
    *(
        Case(
            f"request in {name}",
            _HTTP,
            f"JSON and bytes together in {name}",
            "200; the length of the JSON is that before compression",
            _compressed(name, compress(_BINARY_FLAT.body), _LENGTH),
            200,
            _RIGHT,
        )
        for name, compress in (("gzip", gzip.compress), ("deflate", zlib.compress))
    ),
    Case(
        "request in br",
        _HTTP,
        "a coding that is not known",
        "415, and Accept-Encoding; Triton's is 501",
        _compressed("br", b"123", 3),
        415,
        both(error("br"), header("accept-encoding", "gzip, deflate")),
        deviation="415",
    ),
    Case(
        "bomb",
        _HTTP,
        "64 MiB and a byte, in gzip",
        "an error with a text",
        _compressed("gzip", gzip.compress(bytes(MOST + 1), 1), 0),
        413,
        error(str(MOST)),
    ),
    *(
        Case(
            f"answer in {coding}, asked for by {accepted}",
            _HTTP,
            f"Accept-Encoding: {accepted}",
            "the answer in that coding",
            _asking(accepted, infer(_LONG)),
            200,
            _is_coded(coding),
        )
        for accepted, coding in (
            ("gzip", "gzip"),
            ("deflate", "deflate"),
            ("gzip;q=0.5, identity;q=0.1", "gzip"),
        )
    ),
    Case(
        "answer as it is, where many codings are known",
        _HTTP,
        "Accept-Encoding: gzip, deflate, br, as HTTP libraries say of themselves",
        "the answer in one of them; Triton takes the first",
        _asking("gzip, deflate, br", infer(_LONG)),
        200,
        _is_coded(None),
        deviation="coding",
    ),
    Case(
        "metadata is not compressed",
        _HTTP,
        "GET metadata with Accept-Encoding: gzip",
        "JSON as it is: tritonclient.http.aio does not decompress it",
        _asking("gzip", get("/v2/models/breast-cancer")),
        200,
        header("content-encoding", None),
    ),
    Case(
        "errors are not compressed",
        _HTTP,
        "Accept-Encoding: gzip, and a wrong input",
        "JSON as it is",
        _asking("gzip", infer({**_LONG, "name": "x" * 2000})),
        400,
        error("inputs"),
    ),
)

CASES: Final = (*_BINARY_CASES, *_COMPRESSION_CASES)
