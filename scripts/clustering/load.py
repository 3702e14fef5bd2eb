"""Load on a cluster: each request is asked again until it is answered rightly."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from time import monotonic
from typing import Final

from benchmark.client import Request
from clustering import ClusterError
from faulting.client import Answer, Connection, Lost, connect

_ANSWER_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.05
_KEPT_WORDS: Final = 80

Judge = Callable[[Answer], str]


@dataclass(frozen=True)
class Question:
    """A request, and what its answer is.

    Attributes:
        request: What is asked.
        judge: Says which right answer it is, such as the version of the model; an
            empty text for none.
    """

    request: Request
    judge: Judge


@dataclass
class Record:
    """What became of the requests.

    Attributes:
        asked: How many, each counted once.
        right: Right answers, by which.
        wrong: Answers of status 200 that are not right.
        refused: Other answers and broken connections; each request was sent again.
        unanswered: Requests that had no answer after many tries.
        orders: When each right answer was asked for, and which it is.
    """

    asked: int = 0
    right: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    orders: list[tuple[float, str]] = field(default_factory=list)


async def under_load(
    port: int,
    questions: Sequence[Question],
    connections: int,
    act: Callable[[Record], Awaitable[None]],
) -> Record:
    """Ask on kept connections, each the next once the last is answered.

    Args:
        port: Of 127.0.0.1.
        questions: Asked in turn.
        connections: How many.
        act: What is done meanwhile; when it ends, the load does.

    Returns:
        What became of the requests.
    """
    record, stop = Record(), asyncio.Event()
    asking = [
        asyncio.create_task(
            _client(port, [*questions[n:], *questions[:n]], stop, record)
        )
        for n in (number % len(questions) for number in range(connections))
    ]
    try:
        await act(record)
    finally:
        stop.set()
        await asyncio.gather(*asking)
    return record


async def _client(
    port: int, questions: Sequence[Question], stop: asyncio.Event, record: Record
) -> None:
    asker = _Asker(port)
    try:
        for question in cycle(questions):
            if stop.is_set():
                return
            await _until_right(asker, question, record)
    finally:
        asker.close()


async def _until_right(asker: "_Asker", question: Question, record: Record) -> None:
    record.asked += 1
    end = monotonic() + _RETRY_SECONDS
    while monotonic() < end:
        sent = monotonic()
        try:
            answer = await asker.ask(question.request)
        except (Lost, OSError) as loss:
            record.refused[str(loss) or type(loss).__name__] += 1
        else:
            if answer.status == 200:
                which = question.judge(answer)
                record.wrong += not which
                record.right[which] += bool(which)
                record.orders.append((sent, which))
                return
            record.refused[said(answer)] += 1
        await asyncio.sleep(_PAUSE_SECONDS)
    record.unanswered += 1


def said(answer: Answer) -> str:
    """Say in a few words what an answer is that is no 200."""
    if answer.status == 429:
        given = answer.header("retry-after").isdigit()
        return f"429 {'with' if given else 'without'} Retry-After"
    text = " ".join(answer.body.decode(errors="replace").split())
    with suppress(ValueError, KeyError, TypeError):
        text = json.loads(answer.body)["code"]
    return f"{answer.status} {text[:_KEPT_WORDS]}"


class _Asker:
    """A client that keeps its connection while it can."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: Connection | None = None

    async def ask(self, request: Request) -> Answer:
        """Ask; see `Connection.ask`."""
        if self._connection is None or not self._connection.is_open:
            self.close()
            self._connection = await connect(self._port)
        answer = await self._connection.ask(request.message(), _ANSWER_SECONDS)
        # What Ray itself answers is chunked, which this connection does not read.
        if not answer.header("content-length"):
            self.close()
        return answer

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection:
            self._connection.close()
            self._connection = None


async def known(port: int, request: Request, which: str) -> Question:
    """Ask once, while nothing else is asked; that answer's bytes are the right ones.

    Raises:
        ClusterError: It is no 200.
    """
    asker = _Asker(port)
    try:
        answer = await asker.ask(request)
    finally:
        asker.close()
    if answer.status != 200:
        raise ClusterError(f"a quiet cluster answered {said(answer)}")
    return Question(request, lambda got: which if got.body == answer.body else "")


def either(questions: Sequence[Question]) -> Question:
    """Make the question that each of several right answers answers.

    Args:
        questions: Of the same request.
    """
    judges = [question.judge for question in questions]
    return Question(
        questions[0].request,
        lambda answer: next((w for judge in judges if (w := judge(answer))), ""),
    )
