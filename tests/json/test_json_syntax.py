"""What is JSON, and where it is not, as the standard library has it."""

import json
import random
import re
from time import thread_time
from typing import Any

import pytest

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.json.syntax import read_members
from sigmoid_serve.json.text import no_check

TOKENS = [
    *("[", "]", "{", "}", ",", ":", " ", "\n", "-", "\\", "01", "1.", ".5", "+1"),
    *('"a"', '"b"', '""', '"\\n"', '"\\u00e9"', '"é"', '"x', '"\\x"', '"\\u12"'),
    *("1", "-2.5e3", "0", "true", "null", "NaN", "-Infinity", "nul"),
    *("[0]", "[[1,2]]", '{"a":1}', "[0,", "[0],", '{"a":{}},', '[{"a":[]}]'),
]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def told_by_the_library(text: str) -> str:
    try:
        value = DECODER.decode(text)
    except json.JSONDecodeError as error:
        message = error.msg if text.strip(" \t\r\n") else "the body is empty"
        return f"{message} (line {error.lineno}, column {error.colno})"
    except ValueError:
        return "an object has the same key twice"
    return "" if isinstance(value, dict) else "the top level must be an object"


def told(body: bytes) -> str:
    try:
        read_members(body, no_check)
    except ServiceError as error:
        told = error.detail.removeprefix("the body is not valid JSON: ")
        return told.partition(";")[0]
    return ""


def test_the_same_is_said_of_random_texts() -> None:
    draw = random.Random(15)
    good = 0
    for _ in range(20_000):
        text = "".join(draw.choices(TOKENS, k=draw.randrange(1, 14)))
        if draw.random() < 0.6:
            text = '{"inputs":' + text + draw.choice(["}", "}", "", "]}"])
        want, got = told_by_the_library(text), told(text.encode())
        # What is wrong first is said first: a name that is there twice, or a comma.
        if ("same key" in got and want) or got == "it is a multipart form":
            continue
        assert got.startswith(want), text
        assert bool(got) == bool(want), text
        good += not want
    assert good > 200


@pytest.mark.parametrize(
    ("pair", "depth"),
    [*(("[]", depth) for depth in (1, 31, 5000, 100_000)), ('{"a":}', 999)],
)
def test_any_depth(pair: str, depth: int) -> None:
    opened, closed = pair[:-1], pair[-1]
    whole = '{"inputs":' + opened * depth + "0" + closed * depth + "}"
    assert told(whole.encode()) == ""
    for text in (whole[:-1], whole[:-2], whole + "]", whole.replace("0", "0 0")):
        assert told(text.encode())


def test_objects_beyond_all_measure() -> None:
    deep = b'{"":' * 1002 + b"0" + b"}" * 1002
    with pytest.raises(ServiceError, match="objects nested more than 1000 deep") as no:
        read_members(b'{"inputs":' + deep + b"}", no_check)
    assert no.value.code == "rank"
    wide = b"{" + b",".join(b'"%d":0' % number for number in range(70_000)) + b"}"
    for body in (wide, b'{"inputs":' + wide + b"}"):
        assert told(body) == "an object has more than 65536 members"


def test_members() -> None:
    body = b' {"a" : [1, {"b": 2}] , "\\u0062":"x","c": -1.5e3}\n'
    found = {m.name: body[m.start : m.stop] for m in read_members(body, no_check)}
    assert found == {"a": b'[1, {"b": 2}]', "b": b'"x"', "c": b"-1.5e3"}


def test_of_very_many_members_the_first_are_told() -> None:
    names = [f"n{number}" for number in range(1000)]
    body = json.dumps(dict.fromkeys(names, 0)).encode()
    found = [member.name for member in read_members(body, no_check)]
    assert len(found) >= 16
    assert found == names[: len(found)]
    again = body.replace(b'"n999"', b'"n0"')
    assert told(again) == "an object has the same key twice"


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        (b'{"\\ud800": 1}', "a key has half of a surrogate pair"),
        (b'{"' + b"a" * 70_000 + b'": 1}', "a key is longer than 65536 bytes"),
        (b'{"a": "\xff"}', "byte 7 is not UTF-8"),
        (b'{"a": "' + b"\xc3\xa9" * 2**19 + b'\xc3"}', "byte 1048583 is not UTF-8"),
        (b'{"a": 1}\xe2\x82', "byte 8 is not UTF-8"),
        ("\ufeff{}".encode(), "it begins with a byte order mark"),
    ],
)
def test_names_and_encodings(body: bytes, finding: str) -> None:
    assert told(body).startswith(finding)


def test_others_may_end_it() -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise TimeoutError

    for unit in ("[[[[0]]]],", '{"a":1,"b":2},', '"\\n",', "[1,[2,[3]]],"):
        calls = 0
        body = f'{{"inputs":[{unit * 20_000}0]}}'.encode()
        with pytest.raises(TimeoutError):
            read_members(body, check)


HOSTILE = {
    "an unclosed string of escapes": '{"inputs":' + "[" * 3000 + '"' + '\\"' * 200_000,
    "quotes": '{"inputs":' + '"' * 400_001,
    "brackets": '{"inputs":' + "[" * 400_000,
    "objects": '{"inputs":[' + '{"":{"":0}},' * 50_000,
    "lists of lists": '{"inputs":[' + "[[[0]]]," * 50_000,
    "spaces": '{"inputs":[' + " " * 400_000 + "x",
    "digits": '{"inputs":[' + "1" * 400_000 + "x",
    "exponents": '{"inputs":[' + "1e" * 200_000,
    "minus signs": '{"inputs":[' + "-" * 400_000,
    "names": "{" + "".join(f'"{i}":0,' for i in range(40_000)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_steps_are_as_many_as_the_bytes(name: str) -> None:
    """Each expression begins where the last one ended, and none goes back."""
    body = HOSTILE[name].encode()
    assert re.search(r"\(line 1, column \d+\)", told(body))


@pytest.mark.parametrize("place", ['{"batch":[', '{"inputs":[0,', '{"inputs":{"":['])
def test_more_lists_end_than_are_open(place: str) -> None:
    """So many ends are looked at together that to begin anew for each takes long."""
    body = (place + "[],[" * 4000 + "]" * 8000).encode()
    times = []
    for _ in range(3):
        start = thread_time()
        assert "Expecting ',' delimiter" in told(body)
        times.append(thread_time() - start)
    assert min(times) < 0.1
