"""The headers of a request, as RFC 9110 reads them."""

from sigmoid_serve.inference.media import HeaderLines


def combine_headers(lines: HeaderLines) -> dict[bytes, bytes]:
    """Combine headers of the same name (RFC 9110, section 5.3).

    Returns:
        Values by name. What came in several lines is one list, with `, ` between.
    """
    headers = dict(lines)
    if len(headers) == len(lines):
        return headers
    values: dict[bytes, list[bytes]] = {}
    for name, value in lines:
        values.setdefault(name, []).append(value)
    return {name: b", ".join(parts) for name, parts in values.items()}


def tokens(value: bytes) -> list[bytes]:
    """Split a list such as that of `Connection`, in lower case."""
    return [part.strip().lower() for part in value.split(b",")]
