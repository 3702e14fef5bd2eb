"""W3, memory and start: one client, one request at a time."""

import json
import subprocess
import sys
from pathlib import Path

from benchmark import BenchmarkError
from benchmark.payloads import echo_task, npy_sigmoid_task, sigmoid_task
from benchmark.programs import EMPTY, OTHER, OURS, TUTORIAL, TYPED
from benchmark.servers import (
    SERVER_CORE,
    cpu_seconds,
    forget_peak,
    resident_bytes,
    running,
)
from benchmark.session import Session, all_running, once, timed

SIDE = 1000
FLOOR, ALONE, SUM = "floor in process", "sigmoid in process", "sigmoid + echo"
_FLOAT32_BYTES = 4


def w3(session: Session) -> None:
    """Ask for the sigmoid of a million numbers, as JSON and as `.npy`."""
    as_json, as_npy = sigmoid_task(SIDE, SIDE), npy_sigmoid_task(SIDE, SIDE)
    programs = session.in_turn(OURS, TUTORIAL, TYPED, EMPTY)
    echoed = 0.0
    with all_running(session, programs) as servers:
        for _, server in servers:
            if server.name == EMPTY:
                session.show("npy, echo")
                echoed = timed(server, echo_task(as_npy), session.seconds)
                session.record("W3 npy", "", "echo", seconds=echoed)
                continue
            session.show(f"JSON, {server.name}")
            seconds = timed(server, as_json, session.seconds)
            session.record("W3 JSON", "", server.name, seconds=seconds)
            if server.name == OURS:
                session.show("npy, ours")
                seconds = timed(server, as_npy, session.seconds)
                session.record("W3 npy", "", OURS, seconds=seconds)
        session.show("in process")
        floor = _floor(session, as_json.request.body)
    session.record("W3 JSON", "", FLOOR, seconds=floor["floor"])
    session.record("W3 npy", "", ALONE, seconds=floor["sigmoid"])
    session.record("W3 npy", "", SUM, seconds=floor["sigmoid"] + echoed)


def _floor(session: Session, body: bytes) -> dict[str, float]:
    """Run `floor.py` on the core of the servers, which are idle meanwhile."""
    path = session.folder / "w3.json"
    path.write_bytes(body)
    program = [sys.executable, "-P", str(Path(__file__).with_name("floor.py"))]
    result = subprocess.run(
        ["taskset", "-c", str(SERVER_CORE), *program, str(path), str(session.seconds)],
        cwd=session.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise BenchmarkError(f"the floor failed: {result.stderr[-500:]}")
    figures: dict[str, float] = json.loads(result.stdout)
    return figures


def memory(session: Session) -> None:
    """Read what is resident when idle, and how far one large request lifts it."""
    task = sigmoid_task(SIDE, SIDE)
    for program in session.in_turn(OURS, OTHER, TUTORIAL, TYPED):
        session.show(program.name)
        with running(program) as server:
            idle = resident_bytes(server.pid)
            once(server, program.predict(1))
            used = resident_bytes(server.pid)
            forget_peak(server.pid)
            answer = len(once(server, task))
            peak = resident_bytes(server.pid, "VmHWM")
        bound = 2 * (len(task.request.body) + answer)
        bound += 8 * _FLOAT32_BYTES * SIDE**2
        session.record(
            "memory",
            "",
            program.name,
            idle_bytes=idle,
            bytes_after_a_request=used,
            peak_above_idle_bytes=peak - idle,
            bound_bytes=bound,
        )


def start(session: Session) -> None:
    """Measure from the start of the process to the first answer."""
    programs = session.in_turn(OURS, OTHER, TUTORIAL, EMPTY)
    if session.number == 0:  # files not read since long come from the disk
        for program in programs:
            with running(program):
                session.show(f"warm-up, {program.name}")
    for program in programs:
        session.show(program.name)
        with running(program) as server:
            session.record(
                "start",
                "",
                server.name,
                seconds=server.start_seconds,
                CPU_seconds=cpu_seconds(server.pid),
            )
