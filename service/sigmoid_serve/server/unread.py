"""Long answers that clients have not read: how much memory they hold in all.

A request leaves the queue once its answer is made, so that a client that does not read
keeps nobody else waiting. What bounds the memory of such answers is here: where they
are too much in all, clients are cut off, first those that have read nothing for the
longest time.
"""

from collections.abc import Callable
from typing import Final, Protocol

SHORT_BYTES: Final = 2**16
"""Answers up to this length are not counted."""

_LEAST_BYTES: Final = 2**26


class Client(Protocol):
    """Who has an answer to read.

    Attributes:
        read_at: When it has read something last, on the clock of the loop.
    """

    read_at: float

    def cut_off(self, why: str) -> None:
        """Give up its answers."""


class Unread:
    """What the clients of a process have not read yet.

    Args:
        max_answer_bytes: Longest answer; twice as much is held, or 64 MiB.

    Attributes:
        total: Bytes of all long answers that are held.
    """

    def __init__(self, max_answer_bytes: int) -> None:
        self.limit = max(2 * max_answer_bytes, _LEAST_BYTES)
        self.total = 0
        self._lengths: dict[Client, int] = {}

    def hold(self, client: Client, length: int) -> None:
        """Count an answer; make room for it where there is none."""
        self._lengths[client] = self._lengths.get(client, 0) + length
        self.total += length
        if self.total <= self.limit:
            return
        last_read: Callable[[Client], float] = lambda other: other.read_at  # noqa: E731
        for other in sorted(self._lengths, key=last_read):
            if self.total <= self.limit:
                return
            if other is not client:
                self.release(other)
                other.cut_off("too many bytes of responses were not read")

    def release(self, client: Client) -> None:
        """Count the answers of a client no more."""
        self.total -= self._lengths.pop(client, 0)
