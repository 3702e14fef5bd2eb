"""The web service around `sigmoid_models`: from the command line to the engine.

Packages, each of which imports only from those after it: `cli`, `process`,
`diagnostics`, `ray`, `server`, `sockets`, `app`, `lifespan`, `http`, `inference`,
`registry`, `repository`, `monitoring`, `engine`, `admission`, `payload`, `json`,
`configuration`, `errors`, `interrupts`, `client`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sigmoid_serve.app import create_app
    from sigmoid_serve.client import (
        AsyncClient,
        AuthenticationError,
        Client,
        ConnectionFailedError,
        DeadlineExceededError,
        InvalidInputError,
        Model,
        NotFoundError,
        OverloadedError,
        Prediction,
        ServerError,
        SigmoidServeError,
        UnavailableError,
    )

__all__ = [
    "AsyncClient",
    "AuthenticationError",
    "Client",
    "ConnectionFailedError",
    "DeadlineExceededError",
    "InvalidInputError",
    "Model",
    "NotFoundError",
    "OverloadedError",
    "Prediction",
    "ServerError",
    "SigmoidServeError",
    "UnavailableError",
    "create_app",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import what is public when it is asked for: PyTorch takes seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place = "app" if name == "create_app" else "client"
    return getattr(import_module(f"{__name__}.{place}"), name)
