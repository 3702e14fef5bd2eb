"""The start and the end of an application that another server than ours runs."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from sigmoid_models.messages import UserError
from sigmoid_serve.configuration.environment import variable
from sigmoid_serve.configuration.limits import CONNECTION_LIMITS
from sigmoid_serve.configuration.settings import ignored_variables
from sigmoid_serve.engine.device import use_one_thread
from sigmoid_serve.http.context import Context
from sigmoid_serve.monitoring.logs import configure_own_logs, count_dropped_lines
from sigmoid_serve.registry.daemon_threads import DaemonThreads

# Where it listens anyone can see, so host and port are not named, nor is PORT.
_OF_OUR_SERVER: Final = {
    *CONNECTION_LIMITS,
    "drain_seconds",
    "header_seconds",
    "root_path",
    "shutdown_seconds",
    "tls_cert_file",
    "tls_client_ca_file",
    "tls_key_file",
    "uds",
}

logger = logging.getLogger("sigmoid_serve")


class Lifespan:
    """Loads the models when the server starts the application.

    Args:
        app: What is to start afterwards.
        context: Of the application.
        load: Loads the models, on any thread.
    """

    def __init__(
        self, app: ASGIApp, context: Context, load: Callable[[], None]
    ) -> None:
        self._app = app
        self._context = context
        self._load = load

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on requests; load before the rest of the application starts."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        configure_own_logs(self._context.settings.log_format)
        count_dropped_lines(self._context.telemetry.metrics)
        self._say_what_is_absent()
        use_one_thread()
        try:
            await asyncio.wrap_future(DaemonThreads().start(self._load))
        except Exception as error:
            if not isinstance(error, UserError):
                logger.critical("unexpected error", exc_info=error)
            await receive()  # it asks to start
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await self._app(scope, receive, send)
        self._context.readiness.is_draining = True

    def _say_what_is_absent(self) -> None:
        logger.info(
            "run by another server: what only `sigmoid-serve serve` has is absent: the "
            "fast path of short requests, limits of connections and of slow clients, "
            "the drain before the end, SIGHUP, reloads and metrics of all workers at "
            "once"
        )
        given = self._context.settings.model_fields_set & _OF_OUR_SERVER
        if given:
            names = ", ".join(variable(name) for name in sorted(given))
            logger.warning("settings without effect under this server: %s", names)
        for sentence in ignored_variables():
            logger.warning("%s", sentence)
