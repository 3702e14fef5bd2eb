"""How uvicorn runs the application."""

from typing import Any

from fastapi import FastAPI

from service.connection import shortcut_protocol
from service.shortcut import Shortcut


def server_options(app: FastAPI) -> dict[str, Any]:
    """Return the options of `uvicorn.run` and `uvicorn.Config` for an application."""
    state = app.state
    shortcut = Shortcut(state.repository, state.settings, state.worker)
    return {
        "http": shortcut_protocol(shortcut),
        "log_config": None,
        "access_log": False,  # a line per request costs as much as answering it
        "proxy_headers": False,  # nothing here depends on who asked
        "server_header": False,
    }
