"""Errors of a body that is not JSON: what is wrong, and where."""

from sigmoid_serve.errors import ServiceError
from sigmoid_serve.json.lookalikes import recognise


class SyntaxMismatch(Exception):
    """A text is not JSON.

    Attributes:
        reason: What is wrong, in the words of the standard library's parser.
        position: Where it is wrong, as a place in the bytes.
    """

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


def malformed(reason: str) -> ServiceError:
    """Make the error of a body that is not the JSON it should be."""
    return ServiceError("malformed_json", f"the body is not valid JSON: {reason}")


def not_json(body: bytes, reason: str) -> ServiceError:
    """Make the error of a body that is not JSON, or is recognised as something else."""
    known = recognise(body)
    return malformed(f"it {known}" if known else reason)


def mismatch_error(body: bytes, mismatch: SyntaxMismatch) -> ServiceError:
    """Make the error of a mismatch; it names the line and the column."""
    position = mismatch.position
    line = body.count(b"\n", 0, position) + 1
    column = len(body[body.rfind(b"\n", 0, position) + 1 : position].decode()) + 1
    return not_json(body, f"{mismatch.reason} (line {line}, column {column})")
