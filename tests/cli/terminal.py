"""Commands in a real terminal, where someone presses Ctrl-C."""

import os
import pty
import re
import select
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from tests.running import COMMAND, TIMEOUT, environment


def in_terminal(
    arguments: Sequence[str | Path], folder: Path, presses: Sequence[str]
) -> tuple[int, str]:
    """Run a command in a terminal; press Ctrl-C each time that something is shown.

    Args:
        arguments: Of the command.
        folder: Where it runs.
        presses: Patterns of what is waited for, one after the other.

    Returns:
        The exit code, and all that the terminal showed.
    """
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        command = [*COMMAND, *map(str, arguments)]
        os.execve(command[0], command, environment())
    shown, waited = b"", 0
    left = list(presses)
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        if left and re.search(left[0].encode(), shown[waited:]):
            waited = len(shown)
            left.pop(0)
            os.write(terminal, b"\x03")
        if not select.select([terminal], [], [], 0.05)[0]:
            continue
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    else:  # it has not come to its end
        os.kill(process, signal.SIGKILL)
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert not left, shown.decode()
    return os.waitstatus_to_exitcode(status), shown.decode()
