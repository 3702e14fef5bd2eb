"""How uvicorn runs the application, and how it ends."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable
from socket import socket
from time import monotonic, sleep
from types import FrameType
from typing import Any, Final

import torch
import uvicorn
from fastapi import FastAPI

from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.http.context import Context
from sigmoid_serve.server.busy_poll import BusyPoll
from sigmoid_serve.server.connection import Connection
from sigmoid_serve.server.fast_path import FastPath
from sigmoid_serve.server.short_request import Wiring
from sigmoid_serve.server.unread import Unread
from sigmoid_serve.sockets.acceptor import Acceptor
from sigmoid_serve.sockets.balance import Balance, new_counts
from sigmoid_serve.sockets.certificates import Certificates
from sigmoid_serve.sockets.connection_limits import (
    ConnectionLimits,
    ConnectionSlot,
    allowed_connections,
)

# Of uvicorn's ticks, ten a second, every so many are for the slow clients.
_TICKS_PER_LOOK: Final = 5

# A request that was on its way when listening ended has so long to arrive, twice; a
# handshake of TLS as well.
_LAST_SECONDS: Final = 0.2

# So long before its time is over, a process gives up what it has let in.
_SPARE_SECONDS: Final = 0.5

# While it ends, connections are looked at so often.
_END_LOOK_SECONDS: Final = 0.1

logger = logging.getLogger("sigmoid_serve")


def server_options(settings: Settings) -> dict[str, Any]:
    """Return the options of `uvicorn.Config`."""
    return {
        "http": Connection,
        "ws": "none",
        "log_config": None,
        "access_log": False,  # a line per request costs as much as answering it
        "proxy_headers": False,  # nothing here depends on who asked
        "server_header": False,
    }


class Server(uvicorn.Server):
    """Uvicorn's server, but for its end, and for clients that are slow.

    After SIGTERM it goes on for `drain_seconds`, in which `/readyz` says that it will
    end and each answer closes its connection; then it stops listening, and finishes
    what has arrived whole. SIGINT is the same without the delay. A second signal ends
    the process at once. All of it takes `shutdown_seconds` at most.

    Args:
        app: As `sigmoid_serve.app` makes it.
        on_hangup: Called at SIGHUP.
        balance: Of the workers that share the sockets, if several do.
        on_overdue: Called, on another thread, where the process is still there when
            its time is over.
        options: Of `uvicorn.Config`, beside those of `server_options`.

    Attributes:
        ends_alone: Whether other workers go on to listen on the same sockets.
        is_interrupted: Whether Ctrl-C has ended it.
    """

    def __init__(
        self,
        app: FastAPI,
        on_hangup: Callable[[], None] | None = None,
        balance: Balance | None = None,
        on_overdue: Callable[[], None] | None = None,
        **options: Any,
    ) -> None:
        self.ends_alone = self.is_interrupted = False
        self._balance = balance or Balance(new_counts(1), 0)
        self._context: Context = app.state.context
        settings = self._context.settings
        own = server_options(settings)
        super().__init__(uvicorn.Config(app, lifespan="off", **own, **options))
        most = allowed_connections(settings.max_connections)
        self._limits = ConnectionLimits(most, settings.max_connections_per_client)
        self._wiring = Wiring(
            self._context,
            FastPath(self._context),
            BusyPoll(),
            Unread(settings.max_answer_bytes),
            self._forget,
        )
        self._certificates = Certificates(settings)
        self._on_hangup = on_hangup
        self._on_overdue = on_overdue
        self._end = self._deadline = float("inf")
        self._acceptor: Acceptor | None = None

    def run(self, sockets: list[socket] | None = None) -> None:
        """Serve until told to shut down."""
        # Operations on tensors are shorter in this mode; no gradients are needed here.
        with torch.inference_mode():
            super().run(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; the second time, exit at once."""
        if self._context.readiness.is_draining:
            os._exit(128 + sig)
        self.is_interrupted = sig == signal.SIGINT
        self.drain(0 if sig == signal.SIGINT else self._context.settings.drain_seconds)

    def drain(self, seconds: float) -> None:
        """Say that this process will end, and end it after some seconds.

        They are cut short where no time would be left to finish anything.
        """
        self._context.readiness.is_draining = True
        now = monotonic()
        self._deadline = now + self._context.settings.shutdown_seconds
        self._end = min(now + seconds, self._deadline - 2 * _SPARE_SECONDS)
        if self._on_overdue:
            threading.Thread(target=self._wait_for_end, daemon=True).start()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Begin to listen."""
        loop = asyncio.get_running_loop()
        self.servers = []
        self._say_how_many()
        self._acceptor = Acceptor(
            sockets or (),
            self._make_protocol,
            self._certificates.context,
            self._context.settings.header_seconds,
            self._balance,
            self._limits,
        )
        is_main = threading.current_thread() is threading.main_thread()
        if self._on_hangup and is_main:
            loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Do what is to be done ten times a second."""
        if counter % _TICKS_PER_LOOK == 0:
            self._look_at_connections()
            self._context.update_gauges()
            await self._certificates.renew()
            if self._acceptor:
                self._acceptor.tls = self._certificates.context
        if monotonic() >= self._end:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Stop listening, and finish what has arrived whole, as far as time allows."""
        self._context.readiness.is_draining = True
        seconds = self._context.settings.shutdown_seconds
        deadline = min(self._deadline, monotonic() + seconds) - _SPARE_SECONDS
        self._balance.stop()
        if self._acceptor:
            if not self.ends_alone:
                self._acceptor.stop_new_connections()
            await asyncio.sleep(_LAST_SECONDS)
            self._acceptor.drain_backlog_and_close()
            await self._acceptor.wait_until_made(_LAST_SECONDS)
        await asyncio.sleep(_LAST_SECONDS)
        state = self.server_state
        while (state.connections or state.tasks) and monotonic() < deadline:
            self._look_at_connections(is_end=True)
            await asyncio.sleep(_END_LOOK_SECONDS)
        if state.connections or state.tasks:
            self._give_up()

    def _look_at_connections(self, *, is_end: bool = False) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            try:
                if is_end:
                    connection.shutdown()
                connection.close_if_timed_out(now)  # type: ignore[union-attr]
            # Whatever it is, it concerns this connection alone.
            except Exception as error:
                logger.error("unexpected error on a connection", exc_info=error)
                connection.transport.abort()

    def _give_up(self) -> None:
        """End what is left, as the time is over."""
        state = self.server_state
        logger.warning(
            "shutdown timed out after %g s (SIGMOID_SHUTDOWN_SECONDS), aborting %d "
            "requests on %d connections",
            self._context.settings.shutdown_seconds,
            len(state.tasks),
            len(state.connections),
        )
        for connection in list(state.connections):
            connection.transport.abort()
        for task in list(state.tasks):
            task.cancel()

    def _wait_for_end(self) -> None:
        sleep(max(0.0, self._deadline - monotonic()))
        assert self._on_overdue
        self._on_overdue()

    def _say_how_many(self) -> None:
        wanted = self._context.settings.max_connections
        if self._limits.max_connections < wanted:
            logger.warning(
                "connections limited to %d instead of %d (SIGMOID_MAX_CONNECTIONS) by "
                "the limit of open files; raise it (ulimit -n)",
                self._limits.max_connections,
                wanted,
            )

    def _forget(self, slot: ConnectionSlot) -> None:
        self._balance.closed()
        self._limits.release(slot)

    def _make_protocol(self, slot: ConnectionSlot) -> asyncio.Protocol:
        return Connection(
            self.config, self.server_state, self.lifespan.state, self._wiring, slot
        )
