"""Rounds in which one replica is asked: closed loops, requests alone, open loops."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from benchmark.networks.through_http import batches
from benchmark.servers import Server
from simulating.kinds import Kind
from simulating.loads import (
    Alone,
    Opened,
    Saturated,
    open_loop,
    poisson,
    saturated,
    unloaded,
)
from simulating.speed import Floats

# Of the rate of the closed loop with the most outstanding requests.
SHARES: Final = (0.3, 0.6, 0.8)
OUTSTANDING: Final = (2, 3, 4, 6, 8, 12, 16, 32, 64)
# As many are kept in each load, so that a server finds them as cold as under another.
CONNECTIONS: Final = 128
_WARM_UP_SECONDS: Final = 2.0
_CLOSED_SECONDS: Final = 0.5
_ALONE_SECONDS: Final = 1.0
Show = Callable[[str], None]


class Closed(NamedTuple):
    """A closed loop.

    Attributes:
        outstanding: Requests that were under way at any moment.
        batch: Mean number of requests of a batch.
        load: What it came to.
    """

    outstanding: int
    batch: float
    load: Saturated


class Round(NamedTuple):
    """What was measured once.

    Attributes:
        closed: Loops, from few to many outstanding requests.
        alone: Requests that were alone.
        arrivals: By share, when requests were due.
        opened: By share, what came of them.
    """

    closed: list[Closed]
    alone: Alone
    arrivals: dict[float, Floats]
    opened: dict[float, Opened]


def measure_rounds(
    server: Server, kind: Kind, seconds: float, number: int, show: Show
) -> list[Round]:
    """Measure a server, round by round.

    Args:
        server: Alone on its core.
        kind: Of request.
        seconds: Of each open loop.
        number: Of rounds.
        show: Is told what is measured.
    """
    message = kind.make().message()
    saturated(server.port, message, 16, CONNECTIONS, _WARM_UP_SECONDS)
    rounds: list[Round] = []
    rng = np.random.default_rng(0)
    for each in range(number):
        show(f"{kind.shown}, round {each + 1} of {number}")
        closed = [_closed(server, kind, message, count) for count in OUTSTANDING]
        rate = closed[-1].load.rate
        alone = unloaded(
            server.port, message, CONNECTIONS, 2 / rate, _ALONE_SECONDS, rng
        )
        arrivals = {share: poisson(share * rate, seconds, rng) for share in SHARES}
        opened = {
            share: open_loop(server.port, message, moments, CONNECTIONS)
            for share, moments in arrivals.items()
        }
        rounds.append(Round(closed, alone, arrivals, opened))
    return rounds


def _closed(server: Server, kind: Kind, message: bytes, count: int) -> Closed:
    before = batches(server)
    load = saturated(server.port, message, count, CONNECTIONS, _CLOSED_SECONDS)
    after = batches(server)
    rows, number = (after[name] - before[name] for name in ("sum", "count"))
    return Closed(count, rows / number / kind.rows, load)


def client_alone(
    server: Server, kind: Kind, rate: float, seconds: float
) -> dict[str, Any]:
    """Ask the empty handler at the same rates: what client and network take alone."""
    message = kind.make().message()
    rng = np.random.default_rng(0)
    found = dict[str, Any]()
    for share in SHARES:
        moments = poisson(share * rate, seconds, rng)
        opened = open_loop(server.port, message, moments, CONNECTIONS)
        found[f"{share:g}"] = {
            "measured": float(np.quantile(opened.seconds, 0.99)),
            "late": float(np.quantile(opened.late, 0.99)),
        }
    return found
