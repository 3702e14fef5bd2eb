"""Rows through Ray Serve, with one replica and two, beside ours with as many workers.

All are as they are started: nothing is pinned, the load beside them. Each is alone, as
a Ray that idles takes time as well.
"""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Final

import yaml

from benchmark import wrk
from benchmark.client import Request
from benchmark.payloads import predict_task
from benchmark.programs import OURS
from benchmark.servers import ALL_CORES, Program, Server, running
from benchmark.session import Session, once
from benchmark.throughput import TWO_WORKERS

PACKAGE: Final = "ray"
REPLICAS: Final = "replicas"
UVICORN: Final = "ours, under uvicorn"
PROXY_SETTING: Final = "RAY_SERVE_ENABLE_HA_PROXY"
GROUPS: Final = ("server", "proxy", "rest of Ray")
"""Which processes the time went into: those that compute, that pass on, and others."""

_CASES: Final = {
    "1 row, 1 connection": (1, 1),
    "1 row, 32 connections": (1, 32),
    "1,024 rows, 4 connections": (1024, 4),
}
_WARM_UP_SECONDS: Final = 2
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_MARK: Final = "BENCHMARK_OF_REPLICAS"


def replicas(session: Session) -> None:
    """Ask for one row and for 1024, at several numbers of connections."""
    for program in session.turned(_programs(session)):
        session.show(f"start {program.name}")
        is_ray = PROXY_SETTING in program.environment
        with _marked(program) as (server, mark):
            for case, (rows, connections) in _CASES.items():
                session.show(f"{case}, {program.name}")
                task = program.predict(rows)
                once(server, task)
                _load(session, case, server, task.request, connections, mark, is_ray)


def _programs(session: Session) -> list[Program]:
    ours = replace(session.programs[OURS], is_pinned=False)
    under_uvicorn = replace(
        ours,
        name=UVICORN,
        command=lambda port: [
            *ours.command(port)[:2],
            *("uvicorn", "--factory", "sigmoid_serve.app:create_app"),
            *("--no-access-log", "--port", str(port)),
        ],
        environment={**ours.environment, "SIGMOID_MODELS": ours.command(0)[4]},
    )
    programs = [
        ours,
        replace(
            ours,
            name=TWO_WORKERS,
            environment={**ours.environment, "SIGMOID_WORKERS": "2"},
        ),
        under_uvicorn,
    ]
    if python := session.peer_python.get(PACKAGE):
        programs += [
            _ray(session.folder, Path(python), number, proxy)
            for proxy in ("Ray's proxy", "HAProxy")
            for number in (1, 2)
        ]
    return programs


def _ray(folder: Path, python: Path, number: int, proxy: str) -> Program:
    """Serve the model by `serve run` and a file of its configuration."""
    named = f"{number} replica{'s' if number > 1 else ''}, {proxy}"
    file = folder / f"{number}.yaml"

    def command(port: int) -> list[str]:
        deployment = {
            "name": "SigmoidServe",
            "num_replicas": number,
            "user_config": {"models": [str(folder / "model.pt")]},
        }
        application = {
            "name": "sigmoid",
            "import_path": "sigmoid_serve.ray:app",
            "deployments": [deployment],
        }
        options = {"host": "127.0.0.1", "port": port}
        text = yaml.safe_dump({"http_options": options, "applications": [application]})
        file.write_text(text, encoding="utf-8")
        return [str(python.parent / "serve"), "run", str(file)]

    environment = {
        "SIGMOID_ACTIVATION": "sigmoid",
        "RAY_USAGE_STATS_ENABLED": "0",
        PROXY_SETTING: str(int(proxy == "HAProxy")),
    }
    ready = predict_task("/predict", 1).request
    return Program(
        named,
        command,
        ready,
        partial(predict_task, "/predict"),
        environment,
        is_pinned=False,
    )


@contextmanager
def _marked(program: Program) -> Iterator[tuple[Server, bytes]]:
    """Run a program whose processes, all of them, can be told from others.

    Ray's are in sessions of their own, and some have no parent.
    """
    mark = token_hex(8)
    environment = {**program.environment, _MARK: mark}
    try:
        with running(replace(program, environment=environment)) as server:
            yield server, f"{_MARK}={mark}".encode()
    finally:
        for pid in pids_of(f"{_MARK}={mark}".encode()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _load(
    session: Session,
    case: str,
    server: Server,
    request: Request,
    connections: int,
    mark: bytes,
    is_ray: bool,
) -> None:
    wrk.run(server.port, request, connections, _WARM_UP_SECONDS, ALL_CORES)
    before = cpu_seconds_of(mark, is_ray=is_ray)
    measured = wrk.run(server.port, request, connections, session.seconds, ALL_CORES)
    after = cpu_seconds_of(mark, is_ray=is_ray)
    session.record(
        REPLICAS,
        case,
        server.name,
        requests_per_second=measured.rate,
        p50_ms=measured.p50,
        p99_ms=measured.p99,
    )
    for group, seconds in after.items():
        used = 1e6 * (seconds - before[group]) / measured.requests
        session.record(REPLICAS, case, server.name, **{f"CPU us of {group}": used})


def cpu_seconds_of(mark: bytes, *, is_ray: bool) -> Mapping[str, float]:
    """Add up the CPU time of marked processes, by group.

    Args:
        mark: `NAME=VALUE`, in their environment.
        is_ray: Whether they are Ray's; else all are the server.
    """
    ticks = dict.fromkeys(GROUPS, 0)
    for pid in pids_of(mark):
        with suppress(OSError):  # it has ended meanwhile
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
            # See proc(5); a name in parentheses comes before, which may hold anything.
            fields = text.rpartition(")")[2].split()
            ticks[group_of(command) if is_ray else GROUPS[0]] += int(fields[11]) + int(
                fields[12]
            )
    return {group: count / _TICKS for group, count in ticks.items()}


def group_of(command: bytes) -> str:
    """Say to which of `GROUPS` a process of Ray's belongs, by its command line."""
    if command.startswith(b"ray::ServeReplica"):
        return "server"
    program = Path(command.partition(b"\0")[0].decode(errors="replace")).name
    if command.startswith(b"ray::ProxyActor") or program == "haproxy":
        return "proxy"
    return "rest of Ray"


def pids_of(mark: bytes) -> Iterator[int]:
    """Find the processes whose environment has `NAME=VALUE`."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)
