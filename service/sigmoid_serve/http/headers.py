"""The header fields of a request, as RFC 9110 reads them."""

from collections.abc import Sequence

Fields = Sequence[tuple[bytes, bytes]]
"""Lines of a header: names in lower case, and values."""


def read_fields(lines: Fields) -> dict[bytes, bytes]:
    """Join the lines of each field (RFC 9110, section 5.3).

    Args:
        lines: In the order in which they came.

    Returns:
        Values by name. What came in several lines is one list, with `, ` between.
    """
    fields = dict(lines)
    if len(fields) == len(lines):
        return fields
    values: dict[bytes, list[bytes]] = {}
    for name, value in lines:
        values.setdefault(name, []).append(value)
    return {name: b", ".join(parts) for name, parts in values.items()}


def tokens(value: bytes) -> list[bytes]:
    """Split a list such as that of `Connection`, in lower case."""
    return [part.strip().lower() for part in value.split(b",")]
