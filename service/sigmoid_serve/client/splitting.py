"""Inputs of any size, asked about in parts that the server takes."""

from collections.abc import Awaitable, Callable, Mapping
from math import inf
from typing import Any, Final, Generic, TypeVar

from sigmoid_serve.client.errors import InvalidInputError, moved
from sigmoid_serve.client.inputs import Body, Inputs
from sigmoid_serve.client.retrying import Call
from sigmoid_serve.client.wires import Wire

# Up to here, an input is sent at once, before anything is known of the server.
_FEW_NUMBERS: Final = 2**16
# The most numbers of a part, and bytes of its answer: with all their copies a few
# dozen megabytes. More of them are not answered sooner.
_MOST_NUMBERS: Final = 2**20
_MOST_ANSWER_BYTES: Final = 2**24
# So many parts are on their way at once: one is written while others are computed.
_AT_ONCE: Final = 2

Answer = TypeVar("Answer")
Limits = Mapping[str, Any]


class Splitting(Generic[Answer]):
    """Asks about inputs, in one part or in many.

    Args:
        inputs: What is asked about.
        wire: To the server.
        call: Whose time it takes.
        ask: Sends a body; returns the answer, and how many bytes it had.
        get_limits: Asks for the limits of the server, again where that is said.
    """

    def __init__(
        self,
        inputs: Inputs,
        wire: Wire,
        call: Call,
        ask: Callable[[Body], Awaitable[tuple[Answer, int]]],
        get_limits: Callable[[bool], Awaitable[Limits]],
    ) -> None:
        self._inputs = inputs
        self._wire = wire
        self._call = call
        self._ask = ask
        self._get_limits = get_limits
        self._most_bytes: float = inf
        self._most = max(1, inputs.parts)
        self._answer_bytes = 0

    async def all(self) -> list[Answer]:
        """Return the answers to all parts, in order, at least one.

        The first is small and asked alone: it says what comes back, and by whom.

        Raises:
            SigmoidServeError: Of the first part that has none.
        """
        rows, each = self._inputs.parts, max(1, self._inputs.numbers)
        if rows * each <= _FEW_NUMBERS or rows < 2:
            return await self._part(0, rows)
        self._heed(await self._get_limits(False))
        start = min(self._most, max(1, _FEW_NUMBERS // each))
        answers = await self._part(0, start)
        self._most = min(self._most, max(1, _MOST_NUMBERS // each))
        per_row = max(1, self._answer_bytes // start)
        self._most = min(self._most, max(1, _MOST_ANSWER_BYTES // per_row))
        while start < rows:
            some = range(start, rows, self._most)[:_AT_ONCE]
            work = [self._part(n, min(n + self._most, rows)) for n in some]
            for found in await self._wire.gather(work, self._call.stopped):
                answers += found
            start = min(some[-1] + some.step, rows)
        return answers

    async def _part(self, start: int, stop: int) -> list[Answer]:
        """Ask about a part; about shorter ones, where it is too long for the server."""
        size = stop - start
        body = self._inputs.body(start, stop)
        excess = len(body.content) / self._most_bytes
        if size < 2 or excess <= 1:
            try:
                answer, length = await self._ask(body)
            except InvalidInputError as error:
                if error.status != 413 or size < 2:
                    raise moved(error, start, stop, self._inputs.parts) from None
                self._heed(await self._get_limits(True))
            else:
                self._answer_bytes += length
                return [answer]
        del body
        self._most = step = max(1, min(self._most, int(size / max(2, excess))))
        answers = []
        for begin in range(start, stop, step):
            answers += await self._part(begin, min(begin + step, stop))
        return answers

    def _heed(self, limits: Limits) -> None:
        """Make parts no longer than the server takes."""
        self._most_bytes = limits.get("SIGMOID_MAX_BODY_BYTES", self._most_bytes)
        elements = limits.get("SIGMOID_MAX_ELEMENTS", inf)
        rows = limits.get("SIGMOID_MAX_ROWS", self._most)
        most = min(self._most, rows, elements // max(1, self._inputs.numbers))
        self._most = max(1, int(most))
