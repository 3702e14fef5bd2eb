"""Compressed answers: for whom, and that they are read back."""

import gzip
import zlib
from collections.abc import Callable

import httpx
import numpy as np
import pytest

from sigmoid_serve.errors import Expired
from sigmoid_serve.http.protocols.open_inference.compression import (
    compress,
    wanted_encoding,
)
from sigmoid_serve.inference.media import Encoding
from sigmoid_serve.inference.request import InferenceResponse
from sigmoid_serve.json.text import no_check

READERS: dict[Encoding, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}

# What clients say of themselves, unasked.
ADVERTISED = {
    "curl, Java": None,
    "httpx": "gzip, deflate, br, zstd",
    "httpx alone": "gzip, deflate",
    "requests": "gzip, deflate",
    "aiohttp": "gzip, deflate, br",
    "Chromium": "gzip, deflate, br, zstd",
    "Safari": "gzip, deflate, br",
    "Rust": "gzip, br",
    "identity": "identity",
}

WISHES: dict[str, Encoding] = {
    "gzip": "gzip",
    "deflate": "deflate",
    "GZip": "gzip",
    "x-gzip": "gzip",
    "x-gzip, gzip": "gzip",
    "gzip;q=1.0, identity;q=0.5": "gzip",
    "gzip;q=1.0, identity; q=0.5, *;q=0": "gzip",
    "identity, gzip": "gzip",
    "gzip;q=0.001": "gzip",
    "deflate ; Q=.5": "deflate",
    "gzip, br;q=0, deflate;q=0": "gzip",
    "gzip, *;q=0": "gzip",
    ",gzip,, ": "gzip",
    "*, identity;q=0": "gzip",
    "identity;q=0, *;q=0.1": "gzip",
    "identity;q=0, gzip, deflate, br": "gzip",
    "identity;q=0, deflate, gzip": "deflate",
    "identity;q=0, gzip;q=0.5, deflate;q=0.8, br": "deflate",
    "identity;q=0, *, gzip;q=0": "deflate",
    "gzip, deflate;q=0.9, *;q=0": "gzip",
    "gzip;q=0.8, deflate;q=0.9, br, *;q=0.0": "deflate",
}

NO_WISHES = {
    "empty": "",
    "anything": "*",
    "anything, weighted": "*;q=0.5",
    "nothing at all": "*;q=0",
    "identity only": "identity, *;q=0",
    "no identity, and nothing else": "identity;q=0",
    "no identity, but another": "identity;q=0, br",
    "no coding": "gzip;q=0, deflate;q=0, identity;q=0",
    "refused": "gzip;q=0",
    "another": "br",
    "one and anything": "gzip, *",
    "identity rather": "gzip;q=0.5, identity",
    "two with weights": "gzip;q=1.0, deflate;q=0.5",
    "no weight": "gzip;q=high",
    "beyond weights": "gzip;q=2",
    "not a number": "gzip;q=nan",
    "no comma": "gzip deflate",
    "quoted": '"gzip"',
    "separators": ";;,,=;q=,",
    "no text": b"\xff\x00\xfe".decode("latin-1"),
    "many": "gzip," * 1000,
    "very long": "a" * 60_000,
    "many parameters": "gzip" + ";a=b" * 1000,
}


@pytest.mark.parametrize("client", ADVERTISED)
def test_what_libraries_advertise_is_no_wish(client: str) -> None:
    header = ADVERTISED[client]
    assert wanted_encoding(header.encode() if header is not None else None) is None


@pytest.mark.parametrize("header", WISHES)
def test_wishes(header: str) -> None:
    assert wanted_encoding(header.encode()) == WISHES[header]


@pytest.mark.parametrize("case", NO_WISHES)
def test_no_wishes_and_no_errors(case: str) -> None:
    assert wanted_encoding(NO_WISHES[case].encode("latin-1")) is None


def response(*pieces: bytes | memoryview) -> InferenceResponse:
    line = (b"inference-header-content-length", b"2")
    return InferenceResponse(pieces, "application/octet-stream", (line,))


@pytest.mark.parametrize("encoding", READERS)
def test_compressed_answers_are_read_back(encoding: Encoding) -> None:
    numbers = np.random.default_rng(0).normal(size=300_000).astype(np.float32)
    plain = response(b"{}", b"", numbers.view(np.uint8).data, b"x")
    packed = compress(plain, encoding, no_check)
    body = b"".join(packed.pieces)
    assert READERS[encoding](body) == b"".join(plain.pieces)
    assert all(packed.pieces)
    assert packed.media_type == plain.media_type
    assert packed.headers == (
        *plain.headers,
        (b"content-encoding", encoding.encode()),
    )
    assert len(body) < sum(map(len, plain.pieces))
    again = compress(plain, encoding, no_check)
    assert b"".join(again.pieces) == body


@pytest.mark.parametrize("encoding", READERS)
def test_nothing_is_compressed_to_a_whole_stream(encoding: Encoding) -> None:
    body = b"".join(compress(response(), encoding, no_check).pieces)
    assert READERS[encoding](body) == b""


def test_nobody_learns_when_it_was_compressed() -> None:
    body = b"".join(compress(response(b"{}"), "gzip", no_check).pieces)
    assert body[:8] == b"\x1f\x8b\x08\0\0\0\0\0"


def test_a_deadline_ends_it() -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Expired("encode", "it is late")

    with pytest.raises(Expired):
        compress(response(bytes(2**22)), "gzip", check)
    assert calls == 3


# A row, as the client of these tests sends it; `Accept-Encoding` is its own.
ROW = {"name": "inputs", "shape": [1, 30], "datatype": "FP32", "data": [0.5] * 30}
PATHS = ["/v2/models/breast-cancer/infer", "/v2/models/sigmoid/infer"]


def received(
    client: httpx.Client, path: str, accept: str | None, *, is_binary: bool = False
) -> tuple[httpx.Headers, bytes]:
    """Ask, and return the body as it comes over the wire."""
    document = {"inputs": [ROW], "parameters": {"binary_data_output": is_binary}}
    request = client.build_request("POST", path, json=document)
    del request.headers["accept-encoding"]
    if accept is not None:
        request.headers["accept-encoding"] = accept
    answer = client.send(request, stream=True)
    assert answer.status_code == 200
    body = b"".join(answer.iter_raw())
    assert int(answer.headers["content-length"]) == len(body)
    return answer.headers, body


@pytest.mark.parametrize("is_binary", [False, True], ids=["json", "binary"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("encoding", READERS)
def test_over_the_wire(
    client: httpx.Client, encoding: Encoding, path: str, is_binary: bool
) -> None:
    plain, want = received(client, path, None, is_binary=is_binary)
    assert "content-encoding" not in plain
    headers, body = received(client, path, encoding, is_binary=is_binary)
    assert headers["content-encoding"] == encoding
    assert READERS[encoding](body) == want
    for name in ("content-type", "inference-header-content-length"):
        assert headers.get(name) == plain.get(name)


@pytest.mark.parametrize("client_name", ["httpx", "aiohttp"])
def test_unasked_over_the_wire(client: httpx.Client, client_name: str) -> None:
    _, want = received(client, PATHS[0], None)
    headers, body = received(client, PATHS[0], ADVERTISED[client_name])
    assert "content-encoding" not in headers
    assert body == want


def test_errors_and_metadata_are_never_compressed(client: httpx.Client) -> None:
    wish = {"Accept-Encoding": "gzip"}
    for answer in (
        client.post(PATHS[0], json={"inputs": []}, headers=wish),
        client.get("/v2/models/breast-cancer", headers=wish),
        client.get("/v2", headers=wish),
    ):
        assert "content-encoding" not in answer.headers
