"""What hangs or finds no memory: a stopped worker, the end in a reload, a huge file."""

import asyncio
import os
import resource
import signal
from pathlib import Path
from time import perf_counter
from typing import Final

from benchmark.client import Request
from benchmark.payloads import Task
from benchmark.servers import resident_bytes
from faulting.bodies import network, predict, written
from faulting.client import Lost, metric
from faulting.findings import Finding
from faulting.load import UNREACHABLE, Tally, closed_loop, problem_code
from faulting.scene import Scene
from faulting.server import (
    AdminKey,
    Server,
    exit_code,
    held_connections,
    referenced,
    serving,
)

_MODEL: Final = "loaded"
_CONNECTIONS: Final = 32
_FOUND_SECONDS: Final = 14.0
_END_SECONDS: Final = 10.0
_LARGE_HIDDEN: Final = 2**18
_HUGE_HIDDEN: Final = 2**20
_SPARE_BYTES: Final = 2**27


def stopped_worker(scene: Scene) -> list[Finding]:
    """Stop one of two workers under load, as a process that hangs."""
    scene.show("stopped-worker")
    with serving([], workers=2) as server:
        return [asyncio.run(_stopped_worker(server))]


async def _stopped_worker(server: Server) -> Finding:
    finding = Finding("stopped-worker", Tally())
    tally, stop = finding.tally, asyncio.Event()
    task = await referenced(server.port, predict("digits", 1))
    while server.said().count("Started server process") < 2:
        await asyncio.sleep(0.05)
    load = asyncio.create_task(
        closed_loop(server.port, [task], _CONNECTIONS, stop, tally)
    )
    await asyncio.sleep(2)
    victim = server.workers()[0]
    os.kill(victim, signal.SIGSTOP)
    held, start, before = held_connections(victim, server.port), perf_counter(), 0
    while server.workers()[0] == victim and perf_counter() - start < 2 * _FOUND_SECONDS:
        await asyncio.sleep(0.05)
        before = before or tally.right
    found = perf_counter() - start
    during = tally.right - before
    await asyncio.sleep(8)
    stop.set()
    await load
    restarts = await metric(server.port, "sigmoid_worker_restarts_total")
    lost = tally.lost.total()
    finding.note = f"the stopped worker held {held} of {_CONNECTIONS} connections"
    finding.require_none("wrong", tally.wrong)
    finding.require_none("rejected", tally.refused)
    finding.require("lost <= connections that it held", f"{lost}", lost <= held)
    finding.require("the other answers meanwhile", f"{during:,}", during > 0)
    finding.require("it is replaced", f"after {found:.1f} s", found < _FOUND_SECONDS)
    finding.require("sigmoid_worker_restarts_total = 1", f"{restarts:g}", restarts == 1)
    finding.require_no_surprise(server)
    return finding


def sigterm_in_reload(scene: Scene) -> list[Finding]:
    """Tell the server to end in a reload; with one worker, and with two."""
    findings = []
    for workers in (1, 2):
        for delay in (0.02, 0.3):
            name = f"sigterm-in-reload after {delay:g} s, workers: {workers}"
            scene.show(name)
            folder = scene.folder / f"{workers}-{delay:g}"
            key, root = _placed(folder)
            with serving([root], workers=workers, api_keys_file=key.path) as server:
                large = network(1, hidden=_LARGE_HIDDEN)
                save = _replacing(root, written(folder / "large.safetensors", large))
                end = _sigterm_in_reload(name, server, key, save, delay)
                findings.append(asyncio.run(end))
    return findings


async def _sigterm_in_reload(
    name: str, server: Server, key: AdminKey, made: Path, delay: float
) -> Finding:
    finding = Finding(name, Tally())
    tally, stop = finding.tally, asyncio.Event()
    task = _either(predict(_MODEL, 1, headers=(key.header,)))
    load = asyncio.create_task(
        closed_loop(server.port, [task], _CONNECTIONS, stop, tally)
    )
    await asyncio.sleep(1)
    reload = asyncio.create_task(_status(server, key))
    await asyncio.sleep(delay)
    os.kill(server.pid, signal.SIGTERM)
    start = perf_counter()
    code = await exit_code(server.pid)
    ended = perf_counter() - start
    stop.set()
    await load
    status = await reload
    finding.note = f"the reload of {made.stat().st_size / 2**20:.0f} MiB: {status}"
    others = set(tally.refused) - {UNREACHABLE, "draining"}
    finding.require_none("wrong", tally.wrong)
    finding.require_none("lost", tally.lost)
    finding.require("refused at the connection only", others or "so", not others)
    finding.require("the reload is answered", status, status in ("200", "503 draining"))
    finding.require("it ends", f"after {ended:.1f} s", ended < _END_SECONDS)
    finding.require("exit code 0", code, code == 0)
    finding.require_no_surprise(server)
    return finding


def no_memory_reload(scene: Scene) -> list[Finding]:
    """Reload a file that there is no memory for; with one worker, and with two."""
    findings = []
    for workers in (1, 2):
        name = f"no-memory-reload, workers: {workers}"
        scene.show(name)
        folder = scene.folder / str(workers)
        key, root = _placed(folder)
        with serving([root], workers=workers, api_keys_file=key.path) as server:
            huge = written(folder / "huge.safetensors", network(1, hidden=_HUGE_HIDDEN))
            findings.append(asyncio.run(_no_memory(name, server, key, root, huge)))
    return findings


async def _no_memory(
    name: str, server: Server, key: AdminKey, root: Path, huge: Path
) -> Finding:
    finding = Finding(name, Tally(), f"a file of {huge.stat().st_size / 2**20:.0f} MiB")
    tally, stop = finding.tally, asyncio.Event()
    task = await referenced(server.port, predict(_MODEL, 1, headers=(key.header,)))
    load = asyncio.create_task(
        closed_loop(server.port, [task], _CONNECTIONS, stop, tally)
    )
    await asyncio.sleep(1)
    workers = server.workers()
    small = (root / f"{_MODEL}.safetensors").read_bytes()
    _replacing(root, huge)
    for pid in {server.pid, *workers.values()}:
        most = resident_bytes(pid, "VmSize") + _SPARE_BYTES
        hard = resource.prlimit(pid, resource.RLIMIT_AS)[1]
        resource.prlimit(pid, resource.RLIMIT_AS, (most, hard))
    status = await _status(server, key)
    (huge.parent / "small").write_bytes(small)
    _replacing(root, huge.parent / "small")
    again = await _status(server, key)
    await asyncio.sleep(1)
    stop.set()
    await load
    finding.require_none("wrong", tally.wrong)
    finding.require_none("rejected", tally.refused)
    finding.require_none("lost", tally.lost)
    finding.require("it is refused", status, status == "503 not_ready")
    finding.require("the next good one is not", again, again == "200")
    same = server.workers() == workers
    finding.require("the same processes serve", "so" if same else "no", same)
    finding.require_no_surprise(server)
    return finding


def _placed(folder: Path) -> tuple[AdminKey, Path]:
    root = folder / "models"
    root.mkdir(parents=True)
    made = network(0)
    written(root / f"{_MODEL}.safetensors", made)
    return AdminKey(folder), root


def _replacing(root: Path, made: Path) -> Path:
    place = root / f"{_MODEL}.safetensors"
    os.replace(made, place)
    return place


def _either(request: Request) -> Task:
    """Take either network's answer: the reload may have been put in place."""
    return Task(request, lambda body: b'"logits"' in body)


async def _status(server: Server, key: AdminKey) -> str:
    try:
        answer = await key.reload(server.port, _MODEL)
    except (Lost, OSError) as error:
        return str(error)
    return "200" if answer.status == 200 else f"{answer.status} {problem_code(answer)}"
