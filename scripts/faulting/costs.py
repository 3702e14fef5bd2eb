"""Clients that ask for what costs the most: bodies that stall, very many tensors."""

import asyncio
import gzip
import json
from collections.abc import Callable, Coroutine
from typing import Any, Final

from benchmark.client import Request
from benchmark.servers import resident_bytes
from faulting.bodies import predict
from faulting.client import Lost, connect
from faulting.findings import Finding
from faulting.load import Tally, closed_loop
from faulting.prober import waits
from faulting.scene import Scene
from faulting.server import Server, referenced, sampled_memory, serving

_SECONDS: Final = 10.0
_STALLED: Final = 6
_ATTACKERS: Final = 4
_SENT: Final = 36 * 2**20
_DECLARED: Final = 60 * 2**20
_MIB: Final = 2**20

Attack = Callable[[int, Finding], Coroutine[Any, Any, None]]


def stalled_uploads(scene: Scene) -> list[Finding]:
    """Send most of long bodies and no more, beside clients that ask as they should."""
    scene.show("stalled-uploads")
    with serving([]) as server:
        return [asyncio.run(_beside_others(server, "stalled-uploads", _stall))]


def batches(scene: Scene) -> list[Finding]:
    """Ask for the sigmoid of very many tensors, beside clients that ask for little."""
    scene.show("batches")
    with serving([]) as server:
        return [asyncio.run(_beside_others(server, "batches", _ask_for_batches))]


async def _beside_others(server: Server, name: str, attack: Attack) -> Finding:
    finding = Finding(name, Tally())
    tasks = [await referenced(server.port, predict("digits", n)) for n in (1, 20)]
    stop = asyncio.Event()
    load = asyncio.create_task(closed_loop(server.port, tasks, 8, stop, finding.tally))
    idle = resident_bytes(server.pid)
    memory = asyncio.create_task(sampled_memory(server.pid, 0.1, stop))
    probes = asyncio.to_thread(waits, server.port, _SECONDS)
    _, seconds = await asyncio.gather(attack(server.port, finding), probes)
    stop.set()
    await load
    growth = max(size for _, size in await memory) - idle
    finding.note += (
        f"; /livez took {1000 * max(seconds):.0f} ms at most, memory grew by "
        f"{growth / _MIB:.0f} MiB"
    )
    await asyncio.sleep(0.5)
    await finding.require_empty_queue(server)
    finding.require_unharmed()
    finding.require_no_surprise(server)
    return finding


async def _stall(port: int, finding: Finding) -> None:
    head = (
        b"POST /sigmoid HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Content-Length: %d\r\n\r\n" % _DECLARED
    )
    piece = b"0.5," * 2**14
    connections = [await connect(port) for _ in range(_STALLED)]
    answers = [connection.expect() for connection in connections]
    for connection in connections:
        connection.send(head + b'{"inputs":[')
    for _ in range(_SENT // len(piece)):
        for connection in connections:
            connection.send(piece)
        await asyncio.sleep(0.002)
    await asyncio.sleep(_SECONDS / 2)
    stalled = sum(not answer.done() for answer in answers)
    finding.note = f"{stalled} of {_STALLED} bodies stall, the others were refused"
    finding.require("bodies that stall: 1 at least", f"{stalled}", stalled >= 1)
    for connection in connections:
        connection.close()
    await asyncio.gather(*answers, return_exceptions=True)


def _batch(tensors: list[Any], count: int, **others: str) -> bytes:
    batch = tensors * (count // len(tensors))
    body = json.dumps({"batch": batch, **others}, separators=(",", ":")).encode()
    compressed = gzip.compress(body, 6, mtime=0)
    headers = (("Content-Encoding", "gzip"),)
    return Request("POST", "/sigmoid", compressed, headers).message()


async def _ask_for_batches(port: int, finding: Finding) -> None:
    messages = [
        _batch([0], 1_000_000),
        _batch([[]], 1_000_000),
        _batch([[], 0, [0]], 300_000),
        _batch([0.25], 300_000, dtype="bfloat16"),
        _batch([[[[0]]], [0]], 300_000, dtype="float16"),
    ]
    statuses: list[int] = []
    end = asyncio.get_running_loop().time() + _SECONDS

    async def ask(first: int) -> None:
        turn = first
        while asyncio.get_running_loop().time() < end:
            connection = await connect(port)
            answer = connection.expect()
            connection.send(messages[turn % len(messages)])
            turn += 1
            try:
                statuses.append((await answer).status)
            except Lost:
                statuses.append(0)
            connection.close()

    await asyncio.gather(*(ask(number) for number in range(_ATTACKERS)))
    finding.note = f"{len(statuses)} batches of up to a million tensors"
    rights = statuses.count(200)
    finding.require("batches are answered", f"{rights}", 0 < rights == len(statuses))
