"""Clients that send without end where no body is: between chunks, and behind them."""

import asyncio
from time import perf_counter
from typing import Final, NamedTuple

from benchmark.servers import resident_bytes
from faulting.bodies import predict
from faulting.client import Lost, connect
from faulting.findings import Finding
from faulting.load import Tally, closed_loop
from faulting.scene import Scene
from faulting.server import Server, referenced, sampled_memory, serving

_EACH: Final = 4
_MOST_SECONDS: Final = 5.0
_MIB: Final = 2**20
_MOST_GROWTH: Final = 64 * _MIB
_MOST_SENT: Final = 256 * _MIB
_PIECE: Final = 2**16

_CHUNKED: Final = (
    b"POST /models/digits/predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_PAGE: Final = (
    b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
)


class _Endless(NamedTuple):
    """What has no end.

    Attributes:
        name: What it is.
        first: Bytes that are sent once.
        more: Bytes that are sent again and again.
        is_told: Whether its answer is 431; else it may have been answered before.
    """

    name: str
    first: bytes
    more: bytes
    is_told: bool = True


_WAYS: Final = (
    _Endless("fields of a trailer", _CHUNKED + b"0\r\n", b"abcd: efgh\r\n"),
    _Endless("one field of a trailer", _CHUNKED + b"0\r\nX: ", b"x" * 100),
    _Endless("name of a trailer's field", _CHUNKED + b"0\r\n", b"x" * 100),
    _Endless("extension of a chunk", _CHUNKED + b"1;a=", b"x" * 100),
    _Endless("length of a chunk", _CHUNKED, b"0" * 100),
    _Endless("trailer behind a page", _PAGE + b"0\r\n", b"abcd: efgh\r\n", False),
    _Endless("field behind a page", _PAGE + b"0\r\nX: ", b"x" * 100, False),
)


def trailers(scene: Scene) -> list[Finding]:
    """Send what has no end, beside clients that ask as they should."""
    scene.show("trailers")
    with serving([]) as server:
        return [asyncio.run(_trailers(server))]


async def _trailers(server: Server) -> Finding:
    finding = Finding("trailers", Tally())
    tasks = [await referenced(server.port, predict("digits", n)) for n in (1, 400)]
    stop = asyncio.Event()
    load = asyncio.create_task(closed_loop(server.port, tasks, 8, stop, finding.tally))
    idle = resident_bytes(server.pid)
    memory = asyncio.create_task(sampled_memory(server.pid, 0.05, stop))
    ways = [way for way in _WAYS for _ in range(_EACH)]
    ends = await asyncio.gather(*(_send(server.port, way) for way in ways))
    await asyncio.sleep(1)
    stop.set()
    await load
    growth = max(size for _, size in await memory) - idle
    finding.note = f"{len(_WAYS)} things without end, {_EACH} of each at once"
    for way in _WAYS:
        found = [end for other, end in zip(ways, ends, strict=True) if other is way]
        faults = [end.fault for end in found if end.fault]
        longest = max(end.seconds for end in found)
        finding.require(
            f"{way.name}: cut off within {_MOST_SECONDS:g} s",
            faults[0] if faults else f"{longest:.1f} s at most",
            not faults and longest <= _MOST_SECONDS,
        )
    finding.require(
        f"memory grows by {_MOST_GROWTH // _MIB} MiB at most",
        f"{growth / _MIB:.0f} MiB",
        growth <= _MOST_GROWTH,
    )
    await finding.require_empty_queue(server)
    finding.require_unharmed()
    finding.require_no_surprise(server)
    return finding


class _CutOff(NamedTuple):
    seconds: float
    fault: str


async def _send(port: int, way: _Endless) -> _CutOff:
    connection = await connect(port)
    answer = connection.expect()
    start = perf_counter()
    connection.send(way.first)
    piece = way.more * (_PIECE // len(way.more))
    sent, fault = 0, ""
    while not connection.ended.done() and not fault:
        connection.send(piece)
        sent += len(piece)
        if sent > _MOST_SENT or perf_counter() - start > 2 * _MOST_SECONDS:
            fault = f"still open after {sent / _MIB:.0f} MiB"
        await asyncio.sleep(0.005)
    seconds = perf_counter() - start
    connection.close()
    try:
        said = await answer
    except Lost:  # it was reset, as it went on sending
        return _CutOff(seconds, fault)
    if said.status != 431 and (way.is_told or said.status != 200):
        fault = fault or f"{said.status}: {said.body[:120]!r}"
    return _CutOff(seconds, fault)
