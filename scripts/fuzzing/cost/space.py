"""What a request is made from: named parameters, drawn and changed at random."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import NamedTuple

from fuzzing import FuzzError

Values = Mapping[str, int | str]

_FULL_SHARE = 0.1


class Span(NamedTuple):
    """A whole number, drawn evenly by its logarithm.

    Attributes:
        low: Least value.
        high: Greatest value.
        first: Greatest value to begin with, mostly: what is dear is grown into.
    """

    low: int
    high: int
    first: int = 2**12


Parameters = Mapping[str, Span | Sequence[str]]


class Request(NamedTuple):
    """What is sent on one connection.

    Attributes:
        message: All of its bytes.
        size: Bytes that it may cost something for: head and body, once inflated.
        answers: How many requests these are.
    """

    message: bytes
    size: int
    answers: int = 1


class Kind(NamedTuple):
    """A kind of request.

    Attributes:
        name: Its row in the table.
        parameters: What may differ.
        build: Makes the request of some values.
    """

    name: str
    parameters: Parameters
    build: Callable[[Values], Request]


def draw(random: Random, parameters: Parameters) -> Values:
    """Draw a value for each parameter."""
    is_full = random.random() < _FULL_SHARE
    return {
        name: _drawn(random, parameter, is_full)
        for name, parameter in parameters.items()
    }


def change(random: Random, parameters: Parameters, values: Values) -> Values:
    """Change one of the values, or some."""
    count = min(len(parameters), random.choice((1, 1, 2, 3)))
    changed = dict(values)
    for name in random.sample(list(parameters), count):
        parameter, value = parameters[name], changed[name]
        if isinstance(parameter, Span) and isinstance(value, int):
            changed[name] = _moved(random, parameter, value)
        else:
            changed[name] = _drawn(random, parameter, is_full=True)
    return changed


def written(kind: str, values: Values) -> str:
    """Write a recipe, as `read` takes it."""
    return f"{kind}: " + ", ".join(f"{name}={value}" for name, value in values.items())


def read(recipe: str, kinds: Sequence[Kind]) -> tuple[Kind, Values]:
    """Read a recipe.

    Raises:
        FuzzError: There is no such kind, or a parameter is missing, or has no such
            value.
    """
    name, _, rest = recipe.partition(":")
    kind = next((kind for kind in kinds if kind.name == name.strip()), None)
    if kind is None:
        raise FuzzError(f"no kind of request is called {name.strip()!r}")
    given = dict(re.findall(r"(\w+)=([^,\s]+)", rest))
    if given.keys() != kind.parameters.keys():
        raise FuzzError(f"{kind.name} needs {', '.join(kind.parameters)}")
    return kind, {n: _read(n, p, given[n]) for n, p in kind.parameters.items()}


def _read(name: str, parameter: Span | Sequence[str], text: str) -> int | str:
    if isinstance(parameter, Span):
        if text.isdecimal() and parameter.low <= int(text) <= parameter.high:
            return int(text)
        raise FuzzError(f"{name} is from {parameter.low} to {parameter.high}")
    if text not in parameter:
        raise FuzzError(f"{name} is one of {', '.join(parameter)}")
    return text


def _drawn(random: Random, parameter: Span | Sequence[str], is_full: bool) -> int | str:
    if not isinstance(parameter, Span):
        return random.choice(parameter)
    low = parameter.low
    high = parameter.high if is_full else min(parameter.high, parameter.first)
    return low - 1 + round(math.exp(random.uniform(0, math.log(high - low + 1))))


def _moved(random: Random, span: Span, value: int) -> int:
    how = random.random()
    if how < 0.15:
        return int(_drawn(random, span, is_full=True))
    if how < 0.3:
        moved = value + random.choice((-1, 1))
    else:
        moved = round(value * 2 ** random.uniform(-2, 3))
    return min(span.high, max(span.low, moved))
