"""The probes of a container, asked and counted as the kubelet does it.

Source: https://kubernetes.io/docs/concepts/workloads/pods/probes/
"""

import asyncio
import math
from collections.abc import AsyncIterator
from time import monotonic
from typing import Final, NamedTuple

from benchmark.client import Request
from faulting.client import Lost, ask_once
from rolling.manifest import Probe

_HEADERS: Final = (
    ("User-Agent", "kube-probe/1.34"),
    ("Accept", "*/*"),
    ("Connection", "close"),
)


class Count(NamedTuple):
    """What the answers to a probe amount to.

    Attributes:
        verdict: Whether it is a success; none until a threshold is reached.
        last: Whether the last answer was a success.
        run: How many in a row were like the last.
    """

    verdict: bool | None = None
    last: bool | None = None
    run: int = 0


def count(before: Count, is_success: bool, probe: Probe) -> Count:
    """Count one answer more: only so many alike in a row change the verdict."""
    run = before.run + 1 if before.last is is_success else 1
    needed = probe.successes if is_success else probe.failures
    verdict = is_success if run >= needed else before.verdict
    return Count(verdict, is_success, run)


def next_tick(age: float, probe: Probe) -> float:
    """Find when a probe is asked next, if not at once.

    Args:
        age: Of the container, in seconds.
        probe: The period and the delay.

    Returns:
        The age at which it is asked.
    """
    first = math.ceil(probe.delay / probe.period)
    return max(first, age // probe.period + 1) * probe.period


async def answers(
    port: int, probe: Probe, began: float, *, is_at_once: bool
) -> AsyncIterator[bool]:
    """Ask again and again; tell each time whether it was a success.

    Args:
        port: Of 127.0.0.1.
        probe: What is asked, and when.
        began: When the container was started, on the clock of `monotonic`.
        is_at_once: Whether the first time need not wait for its tick.
    """
    age = monotonic() - began
    if is_at_once and age >= probe.delay:
        yield await is_answered(port, probe)
    while True:
        age = next_tick(max(age, monotonic() - began), probe)
        await asyncio.sleep(began + age - monotonic())
        yield await is_answered(port, probe)


async def is_answered(port: int, probe: Probe) -> bool:
    """Ask once, on a connection of its own; 200 to 399 in time is a success."""
    request = Request("GET", probe.path, headers=_HEADERS)
    try:
        async with asyncio.timeout(probe.timeout):
            answer = await ask_once(port, request)
    except (OSError, Lost):  # a timeout is an OSError
        return False
    return 200 <= answer.status < 400
