"""`.npy` bodies: arrays of odd shapes, and headers that are no headers."""

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from fuzzing.cost.json_text import COUNT, LONGEST, Builders, Payload
from fuzzing.cost.space import Span, Values

_DESCRIPTIONS: Final = (
    *("|i1", "|u1", "<i2", "<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "<i8", ">u8"),
    *("|b1", "|O", "<c8", "|S1"),
)
_ONES: Final = Span(1, 34, 34)


def _file(descr: str, order: str, shape: str, data: bytes, version: int = 1) -> Payload:
    header = "{'descr': %s, 'fortran_order': %s, 'shape': %s, }"
    return _headed((header % (descr, order, shape)).encode(), data, version)


def _headed(header: bytes, data: bytes, version: int = 1) -> Payload:
    width = 2 if version == 1 else 4
    header += b" " * (-(len(header) + 9 + width) % 64) + b"\n"
    header = header[: 2 ** (8 * width) - 1]
    length = len(header).to_bytes(width, "little")
    body = b"\x93NUMPY" + bytes((version, 0)) + length + header + data
    return Payload(body, "application/x-npy")


def _shaped(values: Values) -> Payload:
    ones = [1] * (int(values["ones"]) - 1)
    sizes = [int(values["first"]), int(values["second"])]
    if values["zero"] == "yes":
        sizes.append(0)
    shape = {
        "before": [*ones, *sizes],
        "between": [sizes[0], *ones, *sizes[1:]],
        "after": [*sizes, *ones],
    }[str(values["place"])]
    descr = str(values["descr"])
    bytes_each = int(descr[2:]) if descr[2:] else 8
    data = bytes(min(LONGEST, math.prod(shape) * bytes_each))
    return _file(repr(descr), str(values["order"]), repr(tuple(shape)), data)


def _valued(values: Values) -> Payload:
    descr, features = str(values["descr"]), int(values["features"])
    kind = np.dtype(descr)
    rows = min(int(values["rows"]), LONGEST // (features * kind.itemsize) + 1)
    count = rows * features
    if values["value"] == "bytes":
        period = np.random.default_rng(1).bytes(2**12)
        data = (period * (count * kind.itemsize // 2**12 + 1))[: count * kind.itemsize]
    else:
        number = {"0": 0, "1": 1, "100": 100}.get(str(values["value"]), 1)
        array = np.full(count, number, kind)
        if values["value"] == "nan-last" and kind.kind == "f":
            array[-1] = np.nan
        data = array.tobytes()
    return _file(repr(descr), str(values["order"]), f"({rows}, {features})", data)


_TRICKS: Final[Mapping[str, Callable[[int], str]]] = {
    "ones": lambda n: "(" + "1," * n + ")",
    "zeros": lambda n: "(" + "0," * n + ")",
    "brackets": lambda n: "(" * n + ")" * n,
    "open": lambda n: "(" * n,
    "lists": lambda n: "[" * n + "]" * n,
    "digits": lambda n: "(" + "9" * n + ",)",
    "hex": lambda n: "(0x" + "f" * n + ",)",
    "sum": lambda n: "(" + "1+" * n + "1,)",
    "minus": lambda n: "(" + "-" * n + "1,)",
    "not": lambda n: "(" + "not " * n + "1,)",
    "string": lambda n: "'" + "a" * n + "'",
    "quotes": lambda n: "'" * n,
    "backslashes": lambda n: "'" + "\\\\" * n + "'",
    "unicode": lambda n: "'" + "\\N{DIGIT ONE}" * n + "'",
    "spaces": lambda n: " " * n + "(1,)",
    "lines": lambda n: "(1,\n" * n,
    "keys": lambda n: "{" + "'a':1," * n + "}",
    "power": lambda n: "(" + "9**" * n + "9,)",
}


def _tricky(values: Values) -> Payload:
    text = _TRICKS[str(values["trick"])](int(values["count"]))
    fields = ["'<f4'", "False", "(1,)"]
    fields[("descr", "order", "shape").index(str(values["place"]))] = text
    descr, order, shape = fields
    return _file(descr, order, shape, bytes(4), int(values["version"]))


NPY: Final[Builders] = {
    ".npy, shapes": (
        {
            "first": COUNT,
            "second": COUNT,
            "ones": _ONES,
            "zero": ("yes", "no"),
            "place": ("before", "between", "after"),
            "descr": _DESCRIPTIONS,
            "order": ("False", "True"),
        },
        _shaped,
    ),
    ".npy, values": (
        {
            "rows": COUNT,
            "features": Span(1, 2**16, 100),
            "descr": _DESCRIPTIONS[:11],
            "value": ("0", "1", "100", "bytes", "nan-last"),
            "order": ("False", "True"),
        },
        _valued,
    ),
    ".npy, headers": (
        {
            "trick": list(_TRICKS),
            "count": Span(1, 2**22),
            "place": ("descr", "order", "shape"),
            "version": Span(1, 3, 3),
        },
        _tricky,
    ),
}
