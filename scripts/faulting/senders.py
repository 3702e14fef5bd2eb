"""Clients that are slow, and clients that go away."""

import asyncio
from time import perf_counter
from typing import Final, NamedTuple

from benchmark.client import Request
from faulting.bodies import LONG_ROWS, heavy_network, predict, written
from faulting.client import Connection, Lost, ask_once, connect, metric
from faulting.findings import Finding
from faulting.load import Tally, closed_loop, problem_code
from faulting.scene import Scene
from faulting.server import Server, referenced, serving

_HEADER_SECONDS: Final = 2.0
_BODY_SECONDS: Final = 3.0
_SPARE_SECONDS: Final = 2.0
_GIVE_UP_SECONDS: Final = 12.0
_EACH: Final = 8
_DRIP_SECONDS: Final = 0.1
_HEAD: Final = b"POST /models/digits/predict HTTP/1.1\r\nHost: 127.0.0.1\r\n"
_JSON: Final = b"Content-Type: application/json\r\n"
_LONG: Final = 2**20


class _Slow(NamedTuple):
    """A way to be slow.

    Attributes:
        name: What it does.
        first: Bytes that are sent at once.
        drip: One of these bytes is sent after another, slowly.
        limit: Seconds after which it must be cut off.
        named: Setting that the answer must name; empty where there is none.
        asks_before: Whether a whole request comes first on the connection.
    """

    name: str
    first: bytes
    drip: bytes
    limit: float
    named: str
    asks_before: bool = False


def _slow(
    name: str, first: bytes, drip: bytes = b"", *, body: bool, asks_before: bool = False
) -> _Slow:
    limit = _BODY_SECONDS if body else _HEADER_SECONDS
    named = "SIGMOID_BODY_SECONDS" if body else "SIGMOID_HEADER_SECONDS"
    return _Slow(name, first, drip, limit, named, asks_before)


_DECLARED: Final = _HEAD + _JSON + b"Content-Length: %d\r\n\r\n"
_EXPECTING: Final = (
    _HEAD + _JSON + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"
)
_CHUNKED: Final = _HEAD + _JSON + b"Transfer-Encoding: chunked\r\n\r\n"
_PIECE: Final = b'{"inputs":[[1,2,'
_WAYS: Final = (
    _Slow("silent", b"", b"", _HEADER_SECONDS, ""),
    _slow("header, a byte at a time", b"", _HEAD * 9, body=False),
    _slow("header stops", _HEAD + b"X-Half: 1", body=False),
    _slow("header stops in its first line", b"POST /mod", body=False),
    _slow("header stops, second request", _HEAD, body=False, asks_before=True),
    _slow("short body stops", _DECLARED % 999 + _PIECE, body=True),
    _slow("long body stops", _DECLARED % _LONG + _PIECE, body=True),
    _slow("no body comes", _DECLARED % 999, body=True),
    _slow("no long body comes", _DECLARED % _LONG, body=True),
    _slow("no chunk comes", _CHUNKED, body=True),
    _slow("no body comes, Expect: 100-continue", _EXPECTING % 999, body=True),
    _slow("short body, a byte at a time", _DECLARED % 999, b"1," * 400, body=True),
    _slow("long body, a byte at a time", _DECLARED % _LONG, b"1," * 400, body=True),
    _slow("chunked body stops", _CHUNKED + b"10\r\n" + _PIECE + b"\r\n", body=True),
    _slow("chunk stops", _CHUNKED + b"ff\r\n" + _PIECE, body=True),
    _slow("chunk's length stops", _CHUNKED + b"1", body=True),
    _slow("second body stops", _DECLARED % 999 + _PIECE, body=True, asks_before=True),
)


def slow_senders(scene: Scene) -> list[Finding]:
    """Send slowly, in every way there is, beside clients that do not."""
    scene.show("slow-senders")
    settings = {"header_seconds": _HEADER_SECONDS, "body_seconds": _BODY_SECONDS}
    with serving([], **settings) as server:
        return [asyncio.run(_slow_senders(server))]


async def _slow_senders(server: Server) -> Finding:
    finding = Finding("slow-senders", Tally())
    tasks = [await referenced(server.port, predict("digits", n)) for n in (1, 400)]
    stop = asyncio.Event()
    load = asyncio.create_task(closed_loop(server.port, tasks, 8, stop, finding.tally))
    ways = [way for way in _WAYS for _ in range(_EACH)]
    outcomes = await asyncio.gather(*(_send_slowly(server.port, way) for way in ways))
    stop.set()
    await load
    finding.note = f"{len(_WAYS)} ways to be slow, {_EACH} of each at once"
    for way in _WAYS:
        said = [o for w, o in zip(ways, outcomes, strict=True) if w is way]
        faults = [outcome for outcome in said if outcome.fault]
        longest = max(outcome.seconds for outcome in said)
        verdict = faults[0].fault if faults else f"{longest:.1f} s at most"
        limit = way.limit + _SPARE_SECONDS
        told = f"told {way.named} and " if way.named else ""
        finding.require(
            f"{way.name}: {told}closed within {limit:g} s",
            verdict,
            not faults and way.limit <= longest <= limit,
        )
    finding.require_unharmed()
    finding.require_no_surprise(server)
    return finding


class _CutOff(NamedTuple):
    seconds: float
    fault: str


async def _send_slowly(port: int, way: _Slow) -> _CutOff:
    connection = await connect(port)
    if way.asks_before:
        await connection.ask(predict("digits", 1).message(), _GIVE_UP_SECONDS)
    start = perf_counter()
    answer = connection.expect()
    connection.send(way.first)
    dripping = asyncio.create_task(_drip(connection, way.drip))
    fault = ""
    try:
        await asyncio.wait_for(asyncio.shield(connection.ended), _GIVE_UP_SECONDS)
    except TimeoutError:
        fault = f"still open after {_GIVE_UP_SECONDS:g} s"
    seconds = perf_counter() - start
    dripping.cancel()
    connection.close()
    try:
        said = await answer
    except Lost as loss:
        fault = fault or (f"no answer: {loss}" if way.named else "")
    else:
        is_told = (said.status, problem_code(said)) == (408, "request_timeout")
        if not is_told or way.named.encode() not in said.body:
            fault = fault or f"{said.status}: {said.body[:120]!r}"
    return _CutOff(seconds, fault)


async def _drip(connection: Connection, drip: bytes) -> None:
    for byte in drip:
        await asyncio.sleep(_DRIP_SECONDS)
        connection.send(bytes([byte]))


_LEAVING: Final = 32
_LEAVING_HALFWAY: Final = 8
_STAYING: Final = 4
_PLUG_ROWS: Final = 8 * LONG_ROWS


def disconnects(scene: Scene) -> list[Finding]:
    """Send heavy requests and go away before their turn comes."""
    scene.show("disconnects")
    path = written(scene.folder / "heavy.safetensors", heavy_network(1024, 6))
    with serving([path], max_batch_rows=LONG_ROWS) as server:
        return [asyncio.run(_disconnects(server))]


async def _disconnects(server: Server) -> Finding:
    finding = Finding("disconnects", Tally())
    port, tally = server.port, finding.tally
    task = await referenced(port, predict("heavy", LONG_ROWS))
    plug = await referenced(port, predict("heavy", _PLUG_ROWS, 1))
    names = ("sigmoid_rows_total", "sigmoid_requests_cancelled_total")
    before = [await metric(port, name) for name in names]

    async def stay(request: Request) -> None:
        tally.offered += 1
        judged = task if request is task.request else plug
        tally.judge(await ask_once(port, request), judged)

    plugging = asyncio.create_task(stay(plug.request))
    await asyncio.sleep(0.5)  # it is being computed
    message = task.request.message()
    await asyncio.gather(*(_leave(port, message) for _ in range(_LEAVING)))
    half = message[: len(message) // 2]
    await asyncio.gather(*(_leave(port, half) for _ in range(_LEAVING_HALFWAY)))
    was_waiting = not plugging.done()
    await asyncio.gather(plugging, *(stay(task.request) for _ in range(_STAYING)))
    rows, abandoned = [
        await metric(port, name) - old for name, old in zip(names, before, strict=True)
    ]
    wanted_rows = _PLUG_ROWS + _STAYING * LONG_ROWS
    left = _LEAVING + _LEAVING_HALFWAY
    queued = await metric(port, "sigmoid_inflight_elements")
    finding.note = (
        f"{_LEAVING} left after a whole request, {_LEAVING_HALFWAY} after half of one"
    )
    finding.require("they left before their turn", was_waiting, was_waiting)
    finding.require(
        f"sigmoid_requests_cancelled_total grows by {left}",
        f"{abandoned:g}",
        abandoned == left,
    )
    finding.require(
        f"sigmoid_rows_total grows by {wanted_rows:,}, those of who stayed",
        f"{rows:,g}",
        rows == wanted_rows,
    )
    finding.require("sigmoid_inflight_elements = 0 at last", f"{queued:g}", not queued)
    stayed = 1 + _STAYING
    finding.require("who stayed is answered", tally.right, tally.right == stayed)
    finding.require_none("wrong", tally.wrong)
    finding.require_no_surprise(server)
    return finding


async def _leave(port: int, data: bytes) -> None:
    """Send bytes, all of them, and go away."""
    connection = await connect(port)
    connection.send(data)
    connection.leave()
    await connection.ended
