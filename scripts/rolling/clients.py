"""Clients of the service: none of them asks twice for what failed."""

import asyncio
import http.client
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from time import perf_counter, sleep
from typing import Final, NamedTuple

import httpx

from benchmark.client import Request
from benchmark.payloads import Task
from faulting.client import Answer, Connection, Lost, connect
from rolling.cluster import Endpoints
from rolling.record import Record

_ANSWER_SECONDS: Final = 30.0
_UPLOAD_SECONDS: Final = 0.7
# So long a client waits after a failure, lest one fault be counted a thousand times.
_FAILURE_SECONDS: Final = 0.1


class Habit(NamedTuple):
    """How the clients of a kind ask.

    Attributes:
        name: As the table shows it.
        clients: How many there are.
        pause: Least and most seconds between an answer and the next request.
        is_kept: Whether a connection is used again.
        version: Of HTTP.
        is_blind: Whether it is used again without a look whether it was closed, unless
            an answer has said so.
        is_slow: Whether the second half of a request is sent some time after the first.
    """

    name: str
    clients: int
    pause: tuple[float, float]
    is_kept: bool = True
    version: str = "1.1"
    is_blind: bool = False
    is_slow: bool = False


@dataclass
class Load:
    """What all clients share.

    Attributes:
        endpoints: Where they ask.
        tasks: What they ask, in turns.
        stop: Set to end them.
    """

    endpoints: Endpoints
    tasks: Sequence[Task]
    stop: asyncio.Event

    def turns(self, number: int) -> Iterator[Task]:
        """Begin with another task for each client."""
        start = number % len(self.tasks)
        return cycle([*self.tasks[start:], *self.tasks[:start]])

    async def rest(self, seconds: float) -> None:
        """Wait, but not beyond the end."""
        try:
            await asyncio.wait_for(self.stop.wait(), seconds)
        except TimeoutError:
            return


# A pause of a blind client is shorter than the drain, in which an answer tells it that
# the connection ends; others have to look, as a server may close what is idle.
RAW: Final = (
    Habit("sockets, kept", 6, (0.0, 0.1), is_blind=True),
    Habit("sockets, idle for up to 2.5 s", 8, (0.1, 2.5), is_blind=True),
    Habit("sockets, idle for up to 12 s", 12, (1.0, 12.0)),
    Habit("sockets, new for each", 4, (0.0, 0.15), is_kept=False),
    Habit("sockets, slow uploads", 4, (0.0, 0.5), is_kept=False, is_slow=True),
    Habit("HTTP/1.0, new for each", 2, (0.0, 0.2), is_kept=False, version="1.0"),
    Habit("HTTP/1.0, kept", 2, (0.0, 1.0), version="1.0", is_blind=True),
)
HTTPX: Final = (
    Habit("httpx, kept", 3, (0.0, 0.2)),
    Habit("httpx, idle for up to 8 s", 6, (1.0, 8.0)),
    Habit("httpx, new for each", 2, (0.0, 0.3), is_kept=False),
)
PLAIN: Final = (
    Habit("http.client, kept", 2, (0.0, 0.2), is_blind=True),
    Habit("http.client, new for each", 1, (0.0, 0.3), is_kept=False),
)


async def ask_all(load: Load, phase: Callable[[int], str]) -> list[Record]:
    """Run all clients until the end.

    Args:
        load: What they share.
        phase: Says in which phase of its life the pod of a port is.

    Returns:
        What became of their requests, by kind.
    """
    records = []
    async with asyncio.TaskGroup() as group:
        for run, habits in ((_raw, RAW), (_httpx, HTTPX), (_plain, PLAIN)):
            for habit in habits:
                record = Record(habit.name, phase)
                records.append(record)
                for number in range(habit.clients):
                    group.create_task(run(load, habit, number, record))
    return records


async def _raw(load: Load, habit: Habit, number: int, record: Record) -> None:
    """Ask by sockets on this event loop."""
    draw = random.Random(number)
    connection: Connection | None = None
    is_usable, port = False, 0
    for task in load.turns(number):
        await load.rest(draw.uniform(*habit.pause))
        if load.stop.is_set():
            break
        start = perf_counter()
        try:
            if connection is None or not (is_usable and _seems_open(connection, habit)):
                port = load.endpoints.next()
                connection = await connect(port)
            answer = await _asked(connection, _message(task.request, habit), habit)
        except (OSError, Lost) as error:
            record.fail(port, _said(error))
            is_usable = False
            if connection:
                connection.close()
            await asyncio.sleep(_FAILURE_SECONDS)
            continue
        waited = _UPLOAD_SECONDS if habit.is_slow else 0.0
        seconds = perf_counter() - start - waited
        record.judge(port, answer.status, task.is_right(answer.body), seconds)
        is_usable = habit.is_kept and connection.is_open
        if not is_usable:
            connection.close()
    if connection:
        connection.close()


def _seems_open(connection: Connection, habit: Habit) -> bool:
    return habit.is_blind or connection.is_open


async def _asked(connection: Connection, message: bytes, habit: Habit) -> Answer:
    if habit.is_slow:
        half = len(message) // 2
        connection.send(message[:half])
        await asyncio.sleep(_UPLOAD_SECONDS)
        message = message[half:]
    return await connection.ask(message, _ANSWER_SECONDS)


def _message(request: Request, habit: Habit) -> bytes:
    """Write a request, and what it says of its connection where that is not plain."""
    wanted = _connection_header(habit)
    message = replace(request, headers=(*request.headers, *wanted)).message()
    return message.replace(b"HTTP/1.1", f"HTTP/{habit.version}".encode(), 1)


def _connection_header(habit: Habit) -> tuple[tuple[str, str], ...]:
    if habit.version == "1.0":
        return (("Connection", "keep-alive"),) if habit.is_kept else ()
    return () if habit.is_kept else (("Connection", "close"),)


async def _httpx(load: Load, habit: Habit, number: int, record: Record) -> None:
    """Ask by httpx, each time another pod, on connections that its pool keeps."""
    draw = random.Random(number)
    kept = httpx.Limits(
        max_keepalive_connections=None if habit.is_kept else 0, keepalive_expiry=None
    )
    async with httpx.AsyncClient(
        limits=kept, timeout=_ANSWER_SECONDS, verify=False, trust_env=False
    ) as client:
        for task in load.turns(number):
            await load.rest(draw.uniform(*habit.pause))
            if load.stop.is_set():
                break
            port, sent = 0, task.request
            start = perf_counter()
            try:
                port = load.endpoints.next()
                answer = await client.request(
                    sent.method,
                    f"http://127.0.0.1:{port}{sent.path}",
                    content=sent.body,
                    headers=sent.headers,
                )
            except (OSError, httpx.HTTPError) as error:
                record.fail(port, _said(error))
                await asyncio.sleep(_FAILURE_SECONDS)
                continue
            seconds = perf_counter() - start
            is_right = task.is_right(answer.content)
            record.judge(port, answer.status_code, is_right, seconds)


async def _plain(load: Load, habit: Habit, number: int, record: Record) -> None:
    """Ask by http.client, which blocks, and so on a thread of its own."""
    await asyncio.to_thread(_plain_loop, load, habit, number, record)


def _plain_loop(load: Load, habit: Habit, number: int, record: Record) -> None:
    draw = random.Random(number)
    connection: http.client.HTTPConnection | None = None
    port = 0
    for task in load.turns(number):
        sleep(draw.uniform(*habit.pause))
        if load.stop.is_set():
            break
        start = perf_counter()
        try:
            # It has no socket where the last answer has said that it will be closed.
            if connection is None or connection.sock is None:
                port = load.endpoints.next()
                connection = http.client.HTTPConnection(
                    "127.0.0.1", port, timeout=_ANSWER_SECONDS
                )
            sent = task.request
            headers = dict((*sent.headers, *_connection_header(habit)))
            connection.request(sent.method, sent.path, sent.body, headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            record.fail(port, _said(error))
            if connection:
                connection.close()
            sleep(_FAILURE_SECONDS)
            continue
        waited = _UPLOAD_SECONDS if habit.is_slow else 0.0
        seconds = perf_counter() - start - waited
        record.judge(port, answer.status, task.is_right(body), seconds)
    if connection:
        connection.close()


def _said(error: Exception) -> str:
    return f"{type(error).__name__} {str(error)[:100]}".rstrip()
