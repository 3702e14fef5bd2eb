"""The link between the supervisor and a worker: messages over a pair of sockets.

A message is a header, then a pickle, then the bytes of its files as they are: so no
large file is copied, and a worker without memory for one can skip it and still read the
next message. The header has the length of the pickle and the number of files, then the
length of each file.
"""

import asyncio
import pickle
import struct
from asyncio import Queue
from collections.abc import Sequence
from io import BytesIO
from socket import socket
from threading import Lock
from typing import Any, Final, NamedTuple, TypeAlias

from sigmoid_models.checkpoint import FileBytes
from sigmoid_serve.repository.model_repository import CheckpointContent

_HEAD: Final = struct.Struct(">II")
_LENGTH: Final = struct.Struct(">Q")
_SKIPPED_AT_ONCE: Final = 2**16

_Part: TypeAlias = "bytes | memoryview[int]"


class Received(NamedTuple):
    """A message that a worker received.

    Attributes:
        message: One of `sigmoid_serve.process.messages`.
        is_whole: Whether there was memory for all of its files; else some are empty.
    """

    message: Any
    is_whole: bool


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, CheckpointContent):
            return NotImplemented
        return CheckpointContent, tuple(
            pickle.PickleBuffer(each) if isinstance(each, FileBytes) else each
            for each in value
        )


def _parts(message: object) -> list[_Part]:
    contents: list[pickle.PickleBuffer] = []
    text = BytesIO()
    _Pickler(text, 5, buffer_callback=contents.append).dump(message)
    raw = [content.raw() for content in contents]
    lengths = b"".join(_LENGTH.pack(len(content)) for content in raw)
    head = _HEAD.pack(text.tell(), len(raw))
    return [b"".join((head, lengths, text.getvalue())), *raw]


class WorkerLink:
    """The worker's end: its calls block, and any thread may send.

    Args:
        end: One of a pair of sockets.
    """

    def __init__(self, end: socket) -> None:
        end.setblocking(True)
        self._end = end
        self._reader = end.makefile("rb")
        self._lock = Lock()

    def send(self, message: object) -> None:
        """Send a message to the supervisor.

        Raises:
            OSError: It has exited.
        """
        with self._lock:
            for part in _parts(message):
                self._end.sendall(part)

    def receive(self) -> Received:
        """Wait for a message.

        Raises:
            EOFError: The supervisor has exited.
            OSError: The same.
        """
        length, count = _HEAD.unpack(self._read(_HEAD.size))
        lengths = [_LENGTH.unpack(self._read(_LENGTH.size))[0] for _ in range(count)]
        text = self._read(length)
        contents = [self._read_content(length) for length in lengths]
        kept = [b"" if content is None else content for content in contents]
        return Received(pickle.loads(text, buffers=kept), None not in contents)

    def _read(self, length: int) -> bytes:
        data = self._reader.read(length)
        if len(data) < length:
            raise EOFError
        return data

    def _read_content(self, length: int) -> bytes | None:
        try:
            return self._read(length)
        except MemoryError:  # it was raised before anything was read
            while length:
                length -= len(self._read(min(length, _SKIPPED_AT_ONCE)))
            return None

    def close(self) -> None:
        """Say no more, and hear no more."""
        self._reader.close()
        self._end.close()


class SupervisorLink:
    """The supervisor's end, which waits on the running event loop only.

    Args:
        end: One of a pair of sockets.
    """

    def __init__(self, end: socket) -> None:
        end.setblocking(False)
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._unsent: Queue[Sequence[_Part]] = Queue()

    def send(self, message: object) -> None:
        """Queue a message to the worker."""
        self._unsent.put_nowait(_parts(message))

    async def send_queued(self) -> None:
        """Send the queued messages, until the worker has exited."""
        try:
            while True:
                for part in await self._unsent.get():
                    await self._loop.sock_sendall(self._end, part)
        except OSError:
            return  # the exit is seen elsewhere

    async def receive(self) -> Any:
        """Wait for a message; those of workers have no files.

        Raises:
            EOFError: The worker has exited.
            OSError: The same.
        """
        length, _ = _HEAD.unpack(await self._read(_HEAD.size))
        return pickle.loads(await self._read(length))

    async def _read(self, length: int) -> bytes:
        data = bytearray()
        while len(data) < length:
            more = await self._loop.sock_recv(self._end, length - len(data))
            if not more:
                raise EOFError
            data += more
        return bytes(data)

    def close(self) -> None:
        """Say no more, and hear no more."""
        self._end.close()
