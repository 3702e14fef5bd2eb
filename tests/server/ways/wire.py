"""Requests and answers over TCP."""

import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from tests.server.ways.messages import Message

_SECONDS: Final = 10
_STEP: Final = 0.002
MADE_ID: Final = re.compile(r"[0-9a-f]{32}")
_NUMBER: Final = re.compile(r"\d+\.\d+")

Line = tuple[tuple[str, Any], ...]
"""A line of the log: its members."""


class Answer(NamedTuple):
    """What an answer says, without what differs each time.

    Attributes:
        status: The first line.
        fields: The others, in alphabetical order; none of how the connection goes on.
        body: Its bytes.
        goes_on: Whether the connection does.
        log: The lines of the log about the request.
    """

    status: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    goes_on: bool
    log: tuple[Line, ...] = ()


class OddError(Exception):
    """Why there is no right answer."""


class Dialogue:
    """Sends requests to a server, on one connection as long as that lasts.

    Args:
        address: Of the server.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._wire: socket.socket | None = None
        self._read = b""

    def ask(self, messages: Sequence[Message]) -> Iterator[tuple[Answer, str]]:
        """Send messages in one piece; yields each answer, and its request's id."""
        if self._wire is None:
            self._wire = socket.create_connection(self._address, _SECONDS)
            self._wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._read = b""
        # The answer says why the server reads no more, if it does not.
        with suppress(ConnectionError):
            self._send(self._wire, messages)
        for message in messages:
            try:
                answer, name = self._answer(message)
                if (message.stops or not answer.goes_on) and (
                    self._read or self._more()
                ):
                    raise OddError("more behind the last answer")
            except (OddError, TimeoutError) as error:
                answer, name = Answer(f"{error!r}", (), b"", False), ""
            yield answer, name
            if message.stops or not answer.goes_on:
                self.close()
            if not answer.goes_on:
                return

    def close(self) -> None:
        """End the connection."""
        if self._wire:
            self._wire.close()
        self._wire = None

    def _send(self, wire: socket.socket, messages: Sequence[Message]) -> None:
        last = messages[-1]
        if last.waits:
            wire.sendall(last.head())
            wire.settimeout(0.5)
            with suppress(TimeoutError):  # it may answer without
                self._read += wire.recv(2**16)
            wire.settimeout(_SECONDS)
            wire.sendall(last.rest())
            return
        data = b"".join(message.head() + message.rest() for message in messages)
        start = 0
        for cut in last.cuts:
            end = int(cut * len(data))
            wire.sendall(data[start:end])
            time.sleep(_STEP)
            start = end
        wire.sendall(data[start:])
        if last.stops:
            wire.shutdown(socket.SHUT_WR)

    def _more(self) -> bytes:
        assert self._wire
        try:
            return self._wire.recv(2**16)
        except ConnectionError:
            return b""

    def _until(self, end: bytes) -> bytes:
        while end not in self._read:
            more = self._more()
            if not more:
                raise OddError(f"the end after {self._read!r}")
            self._read += more
        found, _, self._read = self._read.partition(end)
        return found

    def _answer(self, message: Message) -> tuple[Answer, str]:
        head = self._until(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 100 "):
            if not message.values(b"expect"):
                raise OddError("100 was not asked for")
            head = self._until(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        pairs = [line.partition(":") for line in lines]
        fields = [(name, value.strip()) for name, _, value in pairs]
        length = 0 if message.method == b"HEAD" else int(dict(fields)["content-length"])
        while len(self._read) < length:
            more = self._more()
            if not more:
                raise OddError(f"the end after {self._read!r}")
            self._read += more
        body, self._read = self._read[:length], self._read[length:]
        return _answer(message, status, fields, body)


def _answer(
    message: Message, status: str, fields: list[tuple[str, str]], body: bytes
) -> tuple[Answer, str]:
    of_connection = [
        (name, value)
        for name, value in fields
        if name.lower() in ("connection", "keep-alive")
    ]
    goes_on = ("connection", "close") not in of_connection
    names = ["keep-alive"] if goes_on else ["connection"]
    if message.number == b"1.0" and goes_on:
        names.append("connection")
    if sorted(name for name, _ in of_connection) != sorted(names):
        raise OddError(f"said of the connection: {of_connection}")
    name = dict(fields)["x-request-id"]
    given = message.values(b"x-request-id")
    shown = name
    if MADE_ID.fullmatch(name) and name.encode() not in given:
        shown = "made"
        body = body.replace(name.encode(), b"made")
    kept = []
    for key, value in fields:
        if (key, value) not in of_connection:
            kept.append((key, _without_moment(key, value, shown)))
    return Answer(status, tuple(sorted(kept)), body, goes_on), name


def _without_moment(name: str, value: str, request_id: str) -> str:
    if name == "date":
        return "now"
    if name == "server-timing":
        return _NUMBER.sub("some", value)
    return request_id if name == "x-request-id" else value
