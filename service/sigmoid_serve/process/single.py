"""A service of one process, without a supervisor."""

import atexit
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Thread

from sigmoid_serve.app import make_single_process
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.interrupts import INTERRUPTED, STOPPED
from sigmoid_serve.monitoring.line_writer import exit_at_once, line_writer
from sigmoid_serve.monitoring.logs import count_dropped_lines
from sigmoid_serve.process.announcement import (
    Announcement,
    describe_served,
    say_goodbye,
)
from sigmoid_serve.registry.assembly import log_device
from sigmoid_serve.registry.startup import read_at_startup
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
    single = make_single_process(settings, checkpoints)
    count_dropped_lines(single.context.telemetry.metrics)
    contents, problems = read_at_startup(single.model_repository, settings.load_seconds)
    errors: list[Exception] = []

    def load() -> None:
        announcement.expect_models()
        try:
            single.load(contents, problems)
            registry = single.context.registry
            announcement.models_are_loaded(describe_served(registry))
        # Whatever it is, it is raised when the server has stopped.
        except Exception as error:
            errors.append(error)
            server.should_exit = True

    listeners = listen(settings)
    announcement = Announcement(settings, listeners)
    log_device(settings, single.loader)
    exit_overdue = partial(exit_at_once, 0)
    server = Server(single.app, single.reloader.reload_all, on_overdue=exit_overdue)
    Thread(target=load, daemon=True).start()
    server.run(sockets=listeners)
    if errors:
        raise errors[0]
    if server.is_interrupted and not single.models.has_begun:
        line_writer().write(STOPPED)
        exit_at_once(INTERRUPTED)
    say_goodbye(settings)
    # Other threads may still load or wait for a disk; they are not waited for.
    atexit._run_exitfuncs()
    exit_at_once(0)
