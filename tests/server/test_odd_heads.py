"""Whatever stands in a head: no error of ours, a short answer, and little time."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.inference.media import (
    JSON,
    NPY,
    answer_media,
    request_encodings,
    request_media,
)
from sigmoid_serve.server.heads import origin_form, shortened
from tests.admission.test_queue import Served, serving
from tests.http.test_keys import ADMIN, bearer, line
from tests.server.test_slow_senders import last_words

GOOD = b'{"inputs": 0}'
MOST_BYTES = 4096
NAMES = (
    "Accept",
    "Accept-Encoding",
    "Access-Control-Request-Headers",
    "Access-Control-Request-Method",
    "Authorization",
    "Connection",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "Cookie",
    "Expect",
    "Host",
    "If-None-Match",
    "Keep-Alive",
    "Origin",
    "Range",
    "TE",
    "Transfer-Encoding",
    "Upgrade",
    "X-Forwarded-For",
    "X-Request-ID",
)
VALUES = {
    "letters": b"a" * 60_000,
    "quotes": b'"\\' * 30_000,
    "bytes": b"\xff\xfe" * 30_000,
    "a byte": b"\xe9",
    "commas": b"a," * 30_000,
    "empty parts": b", ," * 20_000,
    "semicolons": b"a;" * 30_000,
    "parameters": b"application/json;" + b"a=b;" * 14_000,
    "charsets": b"application/json;" + b'charset="' * 6000,
    "odd charset": b"application/json; charset=\xff",
    "weight beyond all": b"*/*;q=1e999",
    "weight of many digits": b"*/*;q=0." + b"9" * 60_000,
    "weights": b"*;q=.5," * 8000,
    "number of many digits": b"9" * 60_000,
    "number beyond all": b"1" + b"0" * 30,
    "sign": b"-1",
    "bearer": b"Bearer " + b"a" * 60_000,
    "bearer of equals": b"Bearer " + b"=" * 60_000,
    "bearer of spaces": b"Bearer " + b" " * 60_000 + b"!",
    "origin": b"http://" + b"a" * 60_000,
    "percents": b"%22" * 20_000,
    "nothing": b"",
}
ASKED = (
    (b"POST", b"/sigmoid", GOOD),
    (b"POST", b"/predict?output=logits", GOOD),
    (b"GET", b"/models", b""),
    (b"OPTIONS", b"/sigmoid", b""),
)


@pytest.fixture(scope="module", params=["open", "locked"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    path: Path = tmp_path_factory.mktemp("keys") / "keys.txt"
    path.write_text(line(ADMIN))
    origins = {"cors_origins": ("http://a",)}
    is_locked = request.param == "locked"
    settings = Settings(api_keys_file=path, **origins) if is_locked else Settings()
    with serving(settings) as served:
        yield served


def judged(served: Served, message: bytes) -> None:
    with served.connect() as wire:
        wire.sendall(message)
        words = last_words(wire, 5)
    assert words.startswith(b"HTTP/1.1 "), words[:100]
    status = int(words.split()[1])
    assert status < 500, words[:1000]
    if status >= 400:
        assert len(words) <= MOST_BYTES
        body = words.partition(b"\r\n\r\n")[2]
        assert not body or json.loads(body)["status"] == status


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", NAMES)
def test_an_odd_field(served: Served, name: str, value: str) -> None:
    others = {"Host": "x", "Connection": "close", **bearer(ADMIN)}
    for method, path, body in ASKED:
        lines = {**others, "Content-Length": str(len(body))}
        if name == "Transfer-Encoding":
            del lines["Content-Length"]
        head = b"".join(
            f"{field}: {said}\r\n".encode()
            for field, said in lines.items()
            if field != name
        )
        first = b"%b %b HTTP/1.1\r\n" % (method, path)
        message = b"%b%b%b: %b\r\n\r\n%b" % (
            first,
            head,
            name.encode(),
            VALUES[value],
            body,
        )
        if name == "Connection":
            message = message.replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        judged(served, message)


TARGETS = {
    "letters": b"/" + b"a" * 60_000,
    "percents": b"/" + b"%22" * 20_000,
    "no percents": b"/" + b"%" * 60_000,
    "no text": b"/" + b"%ff" * 20_000,
    "slashes": b"/" * 60_000,
    "dots": b"/" + b"../" * 20_000,
    "name": b"/models/" + b"%5c" * 20_000,
    "name to ask": b"/models/" + b"x" * 60_000 + b"/predict",
    "version": b"/models/digits/versions/" + b"9" * 60_000 + b"/predict",
    "parameters": b"/predict?" + b"a&" * 30_000,
    "values": b"/predict?" + b"a=b&" * 15_000,
    "value": b"/predict?output=" + b"%22" * 20_000,
    "name of a parameter": b"/predict?" + b"%22" * 20_000 + b"=1",
    "short odd name": b"/predict?" + b"%22" * 300 + b"=1",
    "parameters of a page": b"/limits?" + b"a=1&" * 15_000,
    "percents of a page": b"/livez?" + b"%" * 60_000,
    "file": b"/docs/assets/" + b"%22" * 20_000,
    "whole": b"http://x/" + b"%22" * 20_000,
    "one percent": b"/%",
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "HEAD", "OPTIONS"])
def test_an_odd_target(served: Served, target: str, method: str) -> None:
    (key,) = (f"{name}: {value}" for name, value in bearer(ADMIN).items())
    head = b"%b %b HTTP/1.1\r\nHost: x\r\n%b\r\nContent-Length: 13\r\n"
    message = head % (method.encode(), TARGETS[target], key.encode())
    judged(served, message + b"Connection: close\r\n\r\n" + GOOD)


QUOTED = {
    "feature": json.dumps({"inputs": {'"\\' * 20_000: 1}}),
    "field": json.dumps({'"\\' * 20_000: 1}),
    "controls": json.dumps({"\x01" * 20_000: 1}),
    "dtype": json.dumps({"inputs": 1, "dtype": '"\\' * 20_000}),
    "twice": '{"%s": 1, "%s": 1}' % ((("a" * 50_000),) * 2),
    "nonsense": '{"inputs": ' + "x" * 50_000 + "}",
    "signs": json.dumps({"inputs": {"\U0001f600" * 5000: 1}}, ensure_ascii=False),
}


@pytest.mark.parametrize("name", QUOTED)
@pytest.mark.parametrize("path", ["/sigmoid", "/predict", "/predict?"])
def test_what_a_body_says_is_quoted_shortly(
    served: Served, path: str, name: str
) -> None:
    answered = served.client.post(
        path, content=QUOTED[name].encode(), headers=bearer(ADMIN)
    )
    assert 400 <= answered.status_code < 500
    assert len(answered.content) + len(str(answered.headers)) < MOST_BYTES


def fastest(function: object, value: bytes) -> float:
    """Call it a few times, with values that nobody has seen; return the least time."""
    times = []
    for number in range(5):
        begun = time.perf_counter()
        with suppress(ServiceError):
            function(value + b"%d" % number)  # type: ignore[operator]
        times.append(time.perf_counter() - begun)
    return min(times)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    "function", [answer_media, request_media, request_encodings, shortened]
)
def test_fields_are_read_in_little_time(function: object, value: str) -> None:
    assert fastest(function, VALUES[value]) < 0.005


@pytest.mark.parametrize("parts", [190, 210])
def test_the_number_of_parts(parts: int) -> None:
    accept = f"{NPY}" + ", a/b" * parts
    if parts < 200:
        assert answer_media(accept.encode()) == "npy"
        assert request_media((JSON + ";a=b" * parts).encode()) == "json"
        assert request_encodings(b"gzip" + b",identity" * parts) == ("gzip",)
        return
    for function in (answer_media, request_media, request_encodings):
        with pytest.raises(ServiceError, match="200"):
            function(accept.encode().replace(NPY.encode(), JSON.encode()))


def test_long_paths_have_no_middle() -> None:
    path = b"/models/" + b"a" * 5000 + b"/predict"
    short = shortened(path + b"?x=" + b"y" * 5000)
    assert short == path[:1024] + path[-1024:] + b"?x=" + b"y" * 5000
    assert shortened(origin_form(b"/predict?" + path, b"")) == b"/predict?" + path
