"""Good JSON bodies: what is right, and may still cost too much."""

from typing import Final

from fuzzing.cost.json_text import (
    COUNT,
    DTYPES,
    NUMBERS,
    RANK,
    SPACES,
    Builders,
    Payload,
    inputs,
    nested,
    repeated,
)
from fuzzing.cost.space import Span, Values

FEATURES: Final = {"/predict": 30, "/models/digits/predict": 64}


def _dense(values: Values) -> Payload:
    space = SPACES[str(values["space"])]
    row = FEATURES.get(str(values["path"]), int(values["row"]))
    joint = space + b"," + space
    line = nested(space + repeated(NUMBERS[str(values["number"])], row, joint), 1)
    rows = repeated(line, int(values["rows"]), joint)
    return inputs(nested(rows, int(values["rank"])), values)


def _ones(values: Values) -> Payload:
    inner = {"empty": b"[]", "number": b"[0]", "bare": b"0"}[str(values["inner"])]
    unit = nested(inner, int(values["rank"]))
    return inputs(nested(repeated(unit, int(values["count"])), 1), values)


def _records(values: Values) -> Payload:
    names = [b"feature %d" % index for index in range(int(values["names"]))]
    if values["known"] == "yes":
        names = _known_names()
    if values["order"] == "reversed":
        names.reverse()
    if values["escaped"] == "yes":
        names = [b"\\u%04x" % name[0] + name[1:] for name in names]
    number = NUMBERS[str(values["number"])]
    record = b"{%b}" % b",".join(b'"%b":%b' % (name, number) for name in names)
    return inputs(nested(repeated(record, int(values["count"])), 1), values)


def _known_names() -> list[bytes]:
    """Name the features of the model `breast-cancer`, as scikit-learn does."""
    of = "radius texture perimeter area smoothness compactness concavity"
    more = ["concave points", "symmetry", "fractal dimension"]
    names = [*of.split(), *more]
    return [
        *(f"mean {name}".encode() for name in names),
        *(f"{name} error".encode() for name in names),
        *(f"worst {name}".encode() for name in names),
    ]


_TENSORS: Final = {
    "scalar": b"0",
    "empty": b"[]",
    "one": b"[0]",
    "empties": b"[[],[]]",
    "pair": b"[0,1]",
    "deep": b"[" * 32 + b"]" * 32,
    "deep-one": b"[" * 32 + b"0" + b"]" * 32,
    "row": b"[" + b"0.1," * 63 + b"0.1]",
}


def _batch(values: Values) -> Payload:
    first, second = (_TENSORS[str(values[name])] for name in ("first", "second"))
    unit = first if values["mixed"] == "no" else first + b"," + second
    return inputs(nested(repeated(unit, int(values["count"])), 1), values, b"batch")


GOOD_JSON: Final[Builders] = {
    "json, dense": (
        {
            "number": list(NUMBERS),
            "space": list(SPACES),
            "row": COUNT,
            "rows": COUNT,
            "rank": RANK,
            "dtype": DTYPES,
        },
        _dense,
    ),
    "json, ones": (
        {
            "inner": ("empty", "number", "bare"),
            "rank": RANK,
            "count": COUNT,
            "dtype": DTYPES,
        },
        _ones,
    ),
    "json, records": (
        {
            "names": Span(1, 2**12, 64),
            "known": ("yes", "no"),
            "order": ("usual", "reversed"),
            "escaped": ("yes", "no"),
            "number": list(NUMBERS),
            "count": COUNT,
        },
        _records,
    ),
    "json, batch": (
        {
            "first": list(_TENSORS),
            "second": list(_TENSORS),
            "mixed": ("yes", "no"),
            "count": COUNT,
            "dtype": DTYPES,
        },
        _batch,
    ),
}
