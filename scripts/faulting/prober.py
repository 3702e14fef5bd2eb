"""How long a probe waits; in a process of its own, lest the load delay it."""

from contextlib import closing
from time import perf_counter, sleep

from benchmark.client import Connection, Request

_PERIOD = 0.1
_PROBE = Request("GET", "/livez")


def waits(port: int, seconds: float) -> list[float]:
    """Ask ten times a second for `/livez`, on one connection; return how long it took.

    A probe counts from when it was due, so that one that waits for the probe before
    it counts that wait too.

    Raises:
        BenchmarkError: An answer is no 200.
        OSError: The connection broke.
    """
    message = _PROBE.message()
    found: list[float] = []
    with closing(Connection(port, timeout=60)) as connection:
        connection.ask(message)
        start = perf_counter()
        for beat in range(int(seconds / _PERIOD)):
            due = start + beat * _PERIOD
            if perf_counter() > start + seconds:
                break
            sleep(max(0.0, due - perf_counter()))
            connection.ask(message)
            found.append(perf_counter() - due)
    return found
