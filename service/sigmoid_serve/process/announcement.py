"""The word that the service listens: said once, when it is known that it will serve.

A service that cannot load what was named ends without it. Where loading takes long the
address is told meanwhile, as the probes are answered there already.
"""

import logging
from collections.abc import Sequence
from socket import socket
from threading import Lock, Timer
from typing import Final

from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.interrupts import STOPPED
from sigmoid_serve.monitoring.line_writer import line_writer
from sigmoid_serve.monitoring.logs import end_of_start, is_for_terminal
from sigmoid_serve.process.greeting import MOST_LINES, Served, greeting
from sigmoid_serve.sockets.listening import addresses

LONG_SECONDS: Final = 5.0

logger = logging.getLogger("sigmoid_serve")


class Announcement:
    """Says where the service listens, in the log or on a terminal.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.
        listeners: The sockets on which it listens.
    """

    def __init__(self, settings: Settings, listeners: Sequence[socket]) -> None:
        self._settings = settings
        self._listeners = list(listeners)
        self._places = addresses(settings, listeners)
        self._is_made = False
        self._lock = Lock()

    def expect_models(self) -> None:
        """Tell the addresses if the models are still being loaded after some time."""
        timer = Timer(
            LONG_SECONDS, self._make, ("; the models are still being loaded",)
        )
        timer.daemon = True
        timer.start()

    def models_are_loaded(self, served: Served | None) -> None:
        """Tell the addresses, and on a terminal what is served, and how to ask it."""
        if served is None or not is_for_terminal(self._settings.log_format):
            self._make()
            return
        served = served._replace(notes=(*end_of_start(), *served.notes))
        with self._lock:
            told = len(self._places) if self._is_made else 0
            self._is_made = True
        left = MOST_LINES - told
        lines = greeting(self._settings, self._listeners, served, left)
        line_writer().write("".join(f"{line}\n" for line in lines).encode())

    def _make(self, remark: str = "") -> None:
        with self._lock:
            if self._is_made:
                return
            self._is_made = True
        is_quiet = remark and is_for_terminal(self._settings.log_format)
        for place in self._places:
            if is_quiet:
                line_writer().write(f"listening on {place}{remark}\n".encode())
            else:
                logger.info("listening on %s%s", place, remark)


def say_goodbye(settings: Settings) -> None:
    """Say on a terminal that the service has ended, as it was told to."""
    if is_for_terminal(settings.log_format):
        line_writer().write(STOPPED)
