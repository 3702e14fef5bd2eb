"""A large network through HTTP, started as the README says, its load beside it.

One thing more than the network alone takes time: to read the rows and write the
answer. The same server does that for a network of the same ends with a single unit
between them.
"""

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from time import perf_counter, sleep

import numpy as np
import torch

from benchmark import BenchmarkError
from benchmark.client import Connection, Request
from benchmark.growth import infer_seconds, timed_stages
from benchmark.liveness import DIFFERENCE, probed, under_load
from benchmark.networks.shapes import LARGE, write_weights
from benchmark.networks.sides import plain, started
from benchmark.payloads import (
    Network,
    Task,
    classifier,
    npy_predict_task,
    predict_task,
    write_checkpoint,
)
from benchmark.programs import EMPTY, OURS, ours
from benchmark.servers import ALL_CORES, Server, on_all_cores, running
from benchmark.session import Session, all_running, once, timed
from sigmoid_models.classifier import Classifier

HTTP_ROWS = 4096
FORMATS: Mapping[str, str] = {"large JSON": "JSON", "large npy": "npy"}
ALONE, ENDS, SUM = "plain network alone", "reading and writing", "the sum of both"
ROW_ALONE, ROW_BESIDE = "one row, alone", "one row, beside"
BATCH, WAIT = "one batch", "wait"
# A tail of one in a hundred needs more than the hundreds of a pass.
_PASSES_OF_A_TAIL = 3
_ROW_PAUSE_SECONDS = 0.005


def large(session: Session) -> None:
    """Ask for 4,096 rows of a large network, as `.npy` and as JSON."""
    network = LARGE.build()
    torch.manual_seed(0)
    ends = Classifier(LARGE.features, 1, LARGE.outputs).eval()
    path = write_weights(session.folder, LARGE)
    files = [
        write_checkpoint(session.folder / "large.pt", network),
        write_checkpoint(session.folder / "ends.pt", ends),
    ]
    command = plain(len(ALL_CORES), "cpu")
    program = replace(ours(files), is_pinned=False)
    with on_all_cores(), running(program) as server, started(command) as side:
        side.load(path)
        for workload, form in FORMATS.items():
            tasks = {
                OURS: _task(form, "/models/large/predict", network),
                ENDS: _task(form, "/models/ends/predict", ends),
            }
            seconds: dict[str, float] = {}
            for name in session.turned((OURS, ALONE, ENDS)):
                session.show(f"{form}, {name}")
                if name == ALONE:
                    taken = side.timed(HTTP_ROWS, session.seconds)["seconds"]
                elif name == ENDS:
                    taken = timed(server, tasks[name], session.seconds)
                else:
                    taken, infer = timed_stages(server, tasks[name], session.seconds)
                    session.record(workload, "", OURS, infer_seconds=infer)
                seconds[name] = taken
            seconds[SUM] = seconds[ALONE] + seconds[ENDS]
            for name in (OURS, ALONE, ENDS, SUM):
                session.record(workload, "", name, seconds=seconds[name])


def beside(session: Session) -> None:
    """Ask for `/livez` and for a row of a small model while a large one computes."""
    network, small = LARGE.build(), classifier()
    files = [
        write_checkpoint(session.folder / "large.pt", network),
        write_checkpoint(session.folder / "small.pt", small),
    ]
    task = _task("npy", "/models/large/predict", network)
    row = predict_task("/models/small/predict", 1, small)
    programs = [replace(ours(files), is_pinned=False)]
    programs += [replace(session.programs[EMPTY], is_pinned=False)]
    with on_all_cores(), all_running(session, programs) as servers:
        server, empty = (server for _, server in servers)
        once(server, task)
        session.show("/livez")
        _probe(session, [server, empty], task)
        session.show("one row beside")
        _ask_row_beside(session, server, task, row)


def _probe(session: Session, servers: list[Server], task: Task) -> None:
    """Ask ours, which computes, and the empty handler for `/livez` in turn.

    So the machine is as busy for one as for the other. Meanwhile, find how long a
    batch takes.
    """
    before = batches(servers[0])
    seconds = 2 * _PASSES_OF_A_TAIL * session.seconds
    waits, answered = probed(servers, task.request, seconds)
    after = batches(servers[0])
    count, rows = (after[name] - before[name] for name in ("count", "sum"))
    infer = sum(map(infer_seconds, answered))
    for name, taken in waits.items():
        _record(session, name, taken)
    ours_p99, empty_p99 = (np.quantile(taken, 0.99) for taken in waits.values())
    session.record("beside", "", DIFFERENCE, p99_seconds=float(ours_p99 - empty_p99))
    session.record("beside", "", BATCH, p50_seconds=infer / count, rows=rows / count)


def _ask_row_beside(session: Session, server: Server, task: Task, row: Task) -> None:
    once(server, row)
    seconds = _PASSES_OF_A_TAIL * session.seconds
    alone = _ask_rows(server, row, seconds)
    with under_load(server, task.request):
        waits = _ask_rows(server, row, seconds)
    _record(session, ROW_ALONE, alone)
    _record(session, ROW_BESIDE, waits)
    # What the row takes without the large network is no wait for it.
    waited = max(0.0, float(np.quantile(waits, 0.99)) - float(np.median(alone)))
    session.record("beside", "", WAIT, p99_seconds=waited)


def _ask_rows(server: Server, row: Task, seconds: float) -> list[float]:
    message = row.request.message()
    taken: list[float] = []
    with closing(Connection(server.port)) as connection:
        end = perf_counter() + seconds
        while perf_counter() < end:
            taken.append(connection.ask(message))
            sleep(_ROW_PAUSE_SECONDS)
    return taken


def _record(session: Session, name: str, waits: list[float]) -> None:
    session.record(
        "beside",
        "",
        name,
        p50_seconds=float(np.median(waits)),
        p99_seconds=float(np.quantile(waits, 0.99)),
        longest_seconds=max(waits),
    )


def batches(server: Server) -> dict[str, float]:
    """Read how many batches were computed, and of how many rows together."""
    with closing(Connection(server.port)) as connection:
        connection.ask(Request("GET", "/metrics").message())
        return batch_rows(connection.body().decode())


def batch_rows(metrics: str) -> dict[str, float]:
    """Read the `sum` and the `count` of `sigmoid_batch_rows` over all its labels."""
    found: dict[str, float] = {"sum": 0.0, "count": 0.0}
    pattern = r"^sigmoid_batch_rows_(sum|count)(?:\{.*\})? (\S+)$"
    lines = re.findall(pattern, metrics, re.MULTILINE)
    if not lines:
        raise BenchmarkError("the metrics of ours have no sigmoid_batch_rows")
    for name, value in lines:
        found[name] += float(value)
    return found


def _task(form: str, path: str, network: Network) -> Task:
    make = npy_predict_task if form == "npy" else predict_task
    return make(path, HTTP_ROWS, network)
