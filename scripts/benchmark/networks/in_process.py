"""Batches of large networks, in process: the sides take turns at the same rows."""

from collections.abc import Sequence
from contextlib import ExitStack
from math import isclose

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
_PART_OF_A_PASS = 6
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
    """Time each side; make sure that all compute the same."""
    means: list[float] = []
    for side in session.turned(sides):
        timed = side.timed(rows, session.seconds / _PART_OF_A_PASS)
        session.record(workload, name, side.name, seconds=timed["seconds"])
        means.append(timed["mean"])
    if not all(isclose(mean, means[0], abs_tol=_TOLERANCE) for mean in means):
        raise BenchmarkError(f"{name}: the sides compute different logits: {means}")
