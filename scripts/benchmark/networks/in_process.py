"""Batches of large networks, in process: the sides take turns at the same rows."""

from collections.abc import Sequence
from contextlib import ExitStack
from math import isclose
from statistics import median
from time import perf_counter

import torch

from benchmark import BenchmarkError
from benchmark.networks.shapes import (
    GPU_NETWORKS,
    GPU_ROWS,
    NETWORKS,
    ROWS,
    Shape,
    write_weights,
)
from benchmark.networks.sides import (
    Command,
    Side,
    engine,
    limits,
    onnx_runtime,
    plain,
    started,
)
from benchmark.servers import ALL_CORES
from benchmark.session import Session

THREADS = (1, len(ALL_CORES))
ONNX_PACKAGE = "onnxruntime"
MACHINE = "machine"
_TURNS = 3
_PARTS_OF_A_PASS = 20
# If the first turns take longer together, they are enough.
_LONG_SECONDS = 5.0
_TOLERANCE = 1e-3


def networks(session: Session) -> None:
    """Compute batches on the CPU, with one thread and with one for each core."""
    for threads in session.turned(THREADS):
        commands = [engine(threads, "cpu", ROWS[-1]), plain(threads, "cpu")]
        if python := session.peer_python.get(ONNX_PACKAGE):
            commands.append(onnx_runtime(threads, python))
        workload = cpu_workload(threads)
        _record_limits(session, workload, threads, "cpu")
        _compare(session, workload, commands, NETWORKS, ROWS)


def gpu(session: Session) -> None:
    """Compute batches on the GPU, if there is one, as long as rows fit."""
    if session.device == "cuda" and not torch.cuda.is_available():
        return
    threads = THREADS[-1]
    commands = [
        engine(threads, session.device, GPU_ROWS[-1]),
        plain(threads, session.device),
    ]
    _record_limits(session, GPU_WORKLOAD, threads, session.device)
    _compare(session, GPU_WORKLOAD, commands, GPU_NETWORKS, GPU_ROWS)


GPU_WORKLOAD = "networks, GPU"


def cpu_workload(threads: int) -> str:
    """Name the figures of a number of threads."""
    return f"networks, {threads} thread{'s' if threads > 1 else ''}"


def case(shape: Shape, rows: int) -> str:
    """Name a cell of the table."""
    return f"{shape.name}, {rows:,} row{'s' if rows > 1 else ''}"


def _record_limits(session: Session, workload: str, threads: int, device: str) -> None:
    session.show(f"{workload}: the machine")
    measured = limits(threads, device)
    session.record(
        workload,
        "",
        MACHINE,
        bytes_per_second=measured["bandwidth"],
        multiplications_per_second=measured["peak"],
    )


def _compare(
    session: Session,
    workload: str,
    commands: Sequence[Command],
    shapes: Sequence[Shape],
    batches: Sequence[int],
) -> None:
    with ExitStack() as stack:
        sides = [stack.enter_context(started(command)) for command in commands]
        for shape in shapes:
            session.show(f"{workload}: load {shape.name}")
            path = write_weights(session.folder, shape)
            for side in sides:
                side.load(path)
            for rows in batches:
                session.show(f"{workload}: {case(shape, rows)}")
                _take_turns(session, workload, sides, case(shape, rows), rows)


def _take_turns(
    session: Session, workload: str, sides: Sequence[Side], name: str, rows: int
) -> None:
    """Time each side in several short turns, or in one that is long.

    What disturbs the machine for a moment then spoils a turn of each and no figure.

    Raises:
        BenchmarkError: The sides do not compute the same.
    """
    taken: dict[str, list[float]] = {side.name: [] for side in sides}
    means: list[float] = []
    end = perf_counter() + _LONG_SECONDS
    for turn in range(_TURNS):
        for side in session.turned(sides):
            timed = side.timed(rows, session.seconds / _PARTS_OF_A_PASS)
            taken[side.name].append(timed["seconds"])
            means.append(timed["mean"])
        if not turn and perf_counter() > end:
            break
    if not all(isclose(mean, means[0], abs_tol=_TOLERANCE) for mean in means):
        raise BenchmarkError(f"{name}: the sides compute different logits: {means}")
    for side in sides:
        session.record(workload, name, side.name, seconds=median(taken[side.name]))
