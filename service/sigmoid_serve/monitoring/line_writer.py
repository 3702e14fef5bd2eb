"""Lines to standard error, for which nobody waits.

Whoever reads them may stop reading without ending, and a full pipe keeps a writer for
as long. So all lines of a process go through one queue to a thread that writes them.
Where the queue is full lines are dropped; how many is counted, and said in their place.

The thread writes to the descriptor itself. `sys.stderr` has a lock, and an interpreter
would be aborted whose thread holds it at the end.
"""

import atexit
import os
import select
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from queue import Empty, SimpleQueue
from threading import Event, RLock, Thread
from typing import Final

_STDERR: Final = 2

# So much is written as a whole where other processes write to the same pipe; pipe(7).
_AT_ONCE: Final = getattr(select, "PIPE_BUF", 512)

_MOST_BYTES: Final = 2**20

# From so much on the thread is let in at once, which else waits its turn to run.
_MANY_BYTES: Final = 2**14

# At the end of a process what is in the queue has so long to be written.
_LAST_SECONDS: Final = 1.0


def _dropped_lines(count: int) -> bytes:
    return f"lines dropped here, as they could not be written: {count}\n".encode()


class LineWriter:
    """Writes lines on a thread of its own; a process needs one.

    Attributes:
        dropped_lines: Makes the line that says how many were dropped.
    """

    def __init__(self) -> None:
        _hold_descriptor()
        self.dropped_lines: Callable[[int], bytes] = _dropped_lines
        self._queue: SimpleQueue[bytes | Event] = SimpleQueue()
        # A handler of signals may interrupt whoever has it, and write a line as well.
        self._lock = RLock()
        self._queued_bytes = 0
        self._is_full = False
        self._dropped = self._told = 0
        self._count: Callable[[float], None] = lambda _: None
        Thread(target=self._run, name="log", daemon=True).start()
        atexit.register(self.flush)

    def write(self, line: bytes) -> None:
        """Write a line some time, or count it as dropped."""
        with self._lock:
            self._is_full |= self._queued_bytes > _MOST_BYTES
            if self._is_full:
                self._drop(1)
            else:
                self._queued_bytes += len(line)
                self._queue.put(line)
        if self._queued_bytes > _MANY_BYTES:
            select.select((), (), (), 0)  # a call that lets others run, and is short

    def flush(self) -> None:
        """Wait until all is written, but for no longer than a second."""
        is_written = Event()
        self._queue.put(is_written)
        is_written.wait(_LAST_SECONDS)

    def count_dropped(self, count: Callable[[float], None]) -> None:
        """Have dropped lines counted from now on, and those that were dropped before.

        Args:
            count: Called with how many more there are.
        """
        with self._lock:
            self._count = count
            count(self._dropped)

    def _drop(self, lines: int) -> None:
        self._dropped += lines
        self._count(lines)

    def _run(self) -> None:
        item: bytes | Event | None = None
        while True:
            item = item or self._queue.get()
            if isinstance(item, Event):
                item.set()
                item = None
                continue
            lines = [item]
            item = self._gather(lines)
            self._write_lines(lines)

    def _gather(self, lines: list[bytes]) -> bytes | Event | None:
        """Take in more lines, as many as can be written as a whole; return the next."""
        size = len(lines[0])
        with suppress(Empty):
            while True:
                item = self._queue.get_nowait()
                if isinstance(item, Event) or size + len(item) > _AT_ONCE:
                    return item
                lines.append(item)
                size += len(item)
        return None

    def _write_lines(self, lines: list[bytes]) -> None:
        data = b"".join(lines)
        is_written = _write(data)
        with self._lock:
            self._queued_bytes -= len(data)
            if not is_written:
                self._drop(len(lines))
            if self._queued_bytes:
                return
            # What comes from now on comes after what was dropped.
            self._is_full = False
            dropped = self._dropped
        new = dropped - self._told
        if is_written and new and _write(self.dropped_lines(new)):
            self._told = dropped


@cache
def line_writer() -> LineWriter:
    """Return the writer of this process; its thread begins with the first call."""
    return LineWriter()


def exit_at_once(code: int) -> None:
    """End the process once its last lines are written, without any other ado."""
    line_writer().flush()
    os._exit(code)


def _write(data: bytes) -> bool:
    """Write all of it, however long that takes; return whether it could be written."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(_STDERR, rest) :]
        except BlockingIOError:  # whoever shares the descriptor does not want to wait
            select.select((), (_STDERR,), ())
        except OSError:  # the reader has gone, or the disk is full
            return False
    return True


def _hold_descriptor() -> None:
    """Open standard error where it is closed.

    Else the next file or connection would take its place, and lines would go there.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(opened)
