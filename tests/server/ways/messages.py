"""Requests as they are written on the wire."""

import re
from typing import Final, NamedTuple

Lines = tuple[tuple[bytes, bytes], ...]

_REPEATED: Final = re.compile(rb"(.)\1{20,}", re.DOTALL)


class Message(NamedTuple):
    """A request, and how it is sent.

    Attributes:
        method: In capitals.
        path: Without the query.
        query: With its question mark, or nothing.
        lines: Of the head, but for `Host` and those of the body's length.
        body: Its bytes; None where there is none, nor a length.
        number: Digits of the version.
        chunks: Lengths of the body's chunks; None where its length is declared.
        extension: Of each chunk's length.
        trailer: Behind the last chunk.
        origin: What stands before the path.
        opening: Bytes before the request line.
        cuts: Where the bytes are cut, of 1; the pieces are sent one by one.
        waits: Whether the body waits for the answer 100.
        stops: Whether the client sends no more behind it.
    """

    method: bytes
    path: bytes
    query: bytes
    lines: Lines
    body: bytes | None
    number: bytes = b"1.1"
    chunks: tuple[int, ...] | None = None
    extension: bytes = b""
    trailer: bytes = b""
    origin: bytes = b""
    opening: bytes = b""
    cuts: tuple[float, ...] = ()
    waits: bool = False
    stops: bool = False

    def values(self, name: bytes) -> list[bytes]:
        """List what the lines of a name say."""
        return [value for key, value in self.lines if key.lower() == name]

    def with_lines(self, *lines: tuple[bytes, bytes]) -> "Message":
        """Add lines at the end of the head."""
        return self._replace(lines=(*self.lines, *lines))

    def head(self) -> bytes:
        """Write the head."""
        lines = [(b"Host", b"x"), *self.lines]
        if self.chunks is not None:
            lines.append((b"Transfer-Encoding", b"chunked"))
        elif self.body is not None:
            lines.append((b"Content-Length", b"%d" % len(self.body)))
        target = self.origin + self.path + self.query
        first = b"%b%b %b HTTP/%b\r\n" % (
            self.opening,
            self.method,
            target,
            self.number,
        )
        return first + b"".join(b"%b: %b\r\n" % line for line in lines) + b"\r\n"

    def rest(self) -> bytes:
        """Write what follows the head."""
        body = self.body or b""
        if self.chunks is None:
            return body
        start, parts = 0, []
        for length in self.chunks:
            data = body[start : start + length]
            start += length
            if data:
                parts.append(b"%x%b\r\n%b\r\n" % (len(data), self.extension, data))
        assert start >= len(body)
        return b"".join((*parts, b"0\r\n", self.trailer, b"\r\n"))

    def shown(self) -> str:
        """Show the start of what is sent, and how long it is."""
        data = self.head() + self.rest()
        how = [
            f"{len(data)} bytes",
            *(["waits for 100"] if self.waits else []),
            *(["stops sending"] if self.stops else []),
            *([f"cut at {self.cuts}"] if self.cuts else []),
        ]
        return f"{_REPEATED.sub(_shortened, data)[:800]!r} ({', '.join(how)})"


def _shortened(run: re.Match[bytes]) -> bytes:
    return b"%b...%d..." % (run[1], len(run[0]))
