"""A service of one process, without a supervisor."""

import atexit
from collections.abc import Sequence
from concurrent.futures import TimeoutError as FuturesTimeout
from functools import partial
from pathlib import Path
from threading import Thread

from sigmoid_serve.app import make_app
from sigmoid_serve.configuration.settings import ServingError, Settings
from sigmoid_serve.monitoring.line_writer import exit_at_once
from sigmoid_serve.monitoring.metrics import new_memory
from sigmoid_serve.process.assembly import log_device, make_parts, run_server
from sigmoid_serve.registry.daemon_threads import DaemonThreads
from sigmoid_serve.registry.loading import freeze
from sigmoid_serve.registry.local_models import LocalModels
from sigmoid_serve.registry.reloader import Reloader
from sigmoid_serve.registry.startup import load_timeout, read_at_startup
from sigmoid_serve.repository.model_repository import make_repository
from sigmoid_serve.server.server import Server
from sigmoid_serve.sockets.listening import listen


def run_single_process(settings: Settings, checkpoints: Sequence[Path]) -> None:
    """Serve with this process until it is told to shut down.

    Raises:
        DeviceError: The device is not there.
        KeysError: The file of keys cannot be used.
        ServingError: What was named cannot be served, or nothing can.
        SettingsError: It cannot listen.
    """
    telemetry, registry, loader, updater = make_parts(settings, new_memory(1), 0)
    models = LocalModels(registry, updater)
    model_repository = make_repository(
        checkpoints, settings.models, settings.max_checkpoint_bytes
    )
    reloader = Reloader(
        settings.load_seconds, model_repository, models, telemetry.metrics
    )
    app = make_app(settings, registry, telemetry, reloader.reload)
    readiness = app.state.context.readiness
    reloader.is_shutting_down = lambda: readiness.is_draining
    contents, problems = read_at_startup(model_repository, settings.load_seconds)
    seconds = settings.load_seconds * max(1, len(contents))
    errors: list[Exception] = []

    def load() -> None:
        try:
            DaemonThreads().start(models.start, contents, problems).result(seconds)
            contents.clear()
            freeze()
        except FuturesTimeout:
            errors.append(ServingError(load_timeout(seconds)))
        # Whatever it is, it is raised when the server has stopped.
        except Exception as error:
            errors.append(error)
        if errors:
            server.should_exit = True

    listeners = listen(settings)
    log_device(settings, loader)
    exit_overdue = partial(exit_at_once, 0)
    server = Server(app, reloader.reload_all, on_overdue=exit_overdue)
    Thread(target=load, daemon=True).start()
    run_server(server, listeners)
    if errors:
        raise errors[0]
    # Other threads may still load or wait for a disk; they are not waited for.
    atexit._run_exitfuncs()
    exit_at_once(0)
