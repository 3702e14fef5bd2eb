"""Puts the application together."""

import os

# As in `sigmoid_serve.__main__`, for other ASGI servers: before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from fastapi import FastAPI

from sigmoid_serve.admission.limit import AdmissionLimit
from sigmoid_serve.configuration.settings import Settings, read_settings
from sigmoid_serve.engine.background import BackgroundExecutor
from sigmoid_serve.http import admin, error_handlers, health, routes
from sigmoid_serve.http.authentication import ApiKeys
from sigmoid_serve.http.context import Context
from sigmoid_serve.http.cors import Cors
from sigmoid_serve.http.middleware import RequestContext
from sigmoid_serve.http.pages import docs, playground
from sigmoid_serve.http.protocols.table import PROTOCOLS
from sigmoid_serve.inference.operations import OPERATIONS, OperationTable
from sigmoid_serve.lifespan import Lifespan
from sigmoid_serve.monitoring.metrics import new_memory
from sigmoid_serve.monitoring.telemetry import Telemetry
from sigmoid_serve.registry.assembly import log_device, make_parts
from sigmoid_serve.registry.loading import Loader, freeze
from sigmoid_serve.registry.local_models import LocalModels
from sigmoid_serve.registry.readiness import Readiness
from sigmoid_serve.registry.registry import ModelRegistry
from sigmoid_serve.registry.reloader import Reloader
from sigmoid_serve.registry.reloading import ReloadFunction, UnloadFunction
from sigmoid_serve.registry.startup import read_at_startup, within
from sigmoid_serve.repository.load_problems import LoadProblem
from sigmoid_serve.repository.model_repository import (
    CheckpointContent,
    ModelRepository,
    make_repository,
)

DESCRIPTION = """Serves trained sigmoid classifiers: logits, sigmoid probabilities and
labels of rows of features, and an exact elementwise sigmoid of tensors of any shape."""


class SingleProcess(NamedTuple):
    """What a process has that serves without a supervisor.

    Attributes:
        app: Answers requests, with models as soon as they are loaded.
        model_repository: Where the models are found.
        models: Those that are served.
        loader: Loads them.
        reloader: Changes them.
    """

    app: FastAPI
    model_repository: ModelRepository
    models: LocalModels
    loader: Loader
    reloader: Reloader

    @property
    def context(self) -> Context:
        """What the requests share."""
        context: Context = self.app.state.context
        return context

    def load(
        self, contents: list[CheckpointContent], problems: Sequence[LoadProblem]
    ) -> None:
        """Load the first models, within the time that they have.

        Raises:
            ServingError: What was named cannot be served, or nothing can, or not in
                time.
        """
        seconds = self.context.settings.load_seconds * max(1, len(contents))
        within(seconds, self.models.start, contents, problems)
        contents.clear()
        freeze()


def create_app(
    settings: Settings | None = None, checkpoints: Sequence[Path] = ()
) -> FastAPI:
    """Make the application that serves models, for any ASGI server.

    Without settings they are read from the environment, and the models are loaded in
    the lifespan of the application, which the server runs before it listens:
    `uvicorn --factory sigmoid_serve.app:create_app`. With settings the models are
    loaded at once.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.
        checkpoints: Files or folders in place of `settings.models`, as `PATH` or
            `NAME=PATH`; the first model of the first is the default.

    Raises:
        DeviceError: A device that was asked for is not there.
        KeysError: The file of keys cannot be used.
        ServingError: What was named cannot be served, or nothing can; where it is
            found out in the lifespan, that fails with this sentence.
        SettingsError: The environment has a setting that cannot be used.
    """
    single = make_single_process(settings or read_settings(), checkpoints)
    seconds = single.context.settings.load_seconds
    if settings is not None:
        single.models.start(*read_at_startup(single.model_repository, seconds))
        return single.app

    def load() -> None:
        log_device(single.context.settings, single.loader)
        single.load(*read_at_startup(single.model_repository, seconds))

    single.app.add_middleware(Lifespan, context=single.context, load=load)
    return single.app


def make_single_process(
    settings: Settings, checkpoints: Sequence[Path]
) -> SingleProcess:
    """Make what serves without a supervisor; nothing is loaded yet.

    Raises:
        DeviceError: A device that was asked for is not there.
        KeysError: The file of keys cannot be used.
    """
    telemetry, registry, loader, updater = make_parts(settings, new_memory(1), 0)
    models = LocalModels(registry, updater)
    model_repository = make_repository(
        checkpoints, settings.models, settings.max_checkpoint_bytes
    )
    reloader = Reloader(
        settings.load_seconds, model_repository, models, telemetry.metrics
    )
    app = make_app(
        settings, registry, telemetry, reload=reloader.reload, unload=reloader.unload
    )
    readiness = app.state.context.readiness
    reloader.is_shutting_down = lambda: readiness.is_draining
    return SingleProcess(app, model_repository, models, loader, reloader)


def make_app(
    settings: Settings,
    registry: ModelRegistry,
    telemetry: Telemetry,
    *,
    reload: ReloadFunction,
    unload: UnloadFunction,
) -> FastAPI:
    """Make the application that serves what is in a registry, now or later.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.
        registry: Of the models.
        telemetry: Counts.
        reload: Called where an admin asks for it.
        unload: The same.

    Raises:
        KeysError: The file of keys cannot be used.
    """
    context = _make_context(settings, registry, telemetry, reload, unload)
    app = FastAPI(
        title="sigmoid-serve",
        version=version("sigmoid-serve"),
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    app.include_router(routes.inference)
    app.include_router(routes.router)
    app.include_router(health.router)
    app.include_router(admin.router)
    for protocol in PROTOCOLS:
        for router in protocol.routers:
            app.include_router(router)
    docs.install(app)
    playground.install(app, is_shown=settings.page)
    error_handlers.install(app)
    app.add_middleware(RequestContext, context=context)
    if settings.cors_origins:
        app.add_middleware(Cors, context=context, origins=settings.cors_origins)
    return app


def _make_context(
    settings: Settings,
    registry: ModelRegistry,
    telemetry: Telemetry,
    reload: ReloadFunction,
    unload: UnloadFunction,
) -> Context:
    return Context(
        settings=settings,
        registry=registry,
        readiness=Readiness(registry),
        api_keys=ApiKeys(settings.api_keys_file),
        admission=AdmissionLimit(
            settings.max_queue_elements,
            settings.max_elements,
            settings.timeout_seconds,
        ),
        background=BackgroundExecutor(),
        telemetry=telemetry,
        reload=reload,
        unload=unload,
        protocols=PROTOCOLS,
        operations=OperationTable(
            [*OPERATIONS, *(each for some in PROTOCOLS for each in some.operations)]
        ),
        health_paths=health.HEALTH_PATHS.union(
            *(protocol.health_paths for protocol in PROTOCOLS)
        ),
    )
