"""The outline of a body: fields as objects, and the long lists left as text."""

import json
from typing import Any

import pytest

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.json import outline
from sigmoid_serve.json.outline import outline_strictly
from sigmoid_serve.json.text import JsonText, no_check

KNOWN = {"id", "items", "name", "sizes", "options"}


def quickly(text: bytes) -> dict[str, Any] | None:
    """The fields, with the list in its place as text."""
    place = outline.find_list(text, "data")
    if place is None:
        return outline.outline_around(text, b"", "data")
    start, stop = place
    fields = outline.outline_around(text[:start], text[stop:], "data")
    return fields and in_place(fields, JsonText(text, start, stop))


def in_place(value: Any, text: JsonText) -> Any:
    if isinstance(value, dict):
        return {name: in_place(each, text) for name, each in value.items()}
    if isinstance(value, list):
        return [in_place(each, text) for each in value]
    return text if value is outline.LIST else value


def plain(value: Any) -> Any:
    """Parse what stayed text."""
    if isinstance(value, JsonText):
        return json.loads(value.body[value.start : value.stop])
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


def strictly(text: str) -> Any:
    return outline_strictly(text.encode(), "data", KNOWN, no_check)


TEXTS = {
    "last": '{"items": [{"name": "a", "sizes": [2, 3], "data": [[1, 2], [3]]}]}',
    "first": '{"items": [{"data" : [1,2] , "name":"a"}], "id": "}]"}',
    "spaces": ' { "items" :\n[ {\t"data":\r\n[ ] } ] } ',
    "empty": '{"items": [{"data": []}]}',
    "in a name": '{"id": "\\"data\\": [1]", "items": [{"data": [1]}]}',
    "in a string": '{"id": "data", "items": [{"name": "data", "data": [2]}]}',
    "numbers": '{"items": [{"sizes": [0, -1, 2.5, 1e3], "data": [1]}]}',
    "null": '{"id": null, "options": {}, "items": [{"data": [true, null]}]}',
}


@pytest.mark.parametrize("name", TEXTS)
def test_both_ways_read_the_same(name: str) -> None:
    text = TEXTS[name]
    assert plain(strictly(text)) == json.loads(text)
    found = quickly(text.encode())
    assert found is not None
    assert plain(found) == json.loads(text)
    assert isinstance(found["items"][0]["data"], JsonText)


@pytest.mark.parametrize(
    "text",
    [
        '{"items": [{"data": [1], "data": [2]}]}',
        '{"items": [{"data": [1], "name": 1, "name": 2}]}',
        '{"items": [{"options": {"a": 1, "a": 2}, "data": [1]}]}',
        '{"x": "\\"data\\": [1]", "items": [{"name": "a"}], "items": []}',
        '{"items": [{"data": [1]}',
        '[{"data": [1]}]',
        "",
    ],
)
def test_doubts(text: str) -> None:
    assert quickly(text.encode()) is None


def test_what_is_in_a_string_is_no_list() -> None:
    text = rb'{"id": "\"data\": [1]", "items": 5}'
    assert quickly(text) == json.loads(text)


def test_no_string_of_a_body_stands_for_a_list() -> None:
    text = b'{"a": {"data": "%b"}, "b": {"data": [1]}}'
    for guess in ("", "[]", "0" * 32):
        found = quickly(text % guess.encode())
        assert found is not None
        assert (found["a"], plain(found["b"])) == ({"data": guess}, {"data": [1]})


def test_what_is_not_known_stays_text() -> None:
    text = (
        '{"other": [1], "items": [{"other": {"a": [1]}, "more": 2, "data": [3], '
        '"options": {"other": [4], "name": {"name": [5]}}}]}'
    )
    found = strictly(text)
    assert list(found) == ["items"]
    item = found["items"][0]
    assert isinstance(item["other"], JsonText)
    assert isinstance(item["options"]["other"], JsonText)
    assert plain(item) == json.loads(text)["items"][0]


def test_integers_stay_integers() -> None:
    found = strictly('{"items": [9007199254740993, 9007199254740993.0, -5, 1e2]}')
    assert found == {"items": [9007199254740993, 9007199254740992.0, -5, 100.0]}
    assert [type(value) for value in found["items"]] == [int, float, int, float]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"id": "\\ud800"}', "malformed_json"),
        ('{"id": 1, "id": 2}', "malformed_json"),
        ("[]", "malformed_json"),
        ('{"id": "%s"}' % ("x" * 2**16), "too_many_elements"),
        ('{"items": [%s0]}' % ("0," * 2**15), "too_many_elements"),
        ('{"items": [%s0]}' % ("[]," * 2**16), "too_many_elements"),
        ('{"items": [{"name":%s1}]}' % (" " * 2**17), None),
        ('{"other": [%s0], "items": []}' % ("[]," * 2**17), None),
        ('{"items": [{"data": [%s0]}]}' % ("[]," * 2**17), None),
    ],
    ids=[
        "half a pair",
        "twice",
        "a list",
        "a long string",
        "many numbers",
        "many lists",
        "spaces",
        "what is not known",
        "data",
    ],
)
def test_what_is_too_much(text: str, code: str | None) -> None:
    if code is None:
        strictly(text)
        return
    with pytest.raises(ServiceError) as caught:
        strictly(text)
    assert caught.value.code == code


def test_it_ends_when_nobody_waits() -> None:
    class Gone(Exception):
        pass

    calls = left = 0

    def check() -> None:
        nonlocal calls, left
        calls += 1
        left -= 1
        if not left:
            raise Gone

    text = b'{"items": [{"data": [%b0]}]}' % (b"[]," * 2**17)
    outline_strictly(text, "data", KNOWN, check)
    whole = calls
    assert whole > 10
    for some in (1, whole // 2, whole):
        left = some
        with pytest.raises(Gone):
            outline_strictly(text, "data", KNOWN, check)
