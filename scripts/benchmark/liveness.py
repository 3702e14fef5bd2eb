"""How long a probe waits while large requests are computed."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import cycle
from threading import Event, Thread
from time import perf_counter, sleep

import numpy as np

from benchmark import BenchmarkError
from benchmark.client import Connection, Request
from benchmark.payloads import empty_task, sigmoid_task
from benchmark.programs import EMPTY, OURS
from benchmark.servers import Server
from benchmark.session import Session, all_running, once
from benchmark.single import SIDE

DIFFERENCE = "ours − empty"
_PERIOD = 0.005
_PROBE = Request("GET", "/livez")


def livez(session: Session) -> None:
    """Ask every 5 ms for `/livez` while a client sends 10 MB without pause."""
    task = sigmoid_task(SIDE, SIDE)
    p99: dict[str, float] = {}
    with all_running(session, session.in_turn(OURS, EMPTY)) as servers:
        for _, server in servers:
            session.show(server.name)
            once(server, empty_task(task) if server.name == EMPTY else task)
            by_name, answered = probed([server], task.request, session.seconds)
            waits = by_name[server.name]
            p99[server.name] = float(np.quantile(waits, 0.99))
            session.record(
                "livez",
                "",
                server.name,
                p50_seconds=float(np.median(waits)),
                p99_seconds=p99[server.name],
                longest_seconds=max(waits),
                bodies_per_second=len(answered) / session.seconds,
            )
    session.record("livez", "", DIFFERENCE, p99_seconds=p99[OURS] - p99[EMPTY])


def probed(
    servers: Sequence[Server], load: Request, seconds: float
) -> tuple[dict[str, list[float]], list[str]]:
    """Ask servers in turn for `/livez`, one every 5 ms, while the first is loaded.

    A probe counts from when it was due, so that one that waits for the probe before
    it counts that wait too.

    Returns:
        How long each probe took, by server, and what `under_load` collected.
    """
    message = _PROBE.message()
    waits: dict[str, list[float]] = {server.name: [] for server in servers}
    with ExitStack() as stack:
        connections = [
            stack.enter_context(closing(Connection(server.port))) for server in servers
        ]
        for connection in connections:
            connection.ask(message)
        answered = stack.enter_context(under_load(servers[0], load))
        start = perf_counter()
        turns = cycle(zip(waits.values(), connections, strict=True))
        for beat in range(int(seconds / _PERIOD)):
            taken, connection = next(turns)
            due = start + beat * _PERIOD
            sleep(max(0.0, due - perf_counter()))
            connection.ask(message)
            taken.append(perf_counter() - due)
    return waits, answered


@contextmanager
def under_load(server: Server, load: Request) -> Iterator[list[str]]:
    """Repeat a request without pause, beside what is done meanwhile.

    Returns:
        A list that grows with each answer, by its `Server-Timing`.

    Raises:
        BenchmarkError: A request failed.
    """
    stop = Event()
    answered: list[str] = []
    faults: list[Exception] = []
    loader = Thread(target=_send, args=(server, load, stop, answered, faults))
    loader.start()
    try:
        yield answered
    finally:
        stop.set()
        loader.join()
    if faults:
        raise BenchmarkError(f"the load on {server.name} failed: {faults[0]}")


def _send(
    server: Server,
    load: Request,
    stop: Event,
    answered: list[str],
    faults: list[Exception],
) -> None:
    message = load.message()
    try:
        with closing(Connection(server.port)) as connection:
            while not stop.is_set():
                connection.ask(message)
                answered.append(connection.header("Server-Timing"))
    except (OSError, BenchmarkError) as fault:
        faults.append(fault)
