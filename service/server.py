"""How uvicorn runs the application."""

from typing import Any

from service.connection import counting_protocol
from service.lean import LeanFastAPI


def server_options(app: LeanFastAPI) -> dict[str, Any]:
    """Return the options of `uvicorn.run` and `uvicorn.Config` for an application."""
    return {
        "http": counting_protocol(app.arrivals),
        "log_config": None,
        "access_log": False,  # a line per request costs as much as answering it
        "proxy_headers": False,  # nothing here depends on who asked
        "server_header": False,
    }
