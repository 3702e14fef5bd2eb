"""How the text of a JSON body is made, of any size."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from fuzzing.cost.space import Parameters, Span, Values

# All but what the head and a tail may take of the longest body that is let in.
LONGEST: Final = 2**26 - 2**12

COUNT: Final = Span(1, 2**25)
RANK: Final = Span(1, 40, 40)

NUMBERS: Final = {
    "0": b"0",
    "-1": b"-1",
    "0.1": b"0.1",
    "usual": b"3.141592653589793",
    "exponent": b"-1.5e-3",
    "subnormal": b"4.9e-324",
    "digits40": b"0." + b"3" * 38,
    "digits1000": b"1" + b"0" * 998 + b"e-990",
}
SPACES: Final = {"none": b"", "blank": b" ", "mixed": b" \n\t\r", "wide": b" " * 64}
DTYPES: Final = ("none", "float16", "bfloat16", "float32", "float64")


class Payload(NamedTuple):
    """A body before it is compressed and framed.

    Attributes:
        body: Its bytes.
        media: For `Content-Type`.
    """

    body: bytes
    media: str = "application/json"


def repeated(unit: bytes, count: int, joint: bytes = b",") -> bytes:
    """Write a unit many times, at most as often as fits."""
    part = unit + joint
    times = min(count, max(1, LONGEST // max(1, len(part))))
    return (part * times)[: len(part) * times - len(joint)]


def nested(inner: bytes, depth: int) -> bytes:
    """Put brackets around it."""
    return b"[" * depth + inner + b"]" * depth


def inputs(value: bytes, values: Values, key: bytes = b"inputs") -> Payload:
    """Make it the value of a key, beside the `dtype` that was drawn."""
    dtype = str(values.get("dtype", ""))
    member = b',"dtype":"%b"' % dtype.encode() if dtype not in ("", "none") else b""
    return Payload(b'{"%b":%b%b}' % (key, value, member))


Builders = Mapping[str, tuple[Parameters, Callable[[Values], Payload]]]
