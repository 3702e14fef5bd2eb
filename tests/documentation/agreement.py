"""Whether what came is what a page shows."""

import json
import re
from typing import Any

import numpy as np

from tests.http.test_openapi import close

_NUMBER = r"-?\d+\.\d+(?:[eE][-+]?\d+)?"
_PART = re.compile(rf"(…|\.\.\.|(?<![\w.]){_NUMBER}(?![\w.]))")
_ANY = {"…", "..."}


def agrees(came: str, shown: str) -> bool:
    """Compare JSON by its values, other text by its words.

    `…` and `...` stand for anything. A float may differ in its last bits on another
    machine, and lines may be broken elsewhere.
    """
    try:
        return close(_untitled(json.loads(came)), _untitled(json.loads(shown)))
    except ValueError:
        return _reads_alike(" ".join(came.split()), " ".join(shown.split()))


def _untitled(document: Any) -> Any:
    """Leave out the phrase of a status: that of 422 changed with a later standard."""
    if isinstance(document, dict) and "status" in document:
        return {key: value for key, value in document.items() if key != "title"}
    return document


def _reads_alike(came: str, shown: str) -> bool:
    literals = _PART.split(shown)
    numbers = [p for p in literals[1::2] if p not in _ANY]
    pattern = "".join(
        re.escape(part) if not n % 2 else ".*?" if part in _ANY else rf"({_NUMBER}|\d+)"
        for n, part in enumerate(literals)
    )
    match = re.fullmatch(pattern, came, re.DOTALL)
    if not match:
        return False
    found = [float(number) for number in match.groups()]
    return np.allclose(found, [float(number) for number in numbers], rtol=1e-5)
