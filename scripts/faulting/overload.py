"""Three times as much as the server can do, and how it says no."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Final, NamedTuple

import numpy as np

from benchmark.payloads import Task, empty_task
from benchmark.programs import references
from benchmark.servers import resident_bytes, running
from faulting.bodies import LONG_ROWS, closing, predict
from faulting.client import metric
from faulting.findings import Finding
from faulting.load import Tally, capacity, closed_loop, open_loop
from faulting.prober import waits
from faulting.scene import Scene
from faulting.server import Server, referenced, sampled_memory, serving

CONNECTIONS: Final = 256
_TIMES: Final = 3.0
_MEASURING_SECONDS: Final = 4.0
_MEMORY_PERIOD: Final = 0.1
# As much as is done with before it has waited for SIGMOID_TIMEOUT_SECONDS.
_QUEUE_ELEMENTS: Final = 2**24
_LIVEZ_MARGIN: Final = 0.050
# Of an element that waits: its 8 bytes as float64; the text of its number, about as
# long, in pieces and in one; an answer, no longer than the body. One more for what the
# allocator keeps.
_COPIES: Final = 6
_ELEMENT_BYTES: Final = 8
_MIB: Final = 2**20


class _Pass(NamedTuple):
    crowd: Tally
    visitors: Tally
    waits: list[float]


def overload(scene: Scene) -> list[Finding]:
    """Offer three times the rows that can be answered, and probe the while.

    The empty handler is given the same, for comparison.
    """
    with _prober() as prober:
        with serving(
            [],
            max_elements=_QUEUE_ELEMENTS // 2,
            max_queue_elements=_QUEUE_ELEMENTS,
        ) as server:
            ours, rate, idle, peak = asyncio.run(_ours(scene, server, prober))
            finding = Finding("overload", ours.crowd + ours.visitors)
            finding.require_no_surprise(server)
            limit = asyncio.run(_queue_limit(server.port))
        scene.show("overload: the empty handler")
        empty = asyncio.run(_empty(scene, prober, rate))
    _judge(finding, ours, rate)
    bound = idle + _COPIES * _ELEMENT_BYTES * limit
    finding.require(
        "memory peak <= idle + 6 x 8 bytes x the queue's elements",
        f"{peak / _MIB:,.0f} MiB, idle {idle / _MIB:,.0f}, bound {bound / _MIB:,.0f}",
        peak <= bound,
    )
    p99, theirs = (float(np.quantile(p.waits, 0.99)) for p in (ours, empty))
    finding.require(
        "/livez p99 <= that of the empty handler + 50 ms",
        f"{1e3 * p99:.1f} ms and {1e3 * theirs:.1f} ms",
        p99 <= theirs + _LIVEZ_MARGIN,
    )
    finding.note = (
        f"capacity {rate / _TIMES:.0f}/s of {LONG_ROWS} rows; offered "
        f"{ours.visitors.rate:.0f}/s, up to {1e3 * ours.visitors.latest:.0f} ms late, "
        f"to the empty handler {empty.visitors.rate:.0f}/s; answered of these "
        f"{ours.visitors.right:,}, of one row {ours.crowd.right:,}"
    )
    return [finding]


def _judge(finding: Finding, ours: _Pass, rate: float) -> None:
    finding.require_none("lost", finding.tally.lost)
    finding.require_none("wrong", finding.tally.wrong)
    others = set(finding.tally.refused) - {"queue_full"}
    finding.require("rejected as queue_full only", others or "so", not others)
    finding.require(
        f"offered >= {_TIMES:g} x the capacity",
        f"{ours.visitors.rate:.1f}/s of {rate:.1f}/s",
        ours.visitors.rate >= 0.99 * rate,
    )
    finding.require(
        "some are answered, some refused",
        f"{ours.visitors.right:,} and {ours.visitors.refused.total():,}",
        bool(ours.visitors.right and finding.tally.refused),
    )


async def _ours(
    scene: Scene, server: Server, prober: ProcessPoolExecutor
) -> tuple[_Pass, float, int, int]:
    """Return what was found, the offered rate, and the memory when idle and at most."""
    idle = resident_bytes(server.pid)
    long, short = [
        await referenced(server.port, predict("digits", rows))
        for rows in (LONG_ROWS, 1)
    ]
    scene.show("overload: the capacity")
    rate = _TIMES * await capacity(server.port, [long], 8, _MEASURING_SECONDS)
    scene.show(f"overload: {rate:.0f} requests a second")
    stop = asyncio.Event()
    memory = asyncio.create_task(sampled_memory(server.pid, _MEMORY_PERIOD, stop))
    long_too = [long, closing(long)]
    found = await _pass(server.port, long_too, short, rate, scene.seconds, prober)
    stop.set()
    return found, rate, idle, max(size for _, size in await memory)


async def _empty(scene: Scene, prober: ProcessPoolExecutor, rate: float) -> _Pass:
    long, short = (
        empty_task(Task(predict("digits", rows), bool)) for rows in (LONG_ROWS, 1)
    )
    program = references(scene.folder / "none")[-1]
    with running(program) as server:
        long_too = [long, closing(long)]
        return await _pass(server.port, long_too, short, rate, scene.seconds, prober)


async def _pass(
    port: int,
    long: list[Task],
    short: Task,
    rate: float,
    seconds: float,
    prober: ProcessPoolExecutor,
) -> _Pass:
    crowd, visitors, stop = Tally(), Tally(), asyncio.Event()
    probing = asyncio.wrap_future(prober.submit(waits, port, seconds))
    crowding = asyncio.create_task(closed_loop(port, [short], CONNECTIONS, stop, crowd))
    await open_loop(port, long, rate, seconds, visitors)
    stop.set()
    await crowding
    return _Pass(crowd, visitors, await probing)


async def _queue_limit(port: int) -> int:
    return int(await metric(port, "sigmoid_inflight_limit_elements"))


@contextmanager
def _prober() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        # It has started when it has answered.
        pool.submit(int).result()
        yield pool
