"""One request until it is answered: tried again where that is safe, and may help."""

import random
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from itertools import count
from math import inf
from threading import Event
from time import monotonic
from typing import Final

from sigmoid_serve.client.errors import (
    ConnectionFailedError,
    DeadlineExceededError,
    SigmoidServeError,
    error_of,
)
from sigmoid_serve.client.wires import Reply, Request, Wire

# Every call computes and changes nothing, so each may be sent twice. Of problems with
# a code only these pass by themselves.
_PASSING: Final = {"queue_full", "not_ready", "draining", "too_many_connections"}
# The same of answers that are not the service's own, but of a proxy in front of it.
_PASSING_STATUSES: Final = {429, 502, 503, 504}

_FIRST_SECONDS: Final = 0.1
_MOST_SECONDS: Final = 2.0


class Call:
    """The time that one call has, whatever number of requests it takes.

    Args:
        timeout: In seconds; None for no end.

    Attributes:
        stopped: Set once nobody waits for its result any more.
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._end = inf if timeout is None else monotonic() + timeout
        self.stopped = Event()

    def left(self) -> float:
        """Return the seconds that are left, at least 0."""
        return 0.0 if self.stopped.is_set() else max(0.0, self._end - monotonic())

    def over(self, tries: int, last: SigmoidServeError | None) -> DeadlineExceededError:
        """Make the error of a call that has no time left.

        Args:
            tries: How often the request was sent.
            last: What the last of them came to, if anything came.
        """
        told = f"; the last thing to come was: {last.detail}" if last else ""
        times = "once" if tries == 1 else f"{tries} times"
        return DeadlineExceededError(
            f"no result within {self._timeout} s, having asked {times}{told}",
            code="deadline",
            status=last.status if last else None,
            hint="pass a longer timeout, or fewer rows",
            request_id=last.request_id if last else None,
        )


async def answered(wire: Wire, request: Request, call: Call, retries: int) -> Reply:
    """Send a request until it is answered.

    Args:
        wire: To the server.
        request: What is sent.
        call: Whose time it takes.
        retries: How often it is sent again at most.

    Raises:
        SigmoidServeError: What the last try came to.
    """
    last: SigmoidServeError | None = None
    for tries in count(1):
        if not call.left():
            raise call.over(tries - 1, last)
        pause = _pause(tries)
        try:
            reply = await wire.send(request, call.left())
        except TimeoutError:
            raise call.over(tries, last) from last
        except ConnectionFailedError as lost:
            last, passes = lost, not _is_distrust(lost)
        else:
            last = error_of(reply.status, reply.headers, reply.content)
            if last is None:
                return reply
            passes = _passes(last)
            asked = reply.headers.get("retry-after")
            pause = pause if asked is None else max(_seconds(asked), pause / 4)
        if not passes or tries > retries:
            raise last
        if pause >= call.left():
            raise call.over(tries, last) from last
        await wire.sleep(pause, call.stopped)
    raise AssertionError


def _passes(error: SigmoidServeError) -> bool:
    """Tell whether it may be different next time."""
    if error.code is None:
        return error.status in _PASSING_STATUSES
    return error.code in _PASSING


def _is_distrust(error: BaseException | None) -> bool:
    """Tell whether a certificate was refused, which no retry would change."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None


def _pause(tries: int) -> float:
    """Say how long to wait where the server does not.

    Not the same for all: clients that were refused together would come back together.
    And not near nothing: the retries are to outlast a restart.
    """
    longest = min(_MOST_SECONDS, _FIRST_SECONDS * 2.0 ** (tries - 1))
    return longest * random.uniform(0.5, 1)


def _seconds(retry_after: str) -> float:
    """Read `Retry-After`, seconds or a date (RFC 9110, section 10.2.3)."""
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    until: timedelta = date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)
    return until.total_seconds()
