"""How uvicorn runs the application, and how it ends."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from math import ceil
from socket import socket
from time import monotonic
from types import FrameType
from typing import Any, Final

import uvicorn

from service.acceptor import Acceptor
from service.balance import Balance, new_counts
from service.certificates import Certificates
from service.connection import Connection, Wiring
from service.context import Context
from service.lean import LeanFastAPI
from service.lookout import Lookout
from service.settings import Settings
from service.shortcut import Shortcut

# Of uvicorn's ticks, ten a second, every so many are for the slow clients.
_TICKS_PER_LOOK: Final = 5

# A request that was on its way when listening ended has so long to arrive.
_LAST_SECONDS: Final = 0.2


def server_options(settings: Settings) -> dict[str, Any]:
    """Return the options of `uvicorn.Config`."""
    return {
        "http": Connection,
        "ws": "none",
        "log_config": None,
        "access_log": False,  # a line per request costs as much as answering it
        "proxy_headers": False,  # nothing here depends on who asked
        "server_header": False,
        "timeout_graceful_shutdown": ceil(
            settings.timeout_seconds + settings.body_seconds
        ),
    }


class Server(uvicorn.Server):
    """Uvicorn's server, but for its end, and for clients that are slow.

    After SIGTERM it goes on for `drain_seconds`, in which `/readyz` says that it will
    end and each answer closes its connection; then it stops listening, and finishes
    what it has let in. SIGINT is the same without the delay. A second signal ends the
    process at once.

    Args:
        app: As `service.app` makes it.
        on_hangup: Called at SIGHUP.
        balance: Of the workers that share the sockets, if several do.
        options: Of `uvicorn.Config`, beside those of `server_options`.
    """

    def __init__(
        self,
        app: LeanFastAPI,
        on_hangup: Callable[[], None] | None = None,
        balance: Balance | None = None,
        **options: Any,
    ) -> None:
        self._balance = balance or Balance(new_counts(1), 0)
        self._context: Context = app.state.context
        own = server_options(self._context.settings)
        super().__init__(uvicorn.Config(app, lifespan="off", **own, **options))
        self._wiring = Wiring(
            self._context,
            Shortcut(self._context),
            Lookout(),
            self._balance.closed,
        )
        self._certificates = Certificates(self._context.settings)
        self._on_hangup = on_hangup
        self._end = float("inf")
        self._acceptor: Acceptor | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; the second time, exit at once."""
        if self._context.readiness.is_draining:
            os._exit(128 + sig)
        self.drain(0 if sig == signal.SIGINT else self._context.settings.drain_seconds)

    def drain(self, seconds: float) -> None:
        """Say that this process will end, and end it after some seconds."""
        self._context.readiness.is_draining = True
        self._end = monotonic() + seconds

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        self.servers = []
        self._acceptor = Acceptor(
            sockets or (),
            self._make_protocol,
            self._certificates.context,
            self._context.settings.header_seconds,
            self._balance,
        )
        is_main = threading.current_thread() is threading.main_thread()
        if self._on_hangup and is_main:
            loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Do what is to be done ten times a second."""
        if counter % _TICKS_PER_LOOK == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                connection.cut_if_slow(now)  # type: ignore[union-attr]
            self._context.observe()
            await self._certificates.renew()
            if self._acceptor:
                self._acceptor.tls = self._certificates.context
        if monotonic() >= self._end:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Stop listening, and finish what was let in."""
        self._context.readiness.is_draining = True
        self._balance.stop()
        if self._acceptor:
            self._acceptor.refuse()
            await asyncio.sleep(_LAST_SECONDS)
            self._acceptor.close()
        await asyncio.sleep(_LAST_SECONDS)
        await super().shutdown(sockets)

    def _make_protocol(self) -> asyncio.Protocol:
        return Connection(
            self.config, self.server_state, self.lifespan.state, self._wiring
        )
