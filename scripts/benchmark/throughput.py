"""W1, W2 and W4: the same rows for every server, as fast as wrk can ask."""

from collections.abc import Sequence

from benchmark import wrk
from benchmark.session import Session, all_running, once

W1_CONNECTIONS = (1, 8, 31, 32, 64, 256)
_WARM_UP_SECONDS = 1


def w1(session: Session) -> None:
    """Ask for one row, at several numbers of connections."""
    _passes(session, "W1", 1, W1_CONNECTIONS)


def w2(session: Session) -> None:
    """Ask for 1024 rows, at 4 connections."""
    _passes(session, "W2", 1024, (4,))


def w4(session: Session) -> None:
    """Ask for one row, at one connection, for the latency."""
    _passes(session, "W4", 1, (1,))


def _passes(
    session: Session, workload: str, rows: int, connections: Sequence[int]
) -> None:
    with all_running(session, session.in_turn()) as servers:
        tasks = {program.name: program.predict(rows) for program, _ in servers}
        for _, server in servers:
            once(server, tasks[server.name])
        for count in connections:
            for _, server in servers:
                session.show(f"{count} connections, {server.name}")
                request = tasks[server.name].request
                wrk.run(server.port, request, count, _WARM_UP_SECONDS)
                load = wrk.run(server.port, request, count, session.seconds)
                session.record(
                    workload,
                    count,
                    server.name,
                    requests_per_second=load.rate,
                    p50_ms=load.p50,
                    p99_ms=load.p99,
                )
