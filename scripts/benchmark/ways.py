"""One row, in ways that differ from W1's: chunked, of a named version, heavy."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from benchmark.payloads import (
    Network,
    Task,
    empty_task,
    large_classifier,
    predict_task,
    wide_classifier,
    write_checkpoint,
)
from benchmark.programs import EMPTY, ours
from benchmark.session import Session, all_running, once
from benchmark.throughput import load

WAYS_CONNECTIONS = 32
HEAVY_CONNECTIONS = (8, 32)


class Case(NamedTuple):
    """What is asked, and by how many connections."""

    task: Task
    connections: int


def ways(session: Session) -> None:
    """Ask for one row of 30 features: as W1 does, chunked, and of a named version."""
    network = wide_classifier()
    cases = {
        name: Case(task, WAYS_CONNECTIONS)
        for name, task in short_tasks("wide", network).items()
    }
    _passes(session, "ways", "wide", network, cases)


def heavy(session: Session) -> None:
    """Ask for one row of a network too large for the event loop."""
    network = large_classifier()
    task = predict_task("/predict", 1, network)
    cases = {str(count): Case(task, count) for count in HEAVY_CONNECTIONS}
    _passes(session, "heavy", "large", network, cases)


def short_tasks(model: str, network: Network) -> dict[str, Task]:
    """Ask a model that is served by default for one row, by each way."""
    whole = predict_task("/predict", 1, network)
    return {
        "whole": whole,
        "chunked": replace(whole, request=replace(whole.request, is_chunked=True)),
        "versioned": predict_task(f"/models/{model}/versions/1/predict", 1, network),
    }


def _passes(
    session: Session,
    workload: str,
    model: str,
    network: Network,
    cases: Mapping[str, Case],
) -> None:
    """Ask our servers of a network, and the empty handler if it takes part."""
    file = write_checkpoint(session.folder / f"{model}.pt", network)
    programs = [ours([file], tree, name) for name, tree in session.trees.items()]
    if EMPTY in session.programs:
        programs.append(session.programs[EMPTY])
    with all_running(session, session.turned(programs)) as servers:
        for name, (task, connections) in cases.items():
            for program, server in servers:
                session.show(f"{name}, {server.name}")
                once(server, empty_task(task) if server.name == EMPTY else task)
                request = task.request
                load(session, workload, name, program, server, request, connections)
