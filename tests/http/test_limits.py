"""Every limit: what is at it, just under it and just over it."""

import gzip
import json
import re
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from sigmoid_serve.configuration.limits import LIMITS
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.http.bodies import inflate
from sigmoid_serve.inference.media import NPY
from sigmoid_serve.json.text import no_check
from tests.admission.test_queue import (
    FEATURES,
    NAME,
    Served,
    busy,
    json_bytes,
    npy_bytes,
    post_npy,
    save_wide,
    serving,
)
from tests.inference.test_deadlines import arrived
from tests.server.test_connection import answer as read_answer
from tests.server.test_connection import post
from tests.server.test_slow_senders import last_words, verdict

SMALL = Settings(
    max_body_bytes=60_000,
    max_inflated_bytes=80_000,
    max_elements=1500,
    max_rank=4,
    max_rows=20,
    max_queue_elements=3000,
    header_seconds=1,
    body_seconds=1,
)
MODEL = "breast-cancer"
GOOD = b'{"inputs": 0}'


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving(SMALL) as served:
        yield served


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_wide(tmp_path_factory.mktemp(NAME))


def ask(client: httpx.Client, path: str, body: Any) -> httpx.Response:
    """Post what a body is made of: an array as .npy, anything else as JSON."""
    if isinstance(body, np.ndarray):
        return post_npy(client, path, body)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(path, content=content)


def assert_refused(
    response: httpx.Response, setting: str, status: int, code: str
) -> None:
    problem = response.json()
    assert (response.status_code, problem["code"]) == (status, code), problem
    limit = f"{getattr(SMALL, setting)}"
    assert re.search(rf"\b{limit} .*\(SIGMOID_{setting.upper()}\)", problem["detail"])
    assert len(problem["detail"]) < 400


Sized = Callable[[int], tuple[str, Any]]
"""What to post, and where to, so that a request has a given size."""


def assert_exact(
    client: httpx.Client, setting: str, status: int, code: str, *sized: Sized
) -> None:
    """Ask with sizes around a limit."""
    limit = getattr(SMALL, setting)
    for make in sized:
        for size in (limit - 1, limit):
            answer = ask(client, *make(size))
            assert answer.status_code == 200, (setting, size, answer.text)
        for size in (limit + 1, 2 * limit + 1):
            assert_refused(ask(client, *make(size)), setting, status, code)


def nested(rank: int) -> Any:
    return [nested(rank - 1)] if rank else 0


def row_nested(rank: int) -> Any:
    return [row_nested(rank - 1)] if rank > 1 else [0] * 30


def halves(size: int) -> list[list[int]]:
    return [[0] * (size // 2), [0] * (size - size // 2)]


def check_elements(served: Served, wide: Path) -> None:
    assert_exact(
        served.client,
        "max_elements",
        413,
        "too_many_elements",
        lambda size: ("/sigmoid", np.zeros(size, np.float16)),
        lambda size: ("/sigmoid", {"inputs": [0] * size}),
        lambda size: ("/sigmoid", {"inputs": [[0.25]] * size}),
        lambda size: ("/sigmoid", {"batch": halves(size)}),
        lambda size: ("/sigmoid", {"batch": [0] * size}),
        lambda size: ("/sigmoid", {"batch": [[0]] * size, "dtype": "float64"}),
        lambda size: ("/sigmoid", np.zeros((size, 1), np.float64)),
        lambda size: ("/sigmoid", np.zeros((1, size), np.int8)),
    )
    # A row has a whole number of them.
    for name, features in (("digits", 64), (MODEL, 30)):
        path = f"/models/{name}/predict"
        assert ask(served.client, path, {"inputs": [[0] * features] * 15}).is_success
        bodies: tuple[Any, ...] = (
            {"inputs": [[0] * features] * (SMALL.max_elements // features + 1)},
            np.zeros((SMALL.max_elements // features + 1, features), np.float16),
        )
        for body in bodies:
            answer = ask(served.client, path, body)
            assert_refused(answer, "max_elements", 413, "too_many_elements")


def check_rank(served: Served, wide: Path) -> None:
    assert_exact(
        served.client,
        "max_rank",
        422,
        "rank",
        lambda rank: ("/sigmoid", {"inputs": nested(rank)}),
        lambda rank: ("/sigmoid", {"batch": [0, nested(rank), [1]]}),
        lambda rank: ("/sigmoid", {"batch": [nested(rank)] * 2}),
        lambda rank: ("/sigmoid", np.zeros((1,) * rank, np.float32)),
        lambda rank: ("/predict", {"inputs": row_nested(rank)}),
        lambda rank: ("/predict", np.zeros((*[1] * (rank - 1), 30), np.float32)),
    )
    problem = ask(served.client, "/sigmoid", {"batch": [0, nested(5)]}).json()
    assert problem["pointer"] == "/batch/1"


def check_rows(served: Served, wide: Path) -> None:
    names = served.client.get(f"/models/{MODEL}").json()["feature_names"]
    record = dict.fromkeys(names, 1)
    assert_exact(
        served.client,
        "max_rows",
        413,
        "too_many_elements",
        *(
            made
            for path in (
                "/predict",
                f"/models/{MODEL}/predict",
                f"/models/{MODEL}/versions/1/predict",
            )
            for made in (
                lambda rows, path=path: (path, {"inputs": [[0] * 30] * rows}),
                lambda rows, path=path: (path, {"inputs": [[[0] * 30]] * rows}),
                lambda rows, path=path: (path, {"inputs": [[[0] * 30] * rows]}),
                lambda rows, path=path: (path, {"inputs": [record] * rows}),
                lambda rows, path=path: (path, np.zeros((rows, 30), np.float32)),
                lambda rows, path=path: (path, np.zeros((1, rows, 30), np.int8)),
            )
        ),
    )


def check_body_bytes(served: Served, wide: Path) -> None:
    limit = SMALL.max_body_bytes
    assert_exact(
        served.client,
        "max_body_bytes",
        413,
        "body_too_large",
        lambda size: ("/sigmoid", GOOD.ljust(size)),
        lambda size: (
            "/predict",
            b'{"inputs": [0%b]}' % (b", 0" * 29) + b" " * (size - 102),
        ),
    )
    for size, status in ((limit - 1, 200), (limit, 200), (limit + 1, 413)):
        for cut in (1, 7, size // 2, size - 1):
            body = GOOD.ljust(size)
            answer = served.client.post(
                "/sigmoid", content=iter([body[:cut], body[cut:]])
            )
            assert answer.status_code == status
            if status == 413:
                assert_refused(answer, "max_body_bytes", 413, "body_too_large")
    # What is declared is refused before a byte of it is sent.
    for length in (limit + 1, 10**12, 10**30):
        with served.connect() as wire:
            head = (
                f"POST /sigmoid HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
            )
            wire.sendall(head.encode())
            if length < 2**63:
                line, body, _ = read_answer(wire)
                assert line.startswith(b"HTTP/1.1 413 ")
                assert b"SIGMOID_MAX_BODY_BYTES" in body
            else:  # not a length to the parser
                assert wire.recv(2**16).startswith(b"HTTP/1.1 400 ")


def deflated(body: bytes) -> bytes:
    return zlib.compress(body)


def gzipped(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzipped,
    "x-gzip": gzipped,
    "GZIP": gzipped,
    "deflate": deflated,
}


def check_inflated_bytes(served: Served, wide: Path) -> None:
    limit = SMALL.max_inflated_bytes
    for name, coder in CODERS.items():
        for size in (limit - 1, limit):
            answer = send(served, coder(GOOD.ljust(size)), name)
            assert answer.json()["outputs"] == 0.5
        for size in (limit + 1, 20 * limit):
            answer = send(served, coder(GOOD.ljust(size)), name)
            assert_refused(answer, "max_inflated_bytes", 413, "body_too_large")
            answer = send(served, coder(bytes(size)), name, NPY)
            assert_refused(answer, "max_inflated_bytes", 413, "body_too_large")


def check_batch_rows(served: Served, wide: Path) -> None:
    """A request of more rows is split, and its answer has the same bits."""
    rows = np.random.default_rng(0).normal(size=(130, FEATURES)).astype(np.float32)
    with serving(Settings(), [wide]) as whole:
        want = [post_npy(whole.client, "/predict", rows[:n]).json() for n in SIZES]
    with serving(Settings(max_batch_rows=64, threads=1), [wide]) as split:
        for size, batches, wanted in zip(SIZES, (1, 1, 2, 2, 3), want, strict=True):
            before = split.metric("sigmoid_batch_rows_count")
            assert post_npy(split.client, "/predict", rows[:size]).json() == wanted
            after = split.metric("sigmoid_batch_rows_count")
            assert (size, after - before) == (size, batches)
        most = split.metric("sigmoid_batch_rows_count")
        assert split.metric("sigmoid_batch_rows_bucket", le="64.0") == most


SIZES = (63, 64, 65, 128, 129)


def check_queue_elements(served: Served, wide: Path) -> None:
    """What is counted of a body is one element in two bytes."""
    elements = 30 * FEATURES
    settings = Settings(max_elements=elements, max_queue_elements=2 * elements + 50)
    with (
        serving(settings, [wide], taken=elements) as full,
        busy(full, 30) as first,
    ):
        arrived(full, 2 * elements)
        for size, status in ((99, 200), (101, 200), (102, 429), (204, 429)):
            answer = full.client.post("/sigmoid", content=GOOD.ljust(size))
            assert answer.status_code == status
            if status == 429:
                problem = answer.json()
                assert problem["code"] == "queue_full"
                limit = settings.max_queue_elements
                assert f"{limit} (SIGMOID_MAX_QUEUE_ELEMENTS)" in problem["detail"]
                assert int(answer.headers["Retry-After"]) >= 1
    assert first.result().status_code == 200


def check_answer_bytes(served: Served, wide: Path) -> None:
    """Of every kind of answer, exactly."""
    asked: list[dict[str, Any]] = [
        {"url": "/sigmoid", "json": {"inputs": [[0.25] * 400] * 3}},
        {"url": "/sigmoid", "json": {"batch": [[0.25] * 400, 1, [[2]]] * 3}},
        {"url": "/sigmoid", "json": {"inputs": [0.25] * 1200, "dtype": "bfloat16"}},
        {
            "url": "/sigmoid",
            "content": npy_bytes(np.zeros((1200, 1, 1, 1, 1), np.int8)),
            "headers": {"Content-Type": NPY},
        },
        {
            "url": "/sigmoid",
            "content": npy_bytes(np.zeros(1200)),
            "headers": {"Content-Type": NPY, "Accept": NPY},
        },
        {"url": "/predict", "json": {"inputs": [[0.5] * 30] * 300}},
        {"url": f"/models/{MODEL}/predict", "json": {"inputs": [[[0.5] * 30] * 300]}},
        {
            "url": "/predict?output=logits",
            "json": {"inputs": [[0.5] * 30] * 1100},
            "headers": {"Accept": NPY},
        },
    ]
    with serving(Settings()) as free:
        lengths = [len(free.client.post(**request).content) for request in asked]
    for request, length in zip(asked, lengths, strict=True):
        for most in (length, length - 1):
            with serving(Settings(max_answer_bytes=most)) as bounded:
                answer = bounded.client.post(**request)
            if most == length:
                assert (answer.status_code, len(answer.content)) == (200, length)
            else:
                told = f"{most} bytes (SIGMOID_MAX_ANSWER_BYTES)"
                assert answer.status_code == 413
                assert told in answer.json()["detail"]


def check_header_seconds(served: Served, wide: Path) -> None:
    with served.connect() as wire:
        wire.sendall(post("/sigmoid", GOOD)[:30])
        assert verdict(last_words(wire)) == (0, "SIGMOID_HEADER_SECONDS", b"")


def check_body_seconds(served: Served, wide: Path) -> None:
    for body in (GOOD, GOOD.ljust(SMALL.max_body_bytes)):
        with served.connect() as wire:
            wire.sendall(post("/sigmoid", body)[:-1])
            assert verdict(last_words(wire)) == (0, "SIGMOID_BODY_SECONDS", b"")


def check_timeout_seconds(served: Served, wide: Path) -> None:
    for timeout, status in ((0.1, 504), (30, 200)):
        settings = Settings(threads=1, timeout_seconds=timeout)
        with serving(settings, [wide]) as late, ThreadPoolExecutor(1) as thread:
            with busy(late, 100):
                ask = late.client.post
                waits = thread.submit(ask, "/predict", content=json_bytes(30))
                arrived(late, 130 * FEATURES)
                time.sleep(0.2)
            answer = waits.result()
            assert answer.status_code == status
            if status == 504:
                assert answer.json()["code"] == "timeout"
                assert "0.1 s (SIGMOID_TIMEOUT_SECONDS)" in answer.json()["detail"]


CHECKS: dict[str, Callable[[Served, Path], None]] = {
    "max_body_bytes": check_body_bytes,
    "max_inflated_bytes": check_inflated_bytes,
    "max_elements": check_elements,
    "max_rank": check_rank,
    "max_rows": check_rows,
    "max_batch_rows": check_batch_rows,
    "max_queue_elements": check_queue_elements,
    "max_answer_bytes": check_answer_bytes,
    "header_seconds": check_header_seconds,
    "body_seconds": check_body_seconds,
    "timeout_seconds": check_timeout_seconds,
}


# Those of connections, files and the end have tests of their own.
OF_REQUESTS = LIMITS[: LIMITS.index("timeout_seconds") + 1]


@pytest.mark.parametrize("setting", OF_REQUESTS)
def test_the_limit_is_exact(served: Served, wide: Path, setting: str) -> None:
    CHECKS[setting](served, wide)
    assert served.becomes_empty()


def test_the_limits_are_shown(served: Served) -> None:
    shown = served.client.get("/limits").json()
    assert shown == SMALL.limits()
    assert list(shown) == [f"SIGMOID_{name.upper()}" for name in LIMITS]


def send(
    served: Served, body: bytes, encoding: str, media: str = "application/json"
) -> httpx.Response:
    headers = {"Content-Encoding": encoding, "Content-Type": media}
    return served.client.post("/sigmoid", content=body, headers=headers)


@pytest.mark.parametrize("encoding", CODERS)
def test_compressed_bodies(served: Served, encoding: str) -> None:
    coder = CODERS[encoding]
    assert send(served, coder(GOOD), encoding).json()["outputs"] == 0.5
    chunks = iter([coder(GOOD)[:9], coder(GOOD)[9:]])
    headers = {"Content-Encoding": encoding}
    answer = served.client.post("/sigmoid", content=chunks, headers=headers)
    assert answer.json()["outputs"] == 0.5
    values = np.linspace(-1, 1, 100, dtype=np.float32)
    answer = send(served, coder(npy_bytes(values)), encoding, NPY)
    assert answer.json() == post_npy(served.client, "/sigmoid", values).json()
    rows = coder(json.dumps({"inputs": [[0] * 30] * 3}).encode())
    headers = {"Content-Encoding": encoding}
    answer = served.client.post("/predict", content=rows, headers=headers)
    assert answer.json()["shape"] == [3, 1]
    # What is inside is judged as always.
    assert send(served, coder(b"{"), encoding).json()["code"] == "malformed_json"
    assert send(served, coder(b""), encoding).json()["code"] == "malformed_json"
    assert send(served, coder(b"x"), encoding, NPY).json()["code"] == "bad_npy"
    assert served.becomes_empty()


def raw_deflate(body: bytes) -> bytes:
    coder = zlib.compressobj(wbits=-15)
    return coder.compress(body) + coder.flush()


SEVERAL: dict[str, bytes] = {
    "two members": gzipped(GOOD[:5]) + gzipped(GOOD[5:]),
    "a member a byte": b"".join(gzipped(bytes([byte])) for byte in GOOD),
    "empty members": (gzipped(b"") + gzipped(GOOD)) + gzipped(b"") * 3,
    "zeros after": gzipped(GOOD) + bytes(100),
    "a name and a comment": b"\x1f\x8b\x08\x1c"
    + bytes(6)
    + b"\x03\x00abcname\x00comment\x00"
    + gzipped(GOOD)[10:],
}


@pytest.mark.parametrize("name", SEVERAL)
def test_what_gzip_may_be(served: Served, name: str) -> None:
    assert send(served, SEVERAL[name], "gzip").json()["outputs"] == 0.5
    assert served.becomes_empty()


def test_very_many_members_take_no_longer_for_each() -> None:
    began = time.monotonic()
    assert (
        inflate(gzipped(b"") * 200_000 + gzipped(GOOD), "gzip", 1000, no_check) == GOOD
    )
    # If each were copied with all that follow, this would take minutes.
    assert time.monotonic() - began < 10


def test_encodings_one_upon_the_other(served: Served) -> None:
    twice = deflated(gzipped(GOOD))
    assert send(served, twice, "gzip, deflate").json()["outputs"] == 0.5
    headers = [("Content-Encoding", "gzip"), ("Content-Encoding", "deflate")]
    answer = served.client.post("/sigmoid", content=twice, headers=headers)
    assert answer.json()["outputs"] == 0.5
    wrong = send(served, twice, "deflate, gzip").json()
    assert wrong["code"] == "malformed_json"


NOT_ONE_STREAM: dict[str, tuple[str, bytes]] = {
    "nothing": ("gzip", b""),
    "plain": ("gzip", GOOD),
    "deflate": ("gzip", deflated(GOOD)),
    "header only": ("gzip", gzipped(GOOD)[:10]),
    "without its length": ("gzip", gzipped(GOOD)[:-4]),
    "without its last byte": ("gzip", gzipped(GOOD)[:-1]),
    "another checksum": ("gzip", gzipped(GOOD)[:-8] + bytes(4) + gzipped(GOOD)[-4:]),
    "garbage after": ("gzip", gzipped(GOOD) + b"x"),
    "zeros and more after": ("gzip", gzipped(GOOD) + bytes(8) + b"x"),
    "half a member after": ("gzip", gzipped(GOOD) + gzipped(GOOD)[:-1]),
    "twice": ("gzip", gzipped(gzipped(GOOD))),
    "plain, as deflate": ("deflate", GOOD),
    "gzip, as deflate": ("deflate", gzipped(GOOD)),
    "without a header": ("deflate", raw_deflate(GOOD)),
    "truncated": ("deflate", deflated(GOOD)[:-1]),
    "more after": ("deflate", deflated(GOOD) * 2),
}


@pytest.mark.parametrize("name", NOT_ONE_STREAM)
def test_bodies_that_are_not_a_whole_stream(served: Served, name: str) -> None:
    encoding, body = NOT_ONE_STREAM[name]
    problem = send(served, body, encoding).json()
    assert (problem["status"], problem["code"]) == (400, "malformed_json")
    if name != "twice":
        assert f"a whole {encoding} stream" in problem["detail"]
    assert served.becomes_empty()


@pytest.mark.parametrize(
    "encoding",
    ["br", "zstd", "gzip, br", "gzip, gzip, gzip", "compress", "x" * 999],
)
def test_encodings_that_are_not_known(served: Served, encoding: str) -> None:
    answer = send(served, GOOD, encoding)
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (415, "unsupported_media_type")
    assert "gzip, deflate" in problem["detail"]
    assert "Content-Type" not in problem["detail"]
    assert len(problem["detail"]) < 400
    assert answer.headers["accept-encoding"] == "gzip, deflate"
    assert send(served, GOOD, "identity").status_code == 200


MIB = 2**20


def bomb(mebibytes: int) -> bytes:
    """Compress zeros, each mebibyte to the same kilobyte."""
    coder = zlib.compressobj(9, wbits=-15)
    block = coder.compress(bytes(MIB)) + coder.flush(zlib.Z_FULL_FLUSH)
    head = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x02\xff"
    end = raw_deflate(b"")
    crc = 0
    for _ in range(mebibytes):
        crc = zlib.crc32(bytes(MIB), crc)
    return head + block * mebibytes + end + struct.pack("<II", crc, mebibytes * MIB)


def peak_bytes() -> int:
    """Read the most memory of this process since `forget_the_peak`."""
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return 1024 * int(found[1])


def forget_the_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def test_the_bomb_is_a_right_stream() -> None:
    assert gzip.decompress(bomb(3)) == bytes(3 * MIB)


def test_a_bomb_takes_no_more_memory_than_the_limit() -> None:
    settings = Settings(max_inflated_bytes=8 * MIB)
    body = bomb(1024)
    assert len(body) < 2 * MIB
    with serving(settings) as served:
        served.client.get("/livez")
        forget_the_peak()
        before = peak_bytes()
        for _ in range(3):
            problem = send(served, body, "gzip").json()
            assert (problem["status"], problem["code"]) == (413, "body_too_large")
            assert f"{8 * MIB} bytes" in problem["detail"]
            assert "(SIGMOID_MAX_INFLATED_BYTES)" in problem["detail"]
        assert peak_bytes() - before < 48 * MIB
        assert served.becomes_empty()
