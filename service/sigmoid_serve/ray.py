"""The service as an application of Ray Serve: `serve run sigmoid_serve.ray:app`.

Ray starts, scales and replaces the replicas, and brings them the requests. Each replica
runs the application that `sigmoid-serve serve` runs, and batches its own requests. The
models are those of the deployment's user config; all else is set by the environment.
"""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn

# Before PyTorch is imported, as in `sigmoid_serve.cli.commands`.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ray import get_runtime_context, serve
from ray.serve.config import AutoscalingConfig, BackpressureConfig
from ray.serve.schema import LoggingConfig
from starlette.types import Message, Receive, Scope, Send

from sigmoid_models.messages import UserError
from sigmoid_serve.app import make_app
from sigmoid_serve.configuration.settings import (
    ServingError,
    SettingsError,
    read_settings,
)
from sigmoid_serve.engine.device import use_one_thread
from sigmoid_serve.errors import ServiceError
from sigmoid_serve.monitoring.logs import configure_own_logs
from sigmoid_serve.monitoring.metrics import new_memory
from sigmoid_serve.registry.assembly import log_device, make_parts
from sigmoid_serve.registry.daemon_threads import DaemonThreads, TooManyThreadsError
from sigmoid_serve.registry.loading import give_back_memory
from sigmoid_serve.registry.local_models import LocalModels
from sigmoid_serve.registry.startup import read_at_startup
from sigmoid_serve.repository.model_repository import make_repository

logger = logging.getLogger("sigmoid_serve")


class UserConfig(BaseModel):
    """What the `user_config` of the deployment may hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    models: Annotated[
        list[str],
        Field(
            description="Files or folders, as PATH or NAME=PATH, in place of "
            "SIGMOID_MODELS."
        ),
    ] = []
    activation: Annotated[
        str | None, Field(description="In place of SIGMOID_ACTIVATION.")
    ] = None
    revision: Annotated[
        str | int,
        Field(description="Once it is another one, all files are read again."),
    ] = ""


class Switch:
    """What answers the requests of a replica: an application after the other."""

    def __init__(self) -> None:
        self._app: FastAPI | None = None
        self._open: Counter[FastAPI] = Counter()

    @property
    def is_on(self) -> bool:
        """Whether there is an application."""
        return self._app is not None

    def turn_to(self, app: FastAPI) -> None:
        """Have an application answer what comes from now on.

        The one before ends what it began; then its models are freed.
        """
        old, self._app = self._app, app
        if old is not None:
            self._free(old)

    def note(self, *notes: str) -> None:
        """Have `/readyz` tell what else an operator must know."""
        if self._app is not None:
            self._app.state.context.readiness.notes = notes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request; Ray sends none before there are models."""
        app = self._app
        if scope["type"] == "lifespan":
            await _answer_lifespan(receive, send)
        elif app is not None:
            self._open[app] += 1
            try:
                await app(scope, receive, _as_ray_sends(send))
            finally:
                self._open[app] -= 1
                self._free(app)

    def _free(self, app: FastAPI) -> None:
        """Free the models of an application that answers nothing any more."""
        if app is self._app or self._open[app]:
            return
        del self._open[app]
        # It is in cycles: found late, and never by a collector that Ray has frozen.
        app.state.context.registry.models = {}
        with suppress(TooManyThreadsError, MemoryError):
            DaemonThreads().start(give_back_memory)  # it may take some time


class SigmoidServe:
    """A replica."""

    def __init__(self) -> None:
        self._switch = Switch()
        self._config: UserConfig | None = None

    def __serve_build_asgi_app__(self) -> Switch:
        """Give Ray what answers the requests."""
        return self._switch

    async def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """Serve what a user config says; until then, what the last one said.

        Ray calls it at the start, and when the user config has changed: on some
        replicas at a time. Where something serves, and the new one cannot be, it goes
        on serving; the log and `/readyz` say why. Ray would end a replica that raises
        here, and the one in its place could not start.

        Args:
            user_config: See `UserConfig`.

        Raises:
            UserError: In one sentence, what cannot be served, and why; at the start.
        """
        try:
            await self._serve(_read_user_config(user_config))
            self._switch.note()
        except Exception as error:
            if not self._switch.is_on:
                raise
            told = error if isinstance(error, UserError) else repr(error)
            note = f"the new user_config is not served, the last one goes on: {told}"
            logger.error("%s", note)
            self._switch.note(note)

    async def _serve(self, config: UserConfig) -> None:
        # Ray calls for other changes too, such as of a replica's rank.
        if config != self._config:
            use_one_thread()
            load = DaemonThreads().start(_make_application, config)
            self._switch.turn_to(await asyncio.wrap_future(load))
            self._config = config

    def check_health(self) -> None:
        """Fail where there is nothing to serve.

        Raises:
            ServingError: There was no user config.
        """
        if self._config is None:
            raise ServingError(
                "user_config is null; expected a mapping, such as {} for the models "
                "of SIGMOID_MODELS"
            )


def _read_user_config(given: Mapping[str, Any]) -> UserConfig:
    try:
        return UserConfig.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, ("user_config", *first["loc"])))
        known = ", ".join(UserConfig.model_fields)
        raise SettingsError(
            f"{place}: {first['msg'][:1].lower()}{first['msg'][1:]}, got "
            f"{str(first['input'])[:64]!r}; user_config may have {known}"
        ) from None


def _make_application(config: UserConfig) -> FastAPI:
    """Load the models of a user config.

    Raises:
        UserError: Something cannot be served.
    """
    settings = read_settings(activation=config.activation)
    if settings.threads is None:
        settings = settings.model_copy(update={"threads": _cpus_of_replica()})
    configure_own_logs(settings.log_format)
    telemetry, registry, loader, updater = make_parts(settings, new_memory(1), 0)
    models = LocalModels(registry, updater)
    repository = make_repository(
        [Path(each) for each in config.models],
        settings.models,
        settings.max_checkpoint_bytes,
    )
    application = make_app(
        settings, registry, telemetry, reload=_refuse_change, unload=_refuse_change
    )
    log_device(settings, loader)
    models.start(*read_at_startup(repository, settings.load_seconds))
    if faults := registry.faults():
        raise ServingError("; ".join(faults))
    return application


def _cpus_of_replica() -> int:
    """Say how many whole CPUs Ray counts for this replica, at least 1."""
    resources: Mapping[str, float] = get_runtime_context().get_assigned_resources()
    return max(1, int(resources.get("CPU", 1)))


async def _refuse_change(_: str) -> NoReturn:
    # It would change the models of one replica, and not of the others.
    raise ServiceError(
        "route_not_found",
        "the models of a Ray Serve application are changed on all replicas by its "
        "user_config: put another models or revision there, and deploy it again",
    )


def _as_ray_sends(send: Send) -> Send:
    """Send what Ray can pass on to its proxy.

    Without the header that the proxy sets, to the same value; and no views of memory,
    which cannot be pickled.
    """

    async def send_to_proxy(message: Message) -> None:
        if message["type"] == "http.response.start":
            rest = [each for each in message["headers"] if each[0] != b"x-request-id"]
            message = {**message, "headers": rest}
        elif isinstance(message.get("body"), memoryview):
            message = {**message, "body": bytes(message["body"])}
        await send(message)

    return send_to_proxy


async def _answer_lifespan(receive: Receive, send: Send) -> None:
    # Models are loaded once Ray has told what they are.
    for step in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{step}.complete"})


app = serve.deployment(
    serve.ingress()(SigmoidServe),
    name="SigmoidServe",
    user_config={},
    max_ongoing_requests=64,
    max_queued_requests=1024,
    backpressure_config=BackpressureConfig(status_code=429, retry_after_s=1),
    autoscaling_config=AutoscalingConfig(
        min_replicas=1, max_replicas=8, target_ongoing_requests=16
    ),
    graceful_shutdown_timeout_s=30,
    # As ours is by default.
    logging_config=LoggingConfig(enable_access_log=False),
).bind()
"""What `serve run sigmoid_serve.ray:app` runs."""
