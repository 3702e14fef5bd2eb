"""The connections of the server, for many small requests and answers.

uvicorn writes the head of an answer and its body one after the other, and each of the
two becomes a system call, which for a small answer costs as much as its inference. Here
the head waits for the body. And the requests that arrive are counted, so that a batch
can be closed as soon as nobody else will join it.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.batching import Arrivals


class GatheringTransport:
    """A transport that writes the head of an answer together with what follows it.

    All else is the transport's that it wraps.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def write(self, data: bytes) -> None:
        """Write, unless it is a head that something must follow."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data[:9] == b"HTTP/1.1 " and data[9:10] != b"1":
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Write a head that nothing followed."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def close(self) -> None:
        """Write what is held, then close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def counting_protocol(arrivals: Arrivals) -> type[HttpToolsProtocol]:
    """Make uvicorn's protocol, on such transports, count the requests that arrive."""
    arrivals.begin_counting()

    class Protocol(HttpToolsProtocol):
        transport: Any

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.transport = GatheringTransport(transport)

        def on_headers_complete(self) -> None:
            previous = self.cycle
            super().on_headers_complete()
            if self.cycle is not previous:
                arrivals.waiting += 1

        def on_response_complete(self) -> None:
            self.transport.flush()
            super().on_response_complete()

    return Protocol
