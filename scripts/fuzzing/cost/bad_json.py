"""Bad JSON bodies: what is wrong, and may be found out too dearly."""

from collections.abc import Callable, Mapping
from typing import Final

from fuzzing.cost.json_text import (
    COUNT,
    DTYPES,
    LONGEST,
    NUMBERS,
    RANK,
    Builders,
    Payload,
    inputs,
    nested,
    repeated,
)
from fuzzing.cost.space import Span, Values

_CHARACTERS: Final = {
    "quote": b'\\"',
    "backslash": b"\\\\",
    "escape": b"\\u0041",
    "surrogate": b"\\ud800",
    "pair": b"\\ud83d\\ude00",
    "accent": "é".encode(),
    "letter": b"a",
    "bracket": b"[",
    "comma": b'\\",',
}
_ENDS: Final = {
    "closed": b'"',
    "open": b"",
    "broken": b"\\\n",
    "control": b"\x01",
    "bad-utf-8": b'\xff"',
    "half-escape": b"\\u00",
}
_PLACES: Final = {
    "input": (b'{"inputs":', b"}"),
    "row": (b'{"inputs":[0,', b"]}"),
    "key": (b"{", b":0}"),
    "batch": (b'{"batch":[', b"]}"),
    "dtype": (b'{"inputs":[0],"dtype":', b"}"),
    "record": (b'{"inputs":[{', b":0}]}"),
    "top": (b"", b""),
}


# Beyond 32 no tensor is, beyond 1,024 no parser of simdjson goes.
_DEPTHS: Final = ("0", "1", "33", "1100", "3000", "100000")


def _string(values: Values) -> Payload:
    before, after = _PLACES[str(values["place"])]
    text = repeated(_CHARACTERS[str(values["unit"])], int(values["count"]), b"")
    brackets = b"[" * int(values["depth"])
    end = _ENDS[str(values["end"])]
    one = b'"' + text + end
    many = repeated(one, int(values["strings"]))
    return Payload(before + brackets + many + (after if end == b'"' else b""))


_OPENERS: Final = {
    "list": b"[",
    "object": b'{"a":',
    "both": b'[{"inputs":',
    "after": b"[0,[",
    "empties": b"[],[",
    "string": b'["a",[',
    "closing": b"]",
    "pairs": b"[]",
}
_CLOSINGS: Final[Mapping[str, Callable[[bytes, int], bytes]]] = {
    "none": lambda unit, count: b"",
    "lists": lambda unit, count: b"]" * count,
    "all": lambda unit, count: _mirrored(unit) * count,
    "half": lambda unit, count: _mirrored(unit) * (count // 2),
    "wrong": lambda unit, count: b"]" * (count - 1) + b"}",
}


def _mirrored(unit: bytes) -> bytes:
    pairs = {b"[": b"]", b"{": b"}"}
    return b"".join(
        pairs[unit[i : i + 1]] for i in reversed(range(len(unit))) if unit[i] in b"[{"
    )


def _brackets(values: Values) -> Payload:
    unit = _OPENERS[str(values["unit"])]
    opened = repeated(unit, int(values["depth"]), b"")
    closed = _CLOSINGS[str(values["end"])](unit, len(opened) // len(unit))
    before, after = _PLACES[str(values["place"])]
    tail = {"none": b"", "zero": b"0", "quote": b'"'}[str(values["middle"])]
    return Payload(before + opened + tail + closed[:LONGEST] + after)


_WRONG: Final = {
    "true": b"true",
    "null": b"null",
    "string": b'"a"',
    "nan": b"NaN",
    "infinity": b"-Infinity",
    "overflow": b"1e999",
    "object": b"{}",
    "list": b"[]",
    "dots": b"1.5.5",
    "zero-first": b"01",
    "plus": b"+1",
    "nothing": b"",
    "bad-utf-8": b"\xff",
    "nul": b"\x00",
    "ragged": b"0,0",
    "closed": b"]]}",
    "end": b'}{"inputs":',
}


def _late(values: Values) -> Payload:
    number = NUMBERS[str(values["number"])]
    row = nested(repeated(number, int(values["row"])), 1)
    rows = repeated(row, int(values["rows"]))
    wrong = _WRONG[str(values["wrong"])]
    last = row[:-1] + b"," + wrong + b"]"
    both = [last, rows] if values["place"] == "first" else [rows, last]
    key = b"batch" if values["key"] == "batch" else b"inputs"
    payload = inputs(nested(b",".join(both), int(values["rank"])), values, key)
    return Payload(_MARKS[str(values["mark"])] + payload.body)


_MARKS: Final = {"none": b"", "bom": b"\xef\xbb\xbf", "spaces": b" " * 9999}
_FORMS: Final[Mapping[str, Callable[[int], bytes]]] = {
    "nines": lambda n: b"9" * n,
    "fraction": lambda n: b"0." + b"3" * n,
    "small": lambda n: b"0." + b"0" * n + b"1",
    "exponent": lambda n: b"1e" + b"9" * n,
    "negative-exponent": lambda n: b"1e-" + b"9" * n,
    "balanced": lambda n: b"1" + b"0" * n + b"e-%d" % n,
    "minus": lambda n: b"-" * n,
    "dots": lambda n: b"1." * n,
    "exponents": lambda n: b"1e" * n,
    "halfway": lambda n: b"1.00000005960464477539062" + b"4" * n,
}


def _digits(values: Values) -> Payload:
    number = _FORMS[str(values["form"])](int(values["digits"]))
    return inputs(nested(repeated(number, int(values["count"])), 1), values)


_MEMBERS: Final = {
    "0": b"0",
    "list": b"[]",
    "object": b"{}",
    "string": b'"a"',
    "nested": b'{"a":{"a":0}}',
}
_KEYS: Final[Mapping[str, Callable[[int], bytes]]] = {
    "same": lambda index: b"a",
    "distinct": lambda index: b"%d" % index,
    "surrogates": lambda index: b"\\ud8%02x%d" % (index % 256, index),
    "inputs": lambda index: b"inputs",
    "escaped": lambda index: b"\\u0069nputs",
}
_DISTINCT: Final = 2**17


def _members(values: Values) -> Payload:
    key, value = _KEYS[str(values["key"])], _MEMBERS[str(values["value"])]
    count = min(int(values["count"]), _DISTINCT)
    members = b",".join(b'"%b":%b' % (key(index), value) for index in range(count))
    many = repeated(b"{%b}" % members, int(values["objects"]))
    before, after = _PLACES[str(values["place"])]
    return Payload(before + many + after)


BAD_JSON: Final[Builders] = {
    "json, strings": (
        {
            "unit": list(_CHARACTERS),
            "count": COUNT,
            "strings": Span(1, 2**20, 4),
            "end": list(_ENDS),
            "place": list(_PLACES),
            "depth": _DEPTHS,
        },
        _string,
    ),
    "json, brackets": (
        {
            "unit": list(_OPENERS),
            "depth": COUNT,
            "middle": ("none", "zero", "quote"),
            "end": list(_CLOSINGS),
            "place": list(_PLACES),
        },
        _brackets,
    ),
    "json, wrong at last": (
        {
            "number": list(NUMBERS),
            "row": COUNT,
            "rows": COUNT,
            "rank": RANK,
            "wrong": list(_WRONG),
            "place": ("last", "last", "first"),
            "key": ("inputs", "inputs", "batch"),
            "mark": list(_MARKS),
        },
        _late,
    ),
    "json, digits": (
        {
            "form": list(_FORMS),
            "digits": COUNT,
            "count": Span(1, 2**22, 64),
            "dtype": DTYPES,
        },
        _digits,
    ),
    "json, members": (
        {
            "key": list(_KEYS),
            "value": list(_MEMBERS),
            "count": COUNT,
            "objects": Span(1, 2**22, 64),
            "place": list(_PLACES),
        },
        _members,
    ),
}
