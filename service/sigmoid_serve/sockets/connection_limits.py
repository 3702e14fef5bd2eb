"""How many connections a process takes, in all and from each client.

Beyond that some more are taken, since whoever asks for the health of a process must be
answered when it is full: they are asked nothing else, and not for long. Where those are
too many, the oldest of them makes place for the newest.
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
"""So long such a connection may take to send its header."""

_RETRY_SECONDS: Final = 1

# Listeners, the event loop, checkpoints while they are read, the log. An extra
# connection that makes place has its file until the event loop's next turn.
_OTHER_FILES: Final = 128 + EXTRA_CONNECTIONS

# Whoever has one address of IPv6 has all of its network (RFC 6177).
_NETWORK_BYTES: Final = 8


class Guest:
    """A connection that was taken.

    Attributes:
        client: Whose it is; None where clients are not told apart.
        excess: The setting that it is beyond; empty where it is within all.
        close: Ends it at once.
    """

    __slots__ = ("client", "close", "excess")

    def __init__(self, client: bytes | None, excess: str) -> None:
        self.client = client
        self.excess = excess
        self.close: Callable[[], object] = lambda: None


class Admission:
    """Counts connections.

    Args:
        most: That are taken.
        most_per_client: Of one address; None for no such limit.
    """

    def __init__(self, most: int, most_per_client: int | None = None) -> None:
        self.most = most
        self._most_per_client = most_per_client
        self._guests: set[Guest] = set()
        self._by_client: Counter[bytes] = Counter()
        # In the order in which they came.
        self._extra: dict[Guest, None] = {}

    def enter(self, address: Any) -> Guest:
        """Take a connection.

        Args:
            address: Of its client, as `socket.accept` has it.
        """
        most = self._most_per_client
        client = client_of(address) if most else None
        if len(self._guests) >= self.most:
            return self._enter_extra(Guest(client, "SIGMOID_MAX_CONNECTIONS"))
        if client is not None and most and self._by_client[client] >= most:
            excess = "SIGMOID_MAX_CONNECTIONS_PER_CLIENT"
            return self._enter_extra(Guest(client, excess))
        guest = Guest(client, "")
        self._guests.add(guest)
        if client is not None:
            self._by_client[client] += 1
        return guest

    def _enter_extra(self, guest: Guest) -> Guest:
        self._extra[guest] = None
        if len(self._extra) > EXTRA_CONNECTIONS:
            oldest = next(iter(self._extra))
            del self._extra[oldest]
            oldest.close()
        return guest

    def leave(self, guest: Guest) -> None:
        """Count a connection no more."""
        self._extra.pop(guest, None)
        if guest not in self._guests:
            return
        self._guests.discard(guest)
        if guest.client is not None:
            self._by_client[guest.client] -= 1
            if not self._by_client[guest.client]:
                del self._by_client[guest.client]


def client_of(address: Any) -> bytes | None:
    """Say whose an address is: one of IPv4, or a network of IPv6; None for others."""
    if not isinstance(address, tuple):  # of a Unix socket
        return None
    ip = ip_address(address[0].partition("%")[0])
    if isinstance(ip, IPv6Address):
        return ip.ipv4_mapped.packed if ip.ipv4_mapped else ip.packed[:_NETWORK_BYTES]
    return ip.packed


def too_many(excess: str) -> ServiceError:
    """Make the error of a request on a connection beyond a setting."""
    error = ServiceError(
        "too_many_connections",
        f"there are as many connections as {excess} allows; beyond it, only /livez, "
        f"/readyz and /startupz are answered; ask again in {_RETRY_SECONDS} s",
    )
    error.retry_after = _RETRY_SECONDS
    return error


def allowed_connections(most: int) -> int:
    """Say how many connections the system's limit of open files allows.

    The limit is raised as far as the system lets it.

    Args:
        most: That are wanted.
    """
    wanted = most + EXTRA_CONNECTIONS + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return most
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    return min(most, max(1, soft - EXTRA_CONNECTIONS - _OTHER_FILES))
