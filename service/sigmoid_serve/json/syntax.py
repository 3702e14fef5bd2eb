"""Whether a body is JSON, from its bytes.

The parsers that exist make a Python object of each value, which for hostile text takes
many times its size, and hold the interpreter until they are through. The scanner here
makes no objects, and lets other threads run.

What is allowed is what the standard library's parser allows (RFC 8259 and the constants
`NaN`, `Infinity` and `-Infinity`), and the errors have its words.
"""

import codecs
from collections.abc import Callable, Collection
from typing import Final

from sigmoid_serve.json.scanner import Member, Scanner
from sigmoid_serve.json.syntax_errors import SyntaxMismatch, mismatch_error, not_json

_DECODED_BYTES: Final = 2**20


def read_members(
    body: bytes, check: Callable[[], None], known: Collection[str] = ()
) -> list[Member]:
    """Find the members of a body whose top level must be an object.

    Args:
        body: The whole body.
        check: Called again and again; it may raise, and so end the reading.
        known: Names of members that are returned wherever they stand.

    Returns:
        The first members, in their order; at least 16 of those that there are.

    Raises:
        ServiceError: `malformed_json`, or `rank` for objects nested beyond all measure.
    """
    _check_encoding(body, check)
    try:
        return Scanner(body, check, known).scan()
    except SyntaxMismatch as error:
        raise mismatch_error(body, error) from None


def _check_encoding(body: bytes, check: Callable[[], None]) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(body), _DECODED_BYTES):
        check()
        before = len(decoder.getstate()[0])
        stop = start + _DECODED_BYTES
        try:
            decoder.decode(body[start:stop], final=stop >= len(body))
        except UnicodeDecodeError as error:
            place = start - before + error.start
            raise not_json(body, f"byte {place} is not UTF-8") from None
