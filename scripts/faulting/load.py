"""Load on a server: closed loops and an open loop, and the verdict on each answer."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from time import perf_counter

from benchmark.payloads import Task
from faulting.client import Answer, Connection, Lost, connect

ANSWER_SECONDS = 90.0
UNREACHABLE = "connection refused"
_RETRY_SECONDS = 0.02


@dataclass
class Tally:
    """What became of the requests that were offered.

    Attributes:
        offered: Requests, and attempts to connect for one.
        right: Answered as they should be.
        refused: Turned away, by the problem's code or `connection refused`.
        wrong: Any other answer, by what is wrong with it.
        lost: Connected and not answered, by how it ended.
        latest: Seconds that a request of an open loop left after it was due, at most.
        rate: Requests a second that an open loop really started.
    """

    offered: int = 0
    right: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    latest: float = 0.0
    rate: float = 0.0

    def judge(self, answer: Answer, task: Task) -> None:
        """Count an answer as what it is."""
        if answer.status == 200:
            if task.is_right(answer.body):
                self.right += 1
            else:
                self.wrong["200 with another body"] += 1
            return
        code = problem_code(answer)
        retry_after = answer.header("retry-after")
        if answer.status == 429 and not (retry_after.isdigit() and int(retry_after)):
            self.wrong[f"429 with Retry-After {retry_after!r}"] += 1
        elif answer.status in (429, 503):
            self.refused[code] += 1
        else:
            self.wrong[f"{answer.status} {code}"] += 1

    def __add__(self, other: "Tally") -> "Tally":
        """Count two loads together."""
        return Tally(
            self.offered + other.offered,
            self.right + other.right,
            self.refused + other.refused,
            self.wrong + other.wrong,
            self.lost + other.lost,
            max(self.latest, other.latest),
            max(self.rate, other.rate),
        )


def problem_code(answer: Answer) -> str:
    """Return the code of a problem document (RFC 9457), or `no problem document`."""
    try:
        return str(json.loads(answer.body)["code"])
    except (ValueError, KeyError, TypeError):
        return "no problem document"


async def ask(connection: Connection, task: Task, message: bytes, tally: Tally) -> None:
    """Ask on a connection, and count what becomes of it."""
    try:
        tally.judge(await connection.ask(message, ANSWER_SECONDS), task)
    except Lost as loss:
        tally.lost[str(loss)] += 1


async def closed_loop(
    port: int,
    tasks: Sequence[Task],
    connections: int,
    stop: asyncio.Event,
    tally: Tally,
    pause: float = 0.0,
) -> None:
    """Ask on some connections, each the next as soon as the last is answered.

    A connection that is closed, or about to be, is replaced by a new one.

    Args:
        port: Of the server.
        tasks: Asked in turn.
        connections: How many.
        stop: When to end.
        tally: Counts.
        pause: Seconds between an answer and the next request.
    """
    async with asyncio.TaskGroup() as group:
        for number in range(connections):
            turn = [*tasks[number % len(tasks) :], *tasks[: number % len(tasks)]]
            group.create_task(_client(port, turn, stop, tally, pause))


async def _client(
    port: int, tasks: Sequence[Task], stop: asyncio.Event, tally: Tally, pause: float
) -> None:
    connection: Connection | None = None
    messages = [(task, task.request.message()) for task in tasks]
    for task, message in cycle(messages):
        if stop.is_set():
            break
        tally.offered += 1
        if connection is None or not connection.is_open:
            if connection:
                connection.close()
            try:
                connection = await connect(port)
            except OSError:
                tally.refused[UNREACHABLE] += 1
                await asyncio.sleep(_RETRY_SECONDS)
                continue
        await ask(connection, task, message, tally)
        if pause:
            await asyncio.sleep(pause)
    if connection:
        connection.close()


async def open_loop(
    port: int,
    tasks: Sequence[Task],
    rate: float,
    seconds: float,
    tally: Tally,
    stop: asyncio.Event | None = None,
) -> None:
    """Ask at due times, each time on a new connection, whatever the server does.

    Args:
        port: Of the server.
        tasks: Asked in turn.
        rate: Requests a second.
        seconds: How long.
        tally: Counts.
        stop: When to end sooner.
    """
    messages = [(task, task.request.message()) for task in tasks]
    start = now = perf_counter()
    count = 0
    async with asyncio.TaskGroup() as group:
        for task, message in islice(cycle(messages), int(rate * seconds)):
            due = start + count / rate
            await asyncio.sleep(max(0.0, due - perf_counter()))
            if stop and stop.is_set():
                break
            now = perf_counter()
            tally.latest = max(tally.latest, now - due)
            group.create_task(_visitor(port, task, message, tally))
            count += 1
        tally.rate = count / max(now - start, 1e-9)


async def _visitor(port: int, task: Task, message: bytes, tally: Tally) -> None:
    tally.offered += 1
    try:
        connection = await connect(port)
    except OSError:
        tally.refused[UNREACHABLE] += 1
        return
    try:
        await ask(connection, task, message, tally)
    finally:
        connection.close()


async def capacity(
    port: int, tasks: Sequence[Task], connections: int, seconds: float
) -> float:
    """Measure how many requests a second are answered rightly in a closed loop."""
    tally, stop = Tally(), asyncio.Event()
    start = perf_counter()
    asyncio.get_running_loop().call_later(seconds, stop.set)
    await closed_loop(port, tasks, connections, stop, tally)
    return tally.right / (perf_counter() - start)
