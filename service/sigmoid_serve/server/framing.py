"""What the head of a request must say of where it goes and how long it is."""

import re
from collections.abc import Mapping
from typing import Final

from sigmoid_serve.errors import ServiceError, shown

# A host as in a URL, and a port (RFC 9110, section 7.2; RFC 3986, section 3.2.2). A
# comma would be allowed, but two lines are joined with one.
_HOST: Final = re.compile(
    rb"(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})*(?::[0-9]*)?"
    rb"|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~%-]+)?\](?::[0-9]*)?"
    rb"|\[[Vv][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+\](?::[0-9]*)?"
)
_LONGEST_HOST: Final = 2**10


class Framing:
    """Judges the heads of one connection, which mostly name the same host."""

    def __init__(self) -> None:
        self._host = b""

    def error_of(
        self, version: str, target: bytes, headers: Mapping[bytes, bytes]
    ) -> ServiceError | None:
        """Say what is wrong with a head, if anything is.

        Args:
            version: Of HTTP.
            target: As in the request line.
            headers: By names in lower case.
        """
        host = headers.get(b"host")
        if (
            host
            and host == self._host
            and version == "1.1"
            and b"transfer-encoding" not in headers
        ):
            return None
        error = _error_of(version, target, headers)
        self._host = host if host and not error else b""
        return error


def _error_of(
    version: str, target: bytes, headers: Mapping[bytes, bytes]
) -> ServiceError | None:
    if version not in ("1.0", "1.1"):
        return _malformed("HTTP/1.1 or HTTP/1.0", f"HTTP/{version}")
    return _error_of_host(version, target, headers) or _error_of_coding(
        version, headers
    )


def _error_of_host(
    version: str, target: bytes, headers: Mapping[bytes, bytes]
) -> ServiceError | None:
    host = headers.get(b"host")
    if host is None:
        return None if version == "1.0" else _malformed("a field Host", "none")
    may_be_empty = target.startswith((b"/", b"*"))
    if is_host(host) and (host.strip() or may_be_empty):
        return None
    got = shown(host.decode("latin-1")) or "an empty one"
    return _malformed("exactly one Host, such as example.org:8080", got)


def _error_of_coding(
    version: str, headers: Mapping[bytes, bytes]
) -> ServiceError | None:
    coding = headers.get(b"transfer-encoding")
    if coding is None:
        return None
    if version == "1.0":
        return _malformed("a Content-Length in HTTP/1.0", "Transfer-Encoding")
    if b"content-length" in headers:
        return _malformed("Content-Length or Transfer-Encoding", "both")
    if coding.strip().lower() == b"chunked":
        return None
    got = f"Transfer-Encoding {shown(coding.decode('latin-1'))}"
    return _malformed("Transfer-Encoding chunked, and no other", got)


def is_host(value: bytes) -> bool:
    """Tell whether the field Host may say so."""
    host = value.strip(b" \t")
    return len(host) <= _LONGEST_HOST and _HOST.fullmatch(host) is not None


def _malformed(expected: str, got: str) -> ServiceError:
    return ServiceError(
        "malformed_request",
        f"the request is no right HTTP/1.1: expected {expected}, got {got}; the "
        "connection is closed",
        expected=expected,
        got=got,
    )
