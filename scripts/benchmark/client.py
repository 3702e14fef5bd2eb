"""An HTTP client that costs nearly nothing: ready bytes out, answer bytes in."""

import socket
from dataclasses import dataclass
from time import perf_counter

from benchmark import BenchmarkError

JSON = "application/json"
NPY = "application/x-npy"
_HEAD_BYTES = 65536


@dataclass(frozen=True)
class Request:
    """What is asked of a server.

    Attributes:
        method: `GET` or `POST`.
        path: Begins with a slash.
        body: The same bytes at every repetition.
        headers: Beyond those that HTTP needs.
        is_chunked: Whether the body is sent as one chunk, its length not said before.
    """

    method: str
    path: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    is_chunked: bool = False

    def message(self) -> bytes:
        """Write the whole request, head and body."""
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        body = self.body
        if self.is_chunked:
            lines.append("Transfer-Encoding: chunked")
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        elif body:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Connection:
    """One keep-alive connection, one request at a time.

    The buffer is kept, so that the client does not touch new memory at each answer.

    Args:
        port: Of 127.0.0.1.
        timeout: Seconds without a byte, after which the benchmark ends.
    """

    def __init__(self, port: int, timeout: float = 300.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray(_HEAD_BYTES)
        self._body = slice(0)
        self.head = b""

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def ask(self, message: bytes) -> float:
        """Send a request's bytes and read the whole answer.

        Returns:
            Seconds from before the first byte was sent until the last had come.

        Raises:
            BenchmarkError: The answer is no 200, or neither is its length declared nor
                does it come in chunks.
            OSError: The connection broke.
        """
        start = perf_counter()
        self._socket.sendall(message)
        received, end = 0, -1
        while end < 0:
            received += self._read(received)
            end = self._buffer.find(b"\r\n\r\n", 0, min(received, _HEAD_BYTES))
        self.head = bytes(self._buffer[:end])
        _require_ok(self.head)
        if _header(self.head, b"transfer-encoding").lower() == b"chunked":
            self._body = self._read_chunks(end + 4, received)
        else:
            self._body = slice(end + 4, end + 4 + _declared_length(self.head))
            self._read_until(self._body.stop, received)
        return perf_counter() - start

    def body(self) -> bytes:
        """Copy the last answer's body."""
        return bytes(self._buffer[self._body])

    def header(self, name: str) -> str:
        """Return a header of the last answer, or an empty text."""
        return _header(self.head, name.encode()).decode()

    def _read_chunks(self, start: int, received: int) -> slice:
        """Read chunks that begin at a place, and put their data there in one piece."""
        place, end, size = start, start, -1
        while size:
            while (line_end := self._buffer.find(b"\r\n", place, received)) < 0:
                received = self._read_until(received + 1, received)
            size = int(self._buffer[place:line_end].partition(b";")[0], 16)
            data, place = line_end + 2, line_end + 2 + size + 2
            received = self._read_until(place, received)
            self._buffer[end : end + size] = self._buffer[data : data + size]
            end += size
        return slice(start, end)

    def _read_until(self, end: int, received: int) -> int:
        """Read until so many bytes have come; return how many have."""
        self._buffer.extend(bytes(max(0, end - len(self._buffer))))
        while received < end:
            received += self._read(received)
        return received

    def _read(self, start: int) -> int:
        with memoryview(self._buffer) as view:
            count = self._socket.recv_into(view[start:])
        if count == 0:
            raise BenchmarkError("a server closed the connection before its answer")
        return count


def _require_ok(head: bytes) -> None:
    status = head.split(b"\r\n")[0]
    if b" 200" not in status:
        raise BenchmarkError(f"a server answered {status.decode()!r} and not 200")


def _declared_length(head: bytes) -> int:
    length = _header(head, b"content-length")
    if not length.isdigit():
        raise BenchmarkError("a server's answer has no Content-Length")
    return int(length)


def _header(head: bytes, wanted: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == wanted.lower():
            return value.strip()
    return b""
