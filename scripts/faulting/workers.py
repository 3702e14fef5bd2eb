"""Processes that end: a worker that is killed, a server that is told to end."""

import asyncio
import os
import signal
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from benchmark.payloads import Task
from faulting.bodies import LONG_ROWS, predict
from faulting.client import Lost, ask_once, connect, metric
from faulting.findings import Finding
from faulting.load import UNREACHABLE, Tally, ask, closed_loop, open_loop
from faulting.scene import Scene
from faulting.server import (
    READY,
    Server,
    exit_code,
    held_connections,
    referenced,
    serving,
)

_CONNECTIONS: Final = 64
_RESTART_SECONDS: Final = 30.0
_TRIALS: Final = 16
_DRAIN_SECONDS: Final = 2.0
_LONGEST_LOAD: Final = 20.0
_VISITORS_PER_SECOND: Final = 100.0
_UPLOADERS: Final = 4
_UPLOAD_SECONDS: Final = 0.7


def kill_worker(scene: Scene) -> list[Finding]:
    """Kill one of two workers under load."""
    scene.show("kill-worker")
    with serving([], workers=2) as server:
        return [asyncio.run(_kill_worker(scene, server))]


async def _kill_worker(scene: Scene, server: Server) -> Finding:
    finding = Finding("kill-worker", Tally())
    tasks = await _tasks(server.port)
    stop = asyncio.Event()
    load = asyncio.create_task(
        closed_loop(server.port, tasks, _CONNECTIONS, stop, finding.tally)
    )
    third = min(scene.seconds, _LONGEST_LOAD) / 3
    await asyncio.sleep(third)
    victim = server.workers()[0]
    os.kill(victim, signal.SIGSTOP)  # so that what it holds can be counted
    held = held_connections(victim, server.port)
    os.kill(victim, signal.SIGKILL)
    start = perf_counter()
    restarts, ready = await _replaced(server, victim, start)
    await asyncio.sleep(third)
    before = finding.tally.right
    await asyncio.sleep(third)
    after = finding.tally.right - before
    stop.set()
    await load
    lost = finding.tally.lost.total()
    finding.note = f"the killed worker held {held} of {_CONNECTIONS} connections"
    finding.require_none("wrong", finding.tally.wrong)
    finding.require(
        "lost <= connections that it held", f"{lost} of {held}", lost <= held
    )
    finding.require("it held some", held, held > 0)
    refused = finding.tally.refused.total()
    finding.require("rejected = 0", refused, not refused)
    finding.require("sigmoid_worker_restarts_total = 1", f"{restarts:g}", restarts == 1)
    finding.require(
        "a new worker serves", f"after {ready:.1f} s", ready < _RESTART_SECONDS
    )
    finding.require("the load goes on", f"{after:,} answers", after > 0)
    finding.require_no_surprise(server)
    return finding


async def _replaced(server: Server, victim: int, start: float) -> tuple[float, float]:
    """Wait for the worker that replaces another; return restarts, and seconds."""
    ready = float("inf")
    while ready > (passed := perf_counter() - start) and passed < _RESTART_SECONDS:
        new = server.workers()[0]
        if new != victim and await _is_serving(server.port, new):
            ready = perf_counter() - start
        await asyncio.sleep(0.05)
    return await metric(server.port, "sigmoid_worker_restarts_total"), ready


async def _is_serving(port: int, pid: int) -> bool:
    """Tell whether a process takes some of many connections, and all are served."""
    connections = [await connect(port) for _ in range(_TRIALS)]
    message = READY.message()
    try:
        asked = (connection.ask(message, 10) for connection in connections)
        answers = await asyncio.gather(*asked)
        is_taking = held_connections(pid, port) > 0
    except Lost:
        return False
    finally:
        for connection in connections:
            connection.close()
    return is_taking and all(answer.status == 200 for answer in answers)


def sigterm(scene: Scene) -> list[Finding]:
    """Tell the server to end in the midst of load; with one worker, and with two."""
    findings = []
    for workers in (1, 2):
        scene.show(f"sigterm, workers: {workers}")
        with serving([], workers=workers, drain_seconds=_DRAIN_SECONDS) as server:
            name = f"sigterm, workers: {workers}"
            findings.append(asyncio.run(_sigterm(name, server)))
    return findings


@dataclass
class _Watch:
    """When the prober saw what, in seconds; infinity for never."""

    unready: float = float("inf")
    refused: float = float("inf")
    lost: str = ""


async def _sigterm(name: str, server: Server) -> Finding:
    finding = Finding(name, Tally())
    tally = finding.tally
    tasks = await _tasks(server.port)
    stop = asyncio.Event()
    loads = [
        closed_loop(server.port, tasks, 32, stop, tally),
        closed_loop(server.port, tasks[:1], 16, stop, tally, pause=0.05),
        closed_loop(server.port, tasks[:1], 16, stop, tally, pause=0.7),
        closed_loop(server.port, tasks[1:], 4, stop, tally),
        open_loop(
            server.port, tasks[:1], _VISITORS_PER_SECOND, _LONGEST_LOAD, tally, stop
        ),
        *(_uploads(server.port, task, stop, tally) for task in tasks * _UPLOADERS),
    ]
    running = [asyncio.create_task(load) for load in loads]
    watch = _Watch()
    await asyncio.sleep(2)
    os.kill(server.pid, signal.SIGTERM)
    start = perf_counter()
    watching = asyncio.create_task(_watch(server.port, start, stop, watch))
    code = await exit_code(server.pid)
    ended = perf_counter() - start
    stop.set()
    await asyncio.gather(*running, watching)
    finding.note = (
        f"unready after {watch.unready:.2f} s, refused from {watch.refused:.2f} s, "
        f"ended after {ended:.2f} s"
    )
    finding.require_none("wrong", tally.wrong)
    finding.require_none("lost", tally.lost)
    others = set(tally.refused) - {UNREACHABLE, "draining"}
    finding.require("refused at the connection only", others or "so", not others)
    finding.require("probes lost = 0", watch.lost or "0", not watch.lost)
    finding.require(
        "/readyz says 503 before anything is refused",
        f"{watch.unready:.2f} s and {watch.refused:.2f} s",
        watch.unready < watch.refused,
    )
    finding.require(
        f"nothing is refused for the {_DRAIN_SECONDS:g} s of draining",
        f"{watch.refused:.2f} s",
        watch.refused >= _DRAIN_SECONDS,
    )
    finding.require("exit code 0", code, code == 0)
    finding.require_no_surprise(server)
    return finding


async def _uploads(port: int, task: Task, stop: asyncio.Event, tally: Tally) -> None:
    """Ask again and again, each time with a pause in the midst of the request."""
    message = task.request.message()
    half = len(message) // 2
    while not stop.is_set():
        tally.offered += 1
        try:
            connection = await connect(port)
        except OSError:
            tally.refused[UNREACHABLE] += 1
            await asyncio.sleep(0.05)
            continue
        connection.send(message[:half])
        await asyncio.sleep(_UPLOAD_SECONDS)
        await ask(connection, task, message[half:], tally)
        connection.close()


async def _watch(port: int, start: float, stop: asyncio.Event, watch: _Watch) -> None:
    """Ask `/readyz` on new connections until nobody listens."""
    while not stop.is_set():
        try:
            answer = await ask_once(port, READY)
        except OSError:
            watch.refused = min(watch.refused, perf_counter() - start)
        except Lost as loss:
            watch.lost = str(loss)
        else:
            if answer.status == 503:
                watch.unready = min(watch.unready, perf_counter() - start)
        await asyncio.sleep(0.01)


async def _tasks(port: int) -> list[Task]:
    return [await referenced(port, predict("digits", rows)) for rows in (1, LONG_ROWS)]
