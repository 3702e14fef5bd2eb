"""Puts the application together."""

import logging
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from sigmoid_serve.admission.limit import Queue
from sigmoid_serve.configuration.settings import Settings, read_settings
from sigmoid_serve.engine.background import Worker
from sigmoid_serve.engine.cpus import available_cpus, threads_per_worker
from sigmoid_serve.engine.device import resolve_device, use_one_thread
from sigmoid_serve.http import docs, error_handlers, routes
from sigmoid_serve.http import health as operation
from sigmoid_serve.http.authentication import Keys
from sigmoid_serve.http.context import Context
from sigmoid_serve.http.lean import LeanFastAPI
from sigmoid_serve.http.lifespan import Lifespan
from sigmoid_serve.http.middleware import RequestContext
from sigmoid_serve.monitoring.metrics import new_memory
from sigmoid_serve.monitoring.telemetry import Telemetry
from sigmoid_serve.registry.loading import Loader, freeze
from sigmoid_serve.registry.own_models import OwnModels
from sigmoid_serve.registry.readiness import Readiness
from sigmoid_serve.registry.registry import Repository
from sigmoid_serve.registry.reloader import Reloader
from sigmoid_serve.registry.reloading import Reload
from sigmoid_serve.registry.startup import first_look, within
from sigmoid_serve.registry.updating import Exchanger
from sigmoid_serve.repository.sources import File, Roots, roots_of
from sigmoid_serve.repository.troubles import Trouble

logger = logging.getLogger("sigmoid_serve")

DESCRIPTION = """Serves trained sigmoid classifiers: logits, sigmoid probabilities and
labels of rows of features, and an exact elementwise sigmoid of tensors of any shape."""


class SingleProcess(NamedTuple):
    """What a process has that serves alone.

    Attributes:
        app: Answers requests, with models as soon as they are loaded.
        roots: Where models are looked for.
        models: What serves.
        loader: Loads them.
        reloader: Changes them.
    """

    app: LeanFastAPI
    roots: Roots
    models: OwnModels
    loader: Loader
    reloader: Reloader

    @property
    def context(self) -> Context:
        """What the requests share."""
        context: Context = self.app.state.context
        return context

    def load(self, files: list[File], troubles: Sequence[Trouble]) -> None:
        """Load the first models, within the time that they have.

        Raises:
            ServingError: What was named cannot be served, or nothing can, or not in
                time.
        """
        seconds = self.context.settings.load_seconds * max(1, len(files))
        within(seconds, self.models.start, files, troubles)
        files.clear()
        freeze()


def create_app(
    settings: Settings | None = None, checkpoints: Sequence[Path] = ()
) -> LeanFastAPI:
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
        single.models.start(*first_look(single.roots, seconds))
        return single.app

    def load() -> None:
        log_device(single.context.settings, single.loader)
        single.load(*first_look(single.roots, seconds))

    single.app.add_middleware(Lifespan, context=single.context, load=load)
    return single.app


def make_single_process(
    settings: Settings, checkpoints: Sequence[Path]
) -> SingleProcess:
    """Make what a process has that serves alone; nothing is loaded yet.

    Raises:
        DeviceError: A device that was asked for is not there.
        KeysError: The file of keys cannot be used.
    """
    telemetry = Telemetry(new_memory(1), 0)
    repository = Repository()
    loader = make_loader(settings, telemetry)
    exchanger = Exchanger(repository, loader, telemetry)
    roots = roots_of(checkpoints, settings.models, settings.max_checkpoint_bytes)
    models = OwnModels(repository, exchanger)
    reloader = Reloader(settings.load_seconds, roots, models, telemetry.metrics)
    app = make_app(settings, repository, telemetry, reloader.reload)
    readiness = app.state.context.readiness
    reloader.is_ending = lambda: readiness.is_draining
    return SingleProcess(app, roots, models, loader, reloader)


def make_loader(settings: Settings, telemetry: Telemetry) -> Loader:
    """Make what loads models onto the device of the settings.

    Raises:
        DeviceError: It is not there.
    """
    device = resolve_device(settings.device)
    threads = threads_per_worker(settings.threads, settings.workers, available_cpus())
    use_one_thread()
    return Loader(device, threads, settings.max_batch_rows, telemetry.on_batch)


def log_device(settings: Settings, loader: Loader) -> None:
    """Say where models compute, and with how many threads."""
    logger.info("device: %s (setting: %s)", loader.device, settings.device)
    cpus = available_cpus()
    logger.info(
        "threads: %d (CPUs by affinity: %d, by quota: %s; workers: %d)",
        threads_per_worker(settings.threads, settings.workers, cpus),
        cpus.affinity,
        "no limit" if cpus.quota is None else f"{cpus.quota:g}",
        settings.workers,
    )


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
    app.include_router(operation.router)
    docs.install(app)
    error_handlers.install(app)
    app.add_middleware(RequestContext, context=context)
    return app
