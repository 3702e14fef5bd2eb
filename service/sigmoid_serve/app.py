"""Puts the application together."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from sigmoid_serve.admission.limit import Queue
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.engine.background import Worker
from sigmoid_serve.engine.cpus import available_cpus, threads_per_worker
from sigmoid_serve.engine.device import resolve_device, use_one_thread
from sigmoid_serve.http import admin, docs, error_handlers, health, routes
from sigmoid_serve.http.authentication import Keys
from sigmoid_serve.http.context import Context
from sigmoid_serve.http.lean import LeanFastAPI
from sigmoid_serve.http.middleware import RequestContext
from sigmoid_serve.monitoring.metrics import new_memory
from sigmoid_serve.monitoring.telemetry import Telemetry
from sigmoid_serve.registry.loading import Loader
from sigmoid_serve.registry.own_models import OwnModels
from sigmoid_serve.registry.readiness import Readiness
from sigmoid_serve.registry.registry import Repository
from sigmoid_serve.registry.reloader import Reloader
from sigmoid_serve.registry.reloading import Reload
from sigmoid_serve.registry.startup import first_look
from sigmoid_serve.registry.updating import Exchanger
from sigmoid_serve.repository.sources import roots_of

DESCRIPTION = """Serves trained sigmoid classifiers: logits, sigmoid probabilities and
labels of rows of features, and an exact elementwise sigmoid of tensors of any shape."""


def create_app(settings: Settings, checkpoints: Sequence[Path] = ()) -> LeanFastAPI:
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
    repository = Repository()
    loader = make_loader(settings, telemetry)
    exchanger = Exchanger(repository, loader, telemetry)
    roots = roots_of(checkpoints, settings.models, settings.max_checkpoint_bytes)
    models = OwnModels(repository, exchanger)
    models.start(*first_look(roots, settings.load_seconds))
    reloader = Reloader(settings.load_seconds, roots, models, telemetry.metrics)
    return make_app(settings, repository, telemetry, reloader.reload)


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
    settings: Settings, repository: Repository, telemetry: Telemetry, reload: Reload
) -> LeanFastAPI:
    """Make the application that serves what is in a repository, now or later.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.
        repository: Of the models.
        telemetry: Counts.
        reload: Called where an admin asks for it.

    Raises:
        KeysError: The file of keys cannot be used.
    """
    context = Context(
        settings=settings,
        repository=repository,
        readiness=Readiness(repository),
        keys=Keys(settings.api_keys_file),
        queue=Queue(
            settings.max_queue_elements,
            settings.max_elements,
            settings.timeout_seconds,
        ),
        worker=Worker(),
        telemetry=telemetry,
        reload=reload,
    )
    app = LeanFastAPI(
        context,
        title="sigmoid-serve",
        version=version("sigmoid-serve"),
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    app.include_lean_router(routes.inference_router(context))
    app.include_router(routes.router)
    app.include_router(health.router)
    app.include_router(admin.router)
    docs.install(app)
    error_handlers.install(app)
    app.add_middleware(RequestContext, context=context)
    return app
