"""Tries very many inputs, one after another, and counts what becomes of them."""

import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from types import FrameType
from typing import Final, NamedTuple, Protocol, TypeVar

from fuzzing.memory import Sample, settled_bytes

HANG_SECONDS: Final = 10.0
KEPT_FAULTS: Final = 20

_SAMPLES = 200


class Hang(BaseException):
    """An attempt takes too long; no handler of `Exception` may hide that."""


class Input(Protocol):
    """What is tried."""

    @property
    def kind(self) -> str:
        """Its row in the table."""

    @property
    def content(self) -> bytes:
        """What is kept of it, where it is worth a look."""

    def shown(self) -> str:
        """Describe it without its content."""


class Outcome(NamedTuple):
    """What became of an input.

    Attributes:
        code: `accepted`, or why it was refused.
        fault: What must not be, if anything is.
        peak: Bytes that it took at most beyond those before it, where that was looked
            at.
    """

    code: str
    fault: str | None
    peak: int = 0


@dataclass
class Count:
    """What became of the inputs of one kind."""

    codes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


@dataclass
class Findings:
    """What a campaign found.

    Attributes:
        counts: By kind.
        faults: In one line each; the first `KEPT_FAULTS`.
        faulty: How many inputs were at fault.
        samples: Of memory, in order.
        seconds: That all took.
        peak: Most bytes that one took beyond those before it.
        peak_of: The one.
    """

    counts: dict[str, Count] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    faulty: int = 0
    samples: list[Sample] = field(default_factory=list)
    seconds: float = 0.0
    peak: int = 0
    peak_of: str = ""


Tried = TypeVar("Tried", bound=Input)


def run_campaign(
    indices: range,
    draw: Callable[[int], Tried],
    attempt: Callable[[Tried], Outcome],
    show: Callable[[int], None] = lambda done: None,
) -> Findings:
    """Draw and try one input after another.

    A faulty input is written to a file that its line names. What takes longer than
    `HANG_SECONDS` ends the campaign.

    Args:
        indices: Of the inputs.
        draw: Makes the input of an index.
        attempt: Tries it; whatever it raises is a fault.
        show: Told now and then how many were tried.
    """
    findings = Findings()
    step = max(1, len(indices) // _SAMPLES)
    start = perf_counter()
    for done, index in enumerate(indices):
        if done % step == 0:
            findings.samples.append(Sample(done, settled_bytes()))
            show(done)
        tried = draw(index)
        began = perf_counter()
        outcome = _outcome(tried, attempt)
        count = findings.counts.setdefault(tried.kind, Count())
        count.seconds += perf_counter() - began
        count.codes[outcome.code] += 1
        if outcome.peak > findings.peak:
            findings.peak = outcome.peak
            findings.peak_of = f"{tried.shown()} ({tried.kind})"
        if outcome.fault:
            findings.faulty += 1
            if len(findings.faults) < KEPT_FAULTS:
                findings.faults.append(_line(index, tried, outcome.fault))
            if outcome.code == "hang":
                break
    findings.seconds = perf_counter() - start
    findings.samples.append(Sample(done + 1, settled_bytes()))
    show(len(indices))
    return findings


def _outcome(tried: Tried, attempt: Callable[[Tried], Outcome]) -> Outcome:
    try:
        with deadline(HANG_SECONDS):
            return attempt(tried)
    except Hang:
        return Outcome("hang", f"no outcome within {HANG_SECONDS:.0f} s")
    except Exception as error:
        return Outcome("raised", f"it raised {error!r}"[:500])


def _line(index: int, tried: Input, fault: str) -> str:
    with tempfile.NamedTemporaryFile(prefix=f"fuzz-{index}-", delete=False) as file:
        file.write(tried.content)
    return f"{index} ({tried.kind}): {fault}; {tried.shown()}; see {file.name}"


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise `Hang` in the main thread where the block takes longer."""
    before = signal.signal(signal.SIGALRM, _raise_hang)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _raise_hang(number: int, frame: FrameType | None) -> None:
    raise Hang
