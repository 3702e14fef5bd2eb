"""The log: one line for each event, as text or as JSON, with the request's id.

What comes from outside reaches a line only where it cannot change what the line says:
an id is checked against a pattern, all else is escaped where it is put in.
"""

import logging
import sys
from typing import Literal

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.orjson import OrjsonFormatter

_TEXT = "%(asctime)s %(levelname)s [%(request_id)s] %(message)s"
_NO_REQUEST = {"request_id": "-"}


def configure_logs(log_format: Literal["text", "json"]) -> None:
    """Write the log of this process to standard error.

    Args:
        log_format: `text`, or `json` for an object a line, with the members `time`,
            `level`, `request_id`, `message` and, of an unexpected error, `exc_info`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter(_TEXT, defaults=_NO_REQUEST)
        if log_format == "text"
        else OrjsonFormatter(
            "%(asctime)s %(levelname)s %(request_id)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level"},
            reserved_attrs=[*RESERVED_ATTRS, "color_message"],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
