"""The log: one line for each event, as text or as JSON, with the request's id.

What comes from outside reaches a line only where it cannot change what the line says:
an id is checked against a pattern, all else is escaped where it is put in.
"""

import logging
import os
import sys
import threading
from time import gmtime
from typing import Final, Literal

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.orjson import OrjsonFormatter

from sigmoid_serve.monitoring.line_writer import line_writer
from sigmoid_serve.monitoring.metrics import Metrics

_TEXT = "%(asctime)s %(levelname)s [%(request_id)s] %(message)s"
_NO_REQUEST = {"request_id": "-"}
_STDERR: Final = 2

logger = logging.getLogger("sigmoid_serve")


class _Handler(logging.Handler):
    """Hands lines to the thread that writes them."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line_writer().write(self._line(record))
        except Exception:
            self.handleError(record)

    def dropped_lines(self, count: int) -> bytes:
        text = "lines dropped here, as they could not be written: %d"
        return self._line(
            logger.makeRecord(logger.name, logging.ERROR, "", 0, text, (count,), None)
        )

    def _line(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}\n".encode(errors="backslashreplace")


class _Start(logging.Filter):
    """Keeps a terminal free of what the start does; warnings are kept for its end."""

    def __init__(self) -> None:
        super().__init__()
        self.is_over = False
        self.warnings: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write a record now."""
        if record.levelno > logging.WARNING:
            return True
        if self.is_over:
            return record.name == logger.name or record.levelno == logging.WARNING
        if record.levelno == logging.WARNING:
            self.warnings.append(record.getMessage())
        return False


_start = _Start()


def is_for_terminal(log_format: Literal["text", "json"]) -> bool:
    """Whether a person reads the log: it is text, and goes to a terminal."""
    return log_format == "text" and os.isatty(_STDERR)


def end_of_start() -> tuple[str, ...]:
    """Let the log go on; return the warnings that a terminal has not seen so far."""
    warnings, _start.warnings = tuple(_start.warnings), []
    _start.is_over = True
    return warnings


def configure_logs(log_format: Literal["text", "json"]) -> None:
    """Write the log of this process to standard error; nobody waits until it is read.

    Warnings, and what ends a thread unexpectedly, are lines of the log as well.

    Args:
        log_format: `text`, or `json` for an object a line, with the members `time`,
            `level`, `request_id`, `message` and, of an unexpected error, `exc_info`.
    """
    handler = _new_handler(log_format)
    if is_for_terminal(log_format):
        handler.addFilter(_start)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    sys.excepthook = lambda kind, error, trace: _log_error(error)
    threading.excepthook = lambda args: _log_error(args.exc_value)


def configure_own_logs(log_format: Literal["text", "json"]) -> None:
    """Write the log as `configure_logs` does, in a process that is another program's.

    Its own loggers stay as they are; and where it has told where all logs go, or those
    of this package, that holds.

    Args:
        log_format: See `configure_logs`.
    """
    if not logger.hasHandlers():
        logger.addHandler(_new_handler(log_format))
        logger.setLevel(logging.INFO)


def count_dropped_lines(metrics: Metrics) -> None:
    """Count the lines of this process that were dropped."""
    counter = metrics.counter("sigmoid_log_lines_dropped_total")
    line_writer().count_dropped(counter.add)


def _new_handler(log_format: Literal["text", "json"]) -> logging.Handler:
    handler = _Handler()
    handler.setFormatter(_formatter(log_format))
    line_writer().dropped_lines = handler.dropped_lines
    return handler


def _formatter(log_format: Literal["text", "json"]) -> logging.Formatter:
    formatter = (
        logging.Formatter(_TEXT, defaults=_NO_REQUEST)
        if log_format == "text"
        else OrjsonFormatter(
            "%(asctime)s %(levelname)s %(request_id)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level"},
            reserved_attrs=[*RESERVED_ATTRS, "color_message"],
        )
    )
    # As RFC 3339 has it, in UTC.
    formatter.converter = gmtime
    formatter.default_time_format = "%Y-%m-%dT%H:%M:%S"
    formatter.default_msec_format = "%s.%03dZ"
    return formatter


def _log_error(error: BaseException | None) -> None:
    logger.critical("unexpected error", exc_info=error)
