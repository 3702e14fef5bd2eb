"""Rows, a batch and a large tensor, by the protocol, our native API and other servers.

Each server is alone on its core; and once more, all are as they are started.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmark.open_inference.tasks import (
    binary_predict_task,
    binary_sigmoid_task,
    json_predict_task,
)
from benchmark.payloads import Task, classifier, npy_predict_task, npy_sigmoid_task
from benchmark.payloads import predict_task as native_predict_task
from benchmark.programs import KSERVE, MLSERVER, OURS, PYTRITON
from benchmark.servers import Program, Server, on_all_cores
from benchmark.session import Session, all_running, once, timed
from benchmark.throughput import W2_CONNECTIONS, load

ROWS, BATCH, SIGMOID = "v2 rows", "v2 batch", "v2 sigmoid"
STARTED = " as started"
NATIVE, NPY = "ours, native", "ours, .npy"
ROWS_CONNECTIONS = 32
BATCH_ROWS = 1024
BATCH_CONNECTIONS = W2_CONNECTIONS[0]
SIDE = 1000

Running = Sequence[tuple[Program, Server]]
Tasks = Mapping[str, Sequence[tuple[str, Task]]]


def v2(session: Session) -> None:
    """Ask all that speak the protocol, pinned and as they are started."""
    names = (OURS, MLSERVER, KSERVE, PYTRITON)
    programs = [session.programs[each] for each in names if each in session.programs]
    with all_running(session, programs) as servers:
        _passes(session, servers, "")
    programs = [replace(program, is_pinned=False) for program in programs]
    with on_all_cores(), all_running(session, programs) as servers:
        _passes(session, servers, STARTED)


def _passes(session: Session, servers: Running, suffix: str) -> None:
    rows, batch, sigmoid = rows_tasks(), batch_tasks(), sigmoid_tasks()
    _load(session, servers, f"{ROWS}{suffix}", rows, ROWS_CONNECTIONS)
    _load(session, servers, f"{BATCH}{suffix}", batch, BATCH_CONNECTIONS)
    for _, server, task in _asked(session, servers, sigmoid):
        session.show(f"{SIGMOID}{suffix}, {server.name}")
        seconds = timed(server, task, session.seconds)
        session.record(f"{SIGMOID}{suffix}", "", server.name, seconds=seconds)


def rows_tasks() -> Tasks:
    """Ask for all that is known of one row, as JSON; by program, with its names."""
    task = json_predict_task(1)
    native = native_predict_task("/predict", 1)
    return {
        OURS: [(OURS, task), (NATIVE, native)],
        **{name: [(name, task)] for name in (MLSERVER, KSERVE, PYTRITON)},
    }


def batch_tasks() -> Tasks:
    """Ask for the logits of 1024 rows, binary; MLServer's REST knows JSON alone."""
    task = binary_predict_task(BATCH_ROWS)
    npy = npy_predict_task("/predict", BATCH_ROWS, classifier())
    return {
        OURS: [(OURS, task), (NPY, npy)],
        **{name: [(name, task)] for name in (KSERVE, PYTRITON)},
    }


def sigmoid_tasks() -> Tasks:
    """Ask for the sigmoid of a million numbers, binary."""
    task = binary_sigmoid_task(SIDE, SIDE)
    npy = npy_sigmoid_task(SIDE, SIDE)
    return {OURS: [(OURS, task), (NPY, npy)], PYTRITON: [(PYTRITON, task)]}


def _load(
    session: Session, servers: Running, workload: str, tasks: Tasks, connections: int
) -> None:
    for program, server, task in _asked(session, servers, tasks):
        session.show(f"{workload}, {server.name}")
        request = task.request
        load(session, workload, connections, program, server, request, connections)


def _asked(
    session: Session, servers: Running, tasks: Tasks
) -> list[tuple[Program, Server, Task]]:
    """List who is asked for what, another one first in each round; check the answers.

    A server that is asked in two ways is there twice, by the name of each way.
    """
    asked = [
        (program, replace(server, name=name), task)
        for program, server in servers
        for name, task in tasks.get(program.name, ())
    ]
    for _, server, task in asked:
        once(server, task)
    return session.turned(asked)
