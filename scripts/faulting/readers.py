"""Clients that do not read their answers."""

import asyncio
import fcntl
import select
import socket
import sys
import termios
from contextlib import suppress
from time import perf_counter
from typing import Final, NamedTuple

from benchmark.client import Request
from benchmark.servers import resident_bytes
from faulting.bodies import predict
from faulting.client import metric
from faulting.findings import Finding
from faulting.load import Tally, closed_loop
from faulting.scene import Scene
from faulting.server import Server, referenced, sampled_memory, serving

_WRITE_SECONDS: Final = 3.0
_SPARE_SECONDS: Final = 2.5
_GIVE_UP_SECONDS: Final = 60.0
_STEP_SECONDS: Final = 0.2
_EACH: Final = 4
_ROOM: Final = 4096
_ELEMENTS: Final = 2**20
_MIB: Final = 2**20
# Of a long answer some copies live while it is made.
_MOST_GROWTH: Final = 512 * _MIB

_LONG: Final = b'{"inputs":[' + b"5," * (_ELEMENTS - 1) + b"5]}"
_SHORT: Final = b'{"inputs":[' + b"5," * 3000 + b"5]}"


class _Way(NamedTuple):
    """A way not to read.

    Attributes:
        name: What it does.
        message: That is sent.
        times: How often, as far as the server takes it.
        reads: How many bytes are read a second.
    """

    name: str
    message: bytes
    times: int
    reads: int = 0


def _sigmoid(body: bytes, *headers: tuple[str, str]) -> bytes:
    return Request("POST", "/sigmoid", body, headers).message()


_PAGE: Final = Request("GET", "/openapi.json").message()
_NOTHING: Final = Request("GET", "/" + "x" * 1000).message()
_WAYS: Final = (
    _Way("a long answer", _sigmoid(_LONG), 1),
    _Way("a long last answer", _sigmoid(_LONG, ("Connection", "close")), 1),
    _Way("long answers in a row", _sigmoid(_LONG), 3),
    _Way("short answers in a row", _sigmoid(_SHORT), 2000),
    _Way("pages in a row", _PAGE, 2000),
    _Way("errors in a row", _NOTHING, 40_000),
    _Way("a long answer, read slowly", _sigmoid(_LONG), 1, 20_000),
)


def slow_readers(scene: Scene) -> list[Finding]:
    """Ask in every way and do not read, beside clients that do."""
    scene.show("slow-readers")
    with serving([], write_seconds=_WRITE_SECONDS) as server:
        return [asyncio.run(_slow_readers(server))]


async def _slow_readers(server: Server) -> Finding:
    finding = Finding("slow-readers", Tally())
    tasks = [await referenced(server.port, predict("digits", n)) for n in (1, 400)]
    stop = asyncio.Event()
    load = asyncio.create_task(closed_loop(server.port, tasks, 8, stop, finding.tally))
    idle = resident_bytes(server.pid)
    memory = asyncio.create_task(sampled_memory(server.pid, 0.1, stop))
    ways = [way for way in _WAYS for _ in range(_EACH)]
    ends = await asyncio.gather(
        *(asyncio.to_thread(_seconds_until_cut, server.port, way) for way in ways)
    )
    stop.set()
    await load
    growth = max(size for _, size in await memory) - idle
    finding.note = f"{len(_WAYS)} ways not to read, {_EACH} of each at once"
    most = _WRITE_SECONDS + _SPARE_SECONDS
    for way in _WAYS:
        found = [end for other, end in zip(ways, ends, strict=True) if other is way]
        least, longest = min(since for since, _ in found), max(end for _, end in found)
        shown = f"{least:.1f} to {longest:.1f} s"
        if way.reads:
            soonest = min(end for _, end in found)
            finding.require(
                f"{way.name}: not cut off", f"{soonest:.1f} s", soonest > most
            )
        else:
            finding.require(
                f"{way.name}: cut off after {_WRITE_SECONDS:g} to {most:g} s",
                shown,
                least >= _WRITE_SECONDS and longest <= most,
            )
    cut = await metric(server.port, "sigmoid_requests_cancelled_total")
    wanted = _EACH * sum(not way.reads for way in _WAYS)
    finding.require(f"cut off and counted: {wanted}", f"{cut:g}", cut >= wanted)
    finding.require(
        f"memory grows by {_MOST_GROWTH // _MIB} MiB at most",
        f"{growth / _MIB:.0f} MiB",
        growth <= _MOST_GROWTH,
    )
    await finding.require_empty_queue(server)
    finding.require_none("wrong", finding.tally.wrong)
    finding.require_none("lost", finding.tally.lost)
    finding.require_no_surprise(server)
    return finding


class _Wait(NamedTuple):
    """For how long the server bears a client.

    Attributes:
        since_read: From when its system took the last byte of an answer.
        since_sent: From when it has begun to answer, and the last request has left.
    """

    since_read: float
    since_sent: float


def _seconds_until_cut(port: int, way: _Way) -> _Wait:
    """Send, and do not read; say for how long the server bears it."""
    with socket.socket() as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        wire.settimeout(_GIVE_UP_SECONDS)
        wire.connect(("127.0.0.1", port))
        read_at = sent_at = perf_counter()
        held = 0
        with suppress(OSError):  # it is reset while it sends
            for number in range(way.times):
                wire.sendall(way.message)
                if not number:
                    wire.recv(1, socket.MSG_PEEK)
                sent_at = perf_counter()
                if _held_bytes(wire) > held:
                    held, read_at = _held_bytes(wire), sent_at
            read_at = _bear(wire, way.reads, held, read_at)
        now = perf_counter()
        return _Wait(now - read_at, now - sent_at)


def _bear(wire: socket.socket, reads: int, held: int, read_at: float) -> float:
    """Wait for the reset, for a while; read a little, where that is asked for.

    Args:
        wire: To the server.
        reads: How many bytes are read a second.
        held: How many have come and were not read.
        read_at: When the last of them came.

    Returns:
        When the last came.
    """
    poll = select.poll()
    poll.register(wire.fileno(), select.POLLHUP | select.POLLERR)
    end = perf_counter() + _WRITE_SECONDS + 2 * _SPARE_SECONDS
    while perf_counter() < end and not poll.poll(1000 * _STEP_SECONDS):
        if _held_bytes(wire) > held:
            held, read_at = _held_bytes(wire), perf_counter()
        if reads:
            held -= len(wire.recv(int(reads * _STEP_SECONDS)))
    return read_at


def _held_bytes(wire: socket.socket) -> int:
    """Count what has come and was not read; SIOCINQ of tcp(7)."""
    found = bytearray(4)
    fcntl.ioctl(wire.fileno(), termios.FIONREAD, found)
    return int.from_bytes(found, sys.byteorder)
