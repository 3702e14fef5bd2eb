"""What Ctrl-C does where nothing is to be kept: one line, and the end. And SIGTERM.

Only the standard library is imported: it may come before anything else is there.
"""

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

INTERRUPTED: Final = 130
"""The exit code of a command that was interrupted, 128 + SIGINT."""

STOPPED: Final = b"sigmoid-serve: stopped\n"

TERMINATED: Final = 143
"""The exit code that tells of SIGTERM, 128 + SIGTERM."""

_raised: Final[list[int]] = []


def end_on_interrupt() -> None:
    """Let Ctrl-C end this process at once, whatever it does."""
    _handle(_end)


def raise_on_interrupt() -> None:
    """Let Ctrl-C raise `KeyboardInterrupt`, so that commands can put things away."""
    _handle(_raise)


def was_interrupted() -> bool:
    """Tell whether Ctrl-C has raised `KeyboardInterrupt`, whatever became of that."""
    return bool(_raised)


def ignore_interrupts() -> None:
    """Let Ctrl-C do nothing any more."""
    _handle(signal.SIG_IGN)


def end_on_termination() -> None:
    """Let SIGTERM end this process as it ends any that does not care.

    To process 1, which it is in a container, the kernel brings only signals that it
    handles: else one that comes too early were lost, and the process would stay until
    it is killed.
    """
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(TERMINATED))


def _handle(
    handler: Callable[[int, FrameType | None], Any] | signal.Handlers,
) -> None:
    # A shell that starts a command in the background has it ignored.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)


def _raise(number: int, frame: FrameType | None) -> None:
    _raised.append(number)
    raise KeyboardInterrupt


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, STOPPED)
    os._exit(INTERRUPTED)
