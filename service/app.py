"""Puts the application together."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from service import docs, error_handlers, operation, routes
from service.context import Context
from service.cpus import available_cpus, threads_per_worker
from service.device import resolve_device, use_one_thread
from service.exchanging import Exchanger
from service.keys import Keys
from service.lean import LeanFastAPI
from service.loading import Loader
from service.metrics import new_memory
from service.middleware import RequestContext
from service.own_models import OwnModels
from service.queue import Queue
from service.readiness import Readiness
from service.reloader import Reloader
from service.reloading import Reload
from service.repository import Repository
from service.settings import Settings
from service.sources import roots_of
from service.starting import first_look
from service.telemetry import Telemetry
from service.worker import Worker

DESCRIPTION = """Serves trained sigmoid classifiers: logits, sigmoid probabilities and
labels of rows of features, and an exact elementwise sigmoid of tensors of any shape."""


def create_app(settings: Settings, checkpoints: Sequence[Path] = ()) -> LeanFastAPI:
    """Load the models, then make the application that serves them.

    Args:
        settings: See `service.settings`.
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
        settings: See `service.settings`.
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
    app.include_router(operation.router)
    docs.install(app)
    error_handlers.install(app)
    app.add_middleware(RequestContext, context=context)
    return app
