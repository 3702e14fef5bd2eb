"""How long a probe waits while large requests are computed."""

from contextlib import closing
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
            waits, bodies = _probed(server, task.request, session.seconds)
            p99[server.name] = float(np.quantile(waits, 0.99))
            session.record(
                "livez",
                "",
                server.name,
                p50_seconds=float(np.median(waits)),
                p99_seconds=p99[server.name],
                longest_seconds=max(waits),
                bodies_per_second=bodies / session.seconds,
            )
    session.record("livez", "", DIFFERENCE, p99_seconds=p99[OURS] - p99[EMPTY])


def _probed(server: Server, load: Request, seconds: float) -> tuple[list[float], int]:
    """Return how long each probe took under load, and the number of bodies answered.

    A probe counts from when it was due, so that one that waits for the probe before
    it counts that wait too.
    """
    stop = Event()
    answered: list[float] = []
    faults: list[Exception] = []
    loader = Thread(target=_send, args=(server, load, stop, answered, faults))
    message = _PROBE.message()
    waits: list[float] = []
    with closing(Connection(server.port)) as connection:
        connection.ask(message)
        loader.start()
        try:
            start = perf_counter()
            for beat in range(int(seconds / _PERIOD)):
                due = start + beat * _PERIOD
                sleep(max(0.0, due - perf_counter()))
                connection.ask(message)
                waits.append(perf_counter() - due)
        finally:
            stop.set()
            loader.join()
    if faults:
        raise BenchmarkError(f"the load on {server.name} failed: {faults[0]}")
    return waits, len(answered)


def _send(
    server: Server,
    load: Request,
    stop: Event,
    answered: list[float],
    faults: list[Exception],
) -> None:
    message = load.message()
    try:
        with closing(Connection(server.port)) as connection:
            while not stop.is_set():
                answered.append(connection.ask(message))
    except (OSError, BenchmarkError) as fault:
        faults.append(fault)
