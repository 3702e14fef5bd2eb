"""Three kinds of load on one server, by one client that never sleeps."""

import gc
import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from math import nan
from time import perf_counter, time_ns
from typing import Final, NamedTuple

import numpy as np

from simulating import SizingError
from simulating.speed import Floats
from simulating.wires import Arrival, Wires

_NANO: Final = 1e9
_PATIENCE_SECONDS: Final = 60
_HEAD_START_SECONDS: Final = 0.05
_TIMING: Final = re.compile(rb" parse;dur=([\d.]+), .* encode;dur=([\d.]+)")


class Saturated(NamedTuple):
    """What a closed loop without pauses came to.

    Attributes:
        start: When it began, by the clock `perf_counter`.
        end: When it ended.
        moments: Of each answer, by the same clock.
        handling: Seconds that the server took to parse each and to encode its answer.
    """

    start: float
    end: float
    moments: Floats
    handling: Floats

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.moments) / (self.end - self.start)

    @property
    def gap(self) -> float:
        """Median seconds between two answers."""
        return float(np.median(np.diff(np.sort(self.moments))))


class Alone(NamedTuple):
    """What requests came to that were alone.

    Attributes:
        seconds: Of each.
        handling: Seconds of them to parse it and to encode its answer.
        sending: Median seconds to send one.
    """

    seconds: Floats
    handling: Floats
    sending: float


class Opened(NamedTuple):
    """What an open loop came to; one value for each request, in their order.

    Attributes:
        seconds: From the moment at which the request was due to its answer.
        handling: Seconds of them to parse it and to encode its answer.
        late: Seconds from when it was due to the moment at which it left.
    """

    seconds: Floats
    handling: Floats
    late: Floats


def saturated(
    port: int, message: bytes, outstanding: int, connections: int, seconds: float
) -> Saturated:
    """Ask again as soon as there is an answer, on the connection that rested longest.

    Args:
        port: Of 127.0.0.1.
        message: The request's bytes.
        outstanding: Requests that are under way at any moment.
        connections: That take turns.
        seconds: How long.
    """
    with _wires(port, message, max(connections, outstanding)) as wires:
        idle = deque(wires.names)
        stamps: list[int] = []
        heads: list[bytes] = []
        start = perf_counter()
        for _ in range(outstanding):
            wires.send(idle.popleft())
        while perf_counter() < start + seconds or len(stamps) < outstanding:
            for wire, stamp, head in wires.arrived():
                stamps.append(stamp)
                heads.append(head)
                idle.append(wire)
                wires.send(idle.popleft())
            if perf_counter() > start + _PATIENCE_SECONDS:
                raise SizingError(f"a server answered {len(stamps)} requests in 60 s")
        end = perf_counter()
        ahead = end - time_ns() / _NANO
        _drain(wires, outstanding)
    moments = np.array(stamps) / _NANO + ahead
    return Saturated(start, end, moments, _handling(heads))


def unloaded(
    port: int,
    message: bytes,
    connections: int,
    pause: float,
    seconds: float,
    rng: np.random.Generator,
) -> Alone:
    """Ask one request after the other, each after a pause.

    Args:
        port: Of 127.0.0.1.
        message: The request's bytes.
        connections: That take turns.
        pause: Mean seconds; exponentially distributed, as between arrivals.
        seconds: How long.
        rng: Draws the pauses.
    """
    taken: list[int] = []
    sending: list[int] = []
    heads: list[bytes] = []
    with _wires(port, message, connections) as wires:
        end = perf_counter() + seconds
        while perf_counter() < end or len(taken) < 3:
            due = time_ns() + int(rng.exponential(pause) * _NANO)
            while time_ns() < due:
                pass
            sent = time_ns()
            wires.send(wires.names[len(taken) % connections])
            sending.append(time_ns() - sent)
            last = _drain(wires, 1)
            taken.append(last.nanoseconds - sent)
            heads.append(last.head)
    middle = float(np.median(sending)) / _NANO
    return Alone(np.array(taken) / _NANO, _handling(heads), middle)


def open_loop(port: int, message: bytes, arrivals: Floats, connections: int) -> Opened:
    """Ask at given times, whatever has been answered by then.

    Where no connection is free, a request waits for one, and that time counts.

    Args:
        port: Of 127.0.0.1.
        message: The request's bytes.
        arrivals: Seconds at which requests are due, ascending.
        connections: That are kept, and take turns.
    """
    count = len(arrivals)
    answered, late = np.zeros(count), np.zeros(count)
    heads = [b""] * count
    with _wires(port, message, connections) as wires:
        idle = deque(wires.names)
        asked = dict.fromkeys(wires.names, 0)
        start = time_ns() + int(_HEAD_START_SECONDS * _NANO)
        due = (arrivals * _NANO).astype(np.int64) + start
        times = due.tolist()
        following = done = 0
        deadline = times[-1] + _PATIENCE_SECONDS * int(_NANO)
        while done < count:
            now = time_ns()
            if following < count and now >= times[following] and idle:
                wire = idle.popleft()
                asked[wire] = following
                late[following] = now - times[following]
                following += 1
                wires.send(wire)
                continue
            for wire, stamp, head in wires.arrived():
                number = asked[wire]
                answered[number] = stamp - times[number]
                heads[number] = head
                done += 1
                idle.append(wire)
            if now > deadline:
                raise SizingError(f"{count - done} of {count} requests got no answer")
    return Opened(answered / _NANO, _handling(heads), late / _NANO)


def poisson(rate: float, seconds: float, rng: np.random.Generator) -> Floats:
    """Draw the times of arrivals that know nothing of each other."""
    return rng.exponential(1 / rate, max(2, int(rate * seconds))).cumsum()


@contextmanager
def _wires(port: int, message: bytes, count: int) -> Iterator[Wires]:
    """Connect; keep the garbage collector from pausing the client."""
    with ExitStack() as stack:
        wires = Wires(port, message, count, stack)
        gc.collect()
        gc.disable()
        stack.callback(gc.enable)
        yield wires


def _drain(wires: Wires, count: int) -> Arrival:
    """Wait for so many answers; return the last."""
    deadline = perf_counter() + _PATIENCE_SECONDS
    answers: list[Arrival] = []
    while len(answers) < count:
        answers += wires.arrived()
        if perf_counter() > deadline:
            missing = count - len(answers)
            raise SizingError(f"{missing} of {count} requests got no answer")
    return answers[-1]


def _handling(heads: Iterable[bytes]) -> Floats:
    """Read `Server-Timing`; what an answer without it took is not known."""
    return np.array([_milliseconds(head) / 1e3 for head in heads])


def _milliseconds(head: bytes) -> float:
    found = _TIMING.search(head)
    return float(found[1]) + float(found[2]) if found else nan
