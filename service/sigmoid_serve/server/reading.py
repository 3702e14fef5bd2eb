"""How the bytes of a connection are read: uvicorn's protocol, and what it leaves open.

That is the limits of a head and of what stands between chunks and behind them, what a
head must say, offers to go on in another protocol, and what still arrives after the
last answer.
"""

from abc import abstractmethod
from contextlib import suppress
from typing import Any, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.http.headers import combine_headers
from sigmoid_serve.server import heads
from sigmoid_serve.server.feeding import (
    BODY,
    CHUNK_WORK,
    HEADER,
    IDLE,
    REQUEST_WORK,
    Feeder,
)
from sigmoid_serve.server.framing import Framing

# So much is thrown away at least after the last answer, before a sender is cut off.
_THROWN_BYTES: Final = 2**26

# What may stand around a value (RFC 9110, section 5.6.3).
_SPACE: Final = b" \t"


class _Over(Exception):
    """What arrives now comes after the last request of a connection."""


def _make_parser(connection: HttpToolsProtocol) -> HttpRequestParser:
    parser = HttpRequestParser(connection)
    parser.set_dangerous_leniencies(
        # What comes after the last request is passed over here.
        lenient_data_after_close=True,
        # RFC 9112, section 7.1.1.
        lenient_spaces_after_chunk_size=True,
    )
    return parser


class Reader(Feeder):
    """The reading half of a connection.

    Args:
        config: Of uvicorn.
        server_state: Of uvicorn.
        app_state: Of uvicorn.
        settings: Of the service.

    Attributes:
        is_last: Whether no request comes after the one at hand.
        is_deaf: Whether what arrives is thrown away.
        is_over: Whether the last answer was written, too.
        named_headers: Of the request at hand, by names in lower case.
        version: Of HTTP, as its client speaks it.
        body_bytes: That have arrived of its body.
        trailers: HeaderLines that stood behind its last chunk.
        is_handed_on: Whether the application answers it.
    """

    is_last = False
    is_deaf = False
    is_over = False
    named_headers: dict[bytes, bytes]
    version = "1.1"
    body_bytes = 0
    is_handed_on = False
    trailers = 0
    # What stood between chunks, or behind the last, since the last byte of the body.
    _between_bytes = 0
    # Of a head that has not ended, how much has arrived, and its last bytes.
    _head_bytes = 0
    _head_tail = b""
    # Heads that began in the packet at hand, and whether one may be too long though it
    # was not found out yet.
    _begun = 0
    _may_be_long = False
    _thrown_bytes = 0

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        settings: Settings,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self.parser = _make_parser(self)
        self._framing = Framing()
        self._root_path = settings.root_path.encode()
        self._most_thrown = max(_THROWN_BYTES, 2 * settings.max_body_bytes)

    @abstractmethod
    def count_body(self) -> None:
        """Keep account of a body that has not arrived as a whole."""

    @abstractmethod
    def refuse(self, error: ServiceError) -> None:
        """Answer what is no whole request, and end the connection."""

    @abstractmethod
    def head_error(self) -> ServiceError | None:
        """Say why the request at hand is refused by its head, if it is."""

    def body_rest(self) -> int:
        """Say how many bytes of a body are still to come, where its length was said."""
        if self.receive_state != BODY or self.is_deaf:
            return 0
        return int(self.named_headers.get(b"content-length", b"0")) - self.body_bytes

    def read(self, data: bytes) -> None:
        """Read some of what has arrived."""
        if self.is_deaf:
            self._throw_away(data)
            return
        is_between = self.receive_state == IDLE
        if self._head_bytes + len(data) > heads.MOST_HEAD_BYTES:
            self._may_be_long = True
            if self.receive_state != BODY and not self._head_ends_in_time(data):
                self.refuse(heads.long_head())
                return
        self._begun = 0
        before = self.body_bytes
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as offer:
            self._decline(memoryview(data)[offer.args[0] :])
        except HttpParserError:
            if not self.is_deaf:
                self.refuse(heads.no_http())
        if self.receive_state == HEADER and not self.is_deaf:
            self._count_head(data, is_alone=is_between and self._begun == 1)
            return
        self._may_be_long = False
        if self.receive_state == BODY and not self.is_deaf:
            if self._is_too_much_between(data, before):
                self.refuse(heads.long_trailer())
            else:
                self.count_body()

    def on_message_begin(self) -> None:
        """Begin a request; uvicorn's scope of it is made where it is needed."""
        if self.is_last:
            self.is_deaf = True
            raise _Over
        self.receive_state = HEADER
        self.is_handed_on = False
        self._begun += 1
        self.work += REQUEST_WORK
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a field of the header; those of a trailer are passed over."""
        if self.receive_state == HEADER:
            name = name.lower()
            if name == b"expect" and value.rstrip(_SPACE).lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))
            return
        self.trailers += 1
        if self.trailers > heads.MOST_FIELDS:
            if not self.is_deaf:
                self.refuse(heads.long_trailer())
            raise _Over

    @property
    def is_ended_by_trailer(self) -> bool:
        """Whether a trailer has made the parser deaf to what follows."""
        return self.trailers > 0 and not self.parser.should_keep_alive()

    def on_chunk_complete(self) -> None:
        """Note how much was read in a turn of the event loop."""
        self.work += CHUNK_WORK

    def hand_on_head(self) -> None:
        """Have the application answer the request at hand."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = heads.shortened(url), expects
        # These are also in the scope. The parser leaves what stands behind a value.
        self.headers += [(name, value.rstrip(_SPACE)) for name, value in headers]
        super().on_headers_complete()
        self.is_handed_on = True

    def on_headers_complete(self) -> None:
        """Go on to the body, if the head is as it must be."""
        measured = heads.head_bytes(self.url, self.headers) if self._may_be_long else 0
        if measured > heads.MOST_HEAD_BYTES or len(self.headers) > heads.MOST_FIELDS:
            self.refuse(heads.long_head())
            raise _Over
        self.named_headers = headers = combine_headers(self.headers)
        self.is_last = not self.parser.should_keep_alive()
        # Of the versions that the parser knows, 1.1 alone goes on if nothing is said.
        self.version = "1.1"
        if self.is_last or b"connection" in headers:
            self.version = self.parser.get_http_version()
        error = self._framing.error_of(self.version, self.url, headers)
        if error is None:
            if self._root_path or not self.url.startswith(b"/"):
                self.url = heads.origin_form(self.url, self._root_path)
            error = self.head_error()
        if error:
            self.refuse(error)
            raise _Over
        self.receive_state = BODY
        self._head_bytes, self._head_tail = 0, b""
        self.body_bytes = self._between_bytes = self.trailers = 0

    def _is_too_much_between(self, data: bytes, before: int) -> bool:
        """Keep account of what stands between chunks and behind them.

        Args:
            data: What was read last.
            before: How much of the body there was before.
        """
        if self.body_bytes == before:
            self._between_bytes += len(data)
        elif not self.trailers:
            self._between_bytes = 0
        return self._between_bytes > heads.MOST_HEAD_BYTES

    def _decline(self, rest: memoryview) -> None:
        """Go on as if a request had not offered another protocol.

        Args:
            rest: What came after its head: its body, and other requests.
        """
        parts: list[bytes | memoryview] = [rest, self._declined_offer()]
        while parts and not self.is_deaf:
            part = parts.pop()
            try:
                self.parser.feed_data(part)
            except HttpParserUpgrade as offer:
                parts += (memoryview(part)[offer.args[0] :], self._declined_offer())
            except HttpParserError:
                if not self.is_deaf:
                    self.refuse(heads.no_http())

    def _declined_offer(self) -> bytes:
        """Begin the request anew, without its offer."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.refuse(heads.no_proxy())
            return b""
        version = self.parser.get_http_version()
        self.parser = _make_parser(self)
        self.receive_state = IDLE
        return heads.without_offer(method, self.url, version, self.headers)

    def _head_ends_in_time(self, data: bytes) -> bool:
        room = heads.MOST_HEAD_BYTES - self._head_bytes
        return b"\r\n\r\n" in self._head_tail + data[:room]

    def _count_head(self, data: bytes, *, is_alone: bool) -> None:
        """Keep account of a head that has not ended.

        Args:
            data: What has arrived last.
            is_alone: Whether it began with this, so that this is all of it so far.
        """
        if is_alone or not self._begun:
            self._head_bytes += len(data)
        else:  # it began somewhere behind other requests
            self._head_bytes = heads.head_bytes(self.url, self.headers)
            self._may_be_long = True
        self._head_tail = (self._head_tail + data)[-3:]

    def _throw_away(self, data: bytes) -> None:
        """Read on after the last answer, lest its client be cut off before it reads."""
        self._thrown_bytes += len(data)
        if self._thrown_bytes > self._most_thrown:
            self.transport.abort()
        elif self.is_over and self.receive_state == BODY:
            before = self.body_bytes
            # The end of the request ends the connection; its errors change nothing.
            with suppress(HttpParserError):
                self.parser.feed_data(data)
            if self.receive_state == BODY and self._is_too_much_between(data, before):
                self.transport.abort()
