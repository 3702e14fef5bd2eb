"""What a request may cost, and what it did cost."""

from typing import Final, NamedTuple

MIB: Final = 2**20
ENDED: Final = "the server ended"
CUT: Final = "cut short, as it went on"
MEASURES: Final = ("CPU", "memory", "silence")


class Cost(NamedTuple):
    """What a request did cost.

    Attributes:
        size: Bytes of it, once inflated.
        requests: How many it is.
        answer_bytes: Bytes that came back.
        status: Of the first answer; 0 where there was none.
        cpu_seconds: Of all threads of the server.
        memory_bytes: Highest, beyond what was resident before.
        silence_seconds: Longest wait for `/livez` meanwhile.
        empty_seconds: That of the empty handler at the same time.
        end: Why it was not waited for, if so.
    """

    size: int
    requests: int = 1
    answer_bytes: int = 0
    status: int = 0
    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    silence_seconds: float = 0.0
    empty_seconds: float = 0.0
    end: str = ""

    @property
    def is_cut(self) -> bool:
        """Whether the server would have gone on."""
        return self.end == CUT

    @property
    def silence(self) -> float:
        """Seconds of silence beyond that of the empty handler."""
        return max(0.0, self.silence_seconds - self.empty_seconds)


class Limits(NamedTuple):
    """What it may cost at most."""

    cpu_seconds: float
    memory_bytes: float
    silence_seconds: float


def limits(size: int, requests: int, answer_bytes: int) -> Limits:
    """Say what a request may cost.

    Args:
        size: Bytes of it, once inflated.
        requests: How many it is.
        answer_bytes: Bytes that came back.
    """
    return Limits(
        cpu_seconds=0.003 * requests + size / 1e6,
        memory_bytes=16 * MIB + 24 * size + answer_bytes,
        silence_seconds=0.050 + 0.004 * size / MIB,
    )


def shares(cost: Cost) -> dict[str, float]:
    """Divide what it cost by what it may cost, for each of `MEASURES`."""
    most = limits(cost.size, cost.requests, cost.answer_bytes)
    return {
        "CPU": cost.cpu_seconds / most.cpu_seconds,
        "memory": cost.memory_bytes / most.memory_bytes,
        "silence": cost.silence / most.silence_seconds,
    }


def least(costs: list[Cost]) -> Cost:
    """Take the least of each measure: what else the machine did only adds to them."""
    quietest = min(costs, key=lambda cost: cost.silence)
    return costs[0]._replace(
        cpu_seconds=min(cost.cpu_seconds for cost in costs),
        memory_bytes=min(cost.memory_bytes for cost in costs),
        silence_seconds=quietest.silence_seconds,
        empty_seconds=quietest.empty_seconds,
        end=costs[0].end if all(cost.end for cost in costs) else "",
    )
