"""The web service around `sigmoid_models`: from the command line to the engine.

Packages, each of which imports only from those after it: `cli`, `process`,
`diagnostics`, `server`, `sockets`, `app`, `lifespan`, `http`, `inference`, `registry`,
`repository`, `monitoring`, `engine`, `admission`, `payload`, `json`, `configuration`,
`errors`, `interrupts`.
"""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sigmoid_serve.app import create_app

__all__ = ["create_app"]

# Networks are PyTorch's to compute. The threads of NumPy's pool would spin beside them,
# already when NumPy is imported; hence here, before anything imports it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """Import what is public when it is asked for: PyTorch takes seconds."""
    if name == "create_app":
        from sigmoid_serve.app import create_app  # noqa: PLC0415

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
