"""W1, W2 and W4: the same rows for every server, as fast as wrk can ask.

Each server is alone on its core; and once more, a few of them are as they are started.
"""

from collections.abc import Sequence
from dataclasses import replace

from benchmark import wrk
from benchmark.client import Request
from benchmark.programs import OURS, TUTORIAL
from benchmark.servers import Program, Server, cpu_seconds
from benchmark.session import Session, all_running, once

W1_CONNECTIONS = (1, 8, 31, 32, 64, 256)
W2_CONNECTIONS = (4,)
W4_CONNECTIONS = (1,)
PINNED, STARTED, TWO_WORKERS = "ours, pinned", "ours", "ours, 2 workers"
TUTORIAL_STARTED = "tutorial"
_WARM_UP_SECONDS = 1


def w1(session: Session) -> None:
    """Ask for one row, at several numbers of connections."""
    _passes(session, "W1", [*session.programs.values()], 1, W1_CONNECTIONS)


def w2(session: Session) -> None:
    """Ask for 1024 rows, at 4 connections."""
    _passes(session, "W2", [*session.programs.values()], 1024, W2_CONNECTIONS)


def w4(session: Session) -> None:
    """Ask for one row, at one connection, for the latency."""
    _passes(session, "W4", [*session.programs.values()], 1, W4_CONNECTIONS)


def started(session: Session) -> None:
    """Ask servers that are started as their READMEs say: on all cores, load beside."""
    ours = session.programs[OURS]
    programs = [
        # First, as its second worker is ready a moment later.
        replace(
            ours,
            name=TWO_WORKERS,
            is_pinned=False,
            environment={**ours.environment, "SIGMOID_WORKERS": "2"},
        ),
        replace(ours, name=PINNED),
        replace(ours, name=STARTED, is_pinned=False),
        replace(session.programs[TUTORIAL], name=TUTORIAL_STARTED, is_pinned=False),
    ]
    _passes(session, "W1 as started", programs, 1, (32,))
    _passes(session, "W2 as started", programs, 1024, W2_CONNECTIONS)
    _passes(session, "W4 as started", programs, 1, W4_CONNECTIONS)


def trees_started(session: Session) -> None:
    """Ask the programs as they are started for one row."""
    programs = [replace(each, is_pinned=False) for each in session.programs.values()]
    _passes(session, "W1 as started", programs, 1, (32,))


def load(
    session: Session,
    workload: str,
    case: object,
    program: Program,
    server: Server,
    request: Request,
    connections: int,
) -> None:
    """Repeat a request, first to warm up, then for a timed pass; record the figures."""
    cores = program.load_cores
    wrk.run(server.port, request, connections, _WARM_UP_SECONDS, cores)
    before = cpu_seconds(server.pid)
    measured = wrk.run(server.port, request, connections, session.seconds, cores)
    used = cpu_seconds(server.pid) - before
    session.record(
        workload,
        case,
        server.name,
        requests_per_second=measured.rate,
        p50_ms=measured.p50,
        p99_ms=measured.p99,
        CPU_us_per_request=1e6 * used / measured.requests,
    )


def _passes(
    session: Session,
    workload: str,
    programs: list[Program],
    rows: int,
    connections: Sequence[int],
) -> None:
    with all_running(session, programs) as servers:
        tasks = {program.name: program.predict(rows) for program, _ in servers}
        for _, server in servers:
            once(server, tasks[server.name])
        for count in connections:
            for program, server in session.turned(servers):
                session.show(f"{count} connections, {server.name}")
                request = tasks[server.name].request
                load(session, workload, count, program, server, request, count)
