"""Puts the application together."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI

from sigmoid_serve.admission.limit import AdmissionLimit
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.engine.background import BackgroundExecutor
from sigmoid_serve.engine.cpus import available_cpus, threads_per_worker
from sigmoid_serve.engine.device import resolve_device, use_one_thread
from sigmoid_serve.http import docs, error_handlers, health, routes
from sigmoid_serve.http.authentication import ApiKeys
from sigmoid_serve.http.context import Context
from sigmoid_serve.http.cors import Cors
from sigmoid_serve.http.middleware import RequestContext
from sigmoid_serve.monitoring.metrics import new_memory
from sigmoid_serve.monitoring.telemetry import Telemetry
from sigmoid_serve.registry.loading import Loader
from sigmoid_serve.registry.local_models import LocalModels
from sigmoid_serve.registry.readiness import Readiness
from sigmoid_serve.registry.registry import ModelRegistry
from sigmoid_serve.registry.reloader import Reloader
from sigmoid_serve.registry.reloading import ReloadFunction
from sigmoid_serve.registry.startup import read_at_startup
from sigmoid_serve.registry.updating import ModelUpdater
from sigmoid_serve.repository.model_repository import make_repository

DESCRIPTION = """Serves trained sigmoid classifiers: logits, sigmoid probabilities and
labels of rows of features, and an exact elementwise sigmoid of tensors of any shape."""


def create_app(settings: Settings, checkpoints: Sequence[Path] = ()) -> FastAPI:
    """Load the models, then make the application that serves them.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.
        checkpoints: Files or folders in place of `settings.models`, as `PATH` or
            `NAME=PATH`; the first model of the first is the default.

    Raises:
        DeviceError: A device that was asked for is not there.
        KeysError: The file of keys cannot be used.
        ServingError: What was named cannot be served, or nothing can.
    """
    telemetry = Telemetry(new_memory(1), 0)
    registry = ModelRegistry()
    loader = make_loader(settings, telemetry)
    updater = ModelUpdater(registry, loader, telemetry)
    model_repository = make_repository(
        checkpoints, settings.models, settings.max_checkpoint_bytes
    )
    models = LocalModels(registry, updater)
    models.start(*read_at_startup(model_repository, settings.load_seconds))
    reloader = Reloader(
        settings.load_seconds, model_repository, models, telemetry.metrics
    )
    return make_app(settings, registry, telemetry, reloader.reload)


def make_loader(settings: Settings, telemetry: Telemetry) -> Loader:
    """Make what loads models onto the device of the settings.

    Raises:
        DeviceError: It is not there.
    """
    device = resolve_device(settings.device)
    threads = threads_per_worker(settings.threads, settings.workers, available_cpus())
    use_one_thread()
    return Loader(device, threads, settings.max_batch_rows, telemetry.on_batch)


def make_app(
    settings: Settings,
    registry: ModelRegistry,
    telemetry: Telemetry,
    reload: ReloadFunction,
) -> FastAPI:
    """Make the application that serves what is in a registry, now or later.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.
        registry: Of the models.
        telemetry: Counts.
        reload: Called where an admin asks for it.

    Raises:
        KeysError: The file of keys cannot be used.
    """
    context = Context(
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
    )
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
    docs.install(app)
    error_handlers.install(app)
    app.add_middleware(RequestContext, context=context)
    if settings.cors_origins:
        app.add_middleware(Cors, context=context, origins=settings.cors_origins)
    return app
