"""A request that may take the fast path, and what all connections share to take it."""

from collections.abc import Callable
from typing import NamedTuple

from sigmoid_serve.admission.request_state import RequestState
from sigmoid_serve.http.context import Context
from sigmoid_serve.inference.operations import Match, Pending
from sigmoid_serve.server.busy_poll import BusyPoll
from sigmoid_serve.server.fast_path import FastPath
from sigmoid_serve.server.unread import Unread
from sigmoid_serve.sockets.connection_limits import ConnectionSlot


class Wiring(NamedTuple):
    """What all connections of a server have in common.

    Attributes:
        context: Of the application.
        fast_path: Answers short requests.
        busy_poll: Of the event loop.
        unread: What clients have not read of their answers.
        on_lost: Called when a connection has ended.
    """

    context: Context
    fast_path: FastPath
    busy_poll: BusyPoll
    unread: Unread
    on_lost: Callable[[ConnectionSlot], None]


class ShortRequest:
    """A request that may take the fast path, until its response is written.

    Attributes:
        match: Its route.
        state: Of the request.
        body: What has arrived of its body; None once it has been read.
        pending: The batch that the request waits for; None while in none.
    """

    __slots__ = ("body", "match", "pending", "state")

    def __init__(self, match: Match, state: RequestState) -> None:
        self.match = match
        self.state = state
        self.body: list[bytes] | None = []
        self.pending: Pending | None = None
