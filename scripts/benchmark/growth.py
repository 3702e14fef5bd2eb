"""How the cost of a request grows with its numbers, with the model, with threads."""

import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from statistics import median
from time import perf_counter

from benchmark import BenchmarkError
from benchmark.client import Connection
from benchmark.payloads import (
    Task,
    asked,
    deep_classifier,
    large_classifier,
    multiplications,
    npy_predict_task,
    npy_sigmoid_task,
    predict_task,
    sigmoid_task,
    write_checkpoint,
)
from benchmark.programs import OURS, UNLIMITED, ours
from benchmark.servers import ALL_CORES, Server, running
from benchmark.session import MINIMUM_REQUESTS, Session, timed

ELEMENTS = tuple(10**power for power in range(8))
DEPTHS = (1, 2, 4, 8, 16, 32)
DEPTH_ROWS = 1024
THREADS = (1, len(ALL_CORES))
LARGE_ROWS = 4096
FORMATS: Mapping[str, str] = {"growth JSON": "JSON", "growth npy": "npy"}


def elements(session: Session) -> None:
    """Ask for the sigmoid of 1 to 10⁷ numbers."""
    program = session.programs[OURS]
    environment = {**program.environment, **UNLIMITED}
    program = replace(program, environment=environment)
    with running(program) as server:
        for count in ELEMENTS:
            for workload, name in FORMATS.items():
                session.show(f"{count:,} elements, {name}")
                make = sigmoid_task if name == "JSON" else npy_sigmoid_task
                seconds = timed(server, make(count), session.seconds / 3)
                session.record(workload, count, OURS, seconds=seconds)


def depth(session: Session) -> None:
    """Ask deeper and deeper networks for 1024 rows."""
    networks = {count: deep_classifier(count) for count in DEPTHS}
    files = [
        write_checkpoint(session.folder / f"deep-{count}.pt", network)
        for count, network in networks.items()
    ]
    with running(ours(files)) as server:
        for count, network in networks.items():
            session.show(f"depth {count}")
            task = predict_task(f"/models/deep-{count}/predict", DEPTH_ROWS, network)
            whole, infer = timed_stages(server, task, session.seconds / 3)
            session.record(
                "depth",
                count,
                OURS,
                multiplications=multiplications(count, DEPTH_ROWS),
                whole_seconds=whole,
                infer_seconds=infer,
            )


def threads(session: Session) -> None:
    """Ask a large network for 4096 rows, with one thread and with one for each core."""
    network = large_classifier()
    file = write_checkpoint(session.folder / "large.pt", network)
    task = npy_predict_task("/predict", LARGE_ROWS, network)
    for count in session.turned(THREADS):
        session.show(f"{count} threads")
        program = ours([file])
        variables = {**UNLIMITED, "SIGMOID_THREADS": str(count)}
        program = replace(
            program,
            is_pinned=False,
            environment={**program.environment, **variables},
        )
        with running(program) as server:
            whole, infer = timed_stages(server, task, session.seconds)
        session.record("threads", count, OURS, whole_seconds=whole, infer_seconds=infer)


def timed_stages(server: Server, task: Task, seconds: float) -> tuple[float, float]:
    """Return the medians of the whole time and of the time that `infer` took."""
    message = task.request.message()
    whole: list[float] = []
    infer: list[float] = []
    with closing(Connection(server.port)) as connection:
        asked(connection, task)
        end = perf_counter() + seconds
        while perf_counter() < end or len(whole) < MINIMUM_REQUESTS:
            whole.append(connection.ask(message))
            infer.append(infer_seconds(connection.header("Server-Timing")))
    return median(whole), median(infer)


def infer_seconds(server_timing: str) -> float:
    """Read how long an answer's rows were computed from its `Server-Timing`."""
    found = re.search(r"\binfer;dur=([0-9.]+)", server_timing)
    if found is None:
        raise BenchmarkError("an answer of ours has no Server-Timing with infer")
    return float(found[1]) / 1000
