"""Connection limits of a process, in all and for each client.

Some extra connections are accepted beyond a limit, so that probes are answered when the
process is full: only probes are answered on them, and only for a short time. If there
are too many of those, the oldest is closed for the newest.
"""

import resource
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

from sigmoid_serve.errors import ServiceError

EXTRA_CONNECTIONS: Final = 64
EXTRA_SECONDS: Final = 2.0
"""Longest time for the header of a request on an extra connection."""

_RETRY_SECONDS: Final = 1

# Listeners, the event loop, checkpoints while they are read, the log. An extra
# connection that is closed for another keeps its file until the event loop's next turn.
_OTHER_FILES: Final = 128 + EXTRA_CONNECTIONS

# A client with one address of IPv6 has all of its network (RFC 6177).
_NETWORK_BYTES: Final = 8


class ConnectionSlot:
    """The place of one connection among those that are allowed.

    Attributes:
        client: Key of its client; None if clients are not told apart.
        exceeded: The setting whose limit it exceeds; empty for none.
        close: Closes the connection at once.
    """

    __slots__ = ("client", "close", "exceeded")

    def __init__(self, client: bytes | None, exceeded: str) -> None:
        self.client = client
        self.exceeded = exceeded
        self.close: Callable[[], object] = lambda: None


class ConnectionLimits:
    """Counts connections, in all and by client.

    Args:
        max_connections: Most connections in all.
        max_per_client: Most connections of one client; None for no such limit.

    Attributes:
        max_connections: As given.
    """

    def __init__(self, max_connections: int, max_per_client: int | None = None) -> None:
        self.max_connections = max_connections
        self._max_per_client = max_per_client
        self._slots: set[ConnectionSlot] = set()
        self._by_client: Counter[bytes] = Counter()
        # In the order in which they were accepted.
        self._extra: dict[ConnectionSlot, None] = {}

    def acquire(self, address: Any) -> ConnectionSlot:
        """Count a connection, as an extra one if it exceeds a limit.

        Args:
            address: Of its client, as `socket.accept` returns it.
        """
        max_connections = self._max_per_client
        client = client_of(address) if max_connections else None
        if len(self._slots) >= self.max_connections:
            return self._acquire_extra(
                ConnectionSlot(client, "SIGMOID_MAX_CONNECTIONS")
            )
        if (
            client is not None
            and max_connections
            and self._by_client[client] >= max_connections
        ):
            exceeded = "SIGMOID_MAX_CONNECTIONS_PER_CLIENT"
            return self._acquire_extra(ConnectionSlot(client, exceeded))
        slot = ConnectionSlot(client, "")
        self._slots.add(slot)
        if client is not None:
            self._by_client[client] += 1
        return slot

    def _acquire_extra(self, slot: ConnectionSlot) -> ConnectionSlot:
        self._extra[slot] = None
        if len(self._extra) > EXTRA_CONNECTIONS:
            oldest = next(iter(self._extra))
            del self._extra[oldest]
            oldest.close()
        return slot

    def release(self, slot: ConnectionSlot) -> None:
        """Stop counting a connection."""
        self._extra.pop(slot, None)
        if slot not in self._slots:
            return
        self._slots.discard(slot)
        if slot.client is not None:
            self._by_client[slot.client] -= 1
            if not self._by_client[slot.client]:
                del self._by_client[slot.client]


def client_of(address: Any) -> bytes | None:
    """Return the key of a client: its IPv4 address or IPv6 network; None for others."""
    if not isinstance(address, tuple):  # of a Unix socket
        return None
    ip = ip_address(address[0].partition("%")[0])
    if isinstance(ip, IPv6Address):
        return ip.ipv4_mapped.packed if ip.ipv4_mapped else ip.packed[:_NETWORK_BYTES]
    return ip.packed


def too_many(setting: str) -> ServiceError:
    """Make the error of a request on a connection that exceeds a limit."""
    error = ServiceError(
        "too_many_connections",
        f"there are as many connections as {setting} allows; beyond it, only /livez, "
        f"/readyz and /startupz are answered; ask again in {_RETRY_SECONDS} s",
    )
    error.retry_after = _RETRY_SECONDS
    return error


def allowed_connections(max_connections: int) -> int:
    """Return how many connections the system's limit of open files allows.

    The limit is raised as far as the system permits.

    Args:
        max_connections: How many are wanted.
    """
    wanted = max_connections + EXTRA_CONNECTIONS + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return max_connections
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    return min(max_connections, max(1, soft - EXTRA_CONNECTIONS - _OTHER_FILES))
