"""The process that serves, alone or as one of several workers."""

import atexit
import signal
from collections.abc import Sequence
from ctypes import Array, c_int
from pathlib import Path
from socket import socket
from threading import Thread

import torch

from sigmoid_serve.app import log_device, make_app, make_loader, make_single_process
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.monitoring.line_writer import exit_at_once
from sigmoid_serve.monitoring.logs import configure_logs, count_dropped_lines
from sigmoid_serve.monitoring.telemetry import Telemetry
from sigmoid_serve.process.heartbeat import Beats, begin_beating
from sigmoid_serve.process.link import WorkerLink
from sigmoid_serve.process.worker_channel import Control
from sigmoid_serve.registry.registry import Repository
from sigmoid_serve.registry.startup import first_look
from sigmoid_serve.registry.updating import Exchanger
from sigmoid_serve.server.server import Server
from sigmoid_serve.sockets.balance import Balance
from sigmoid_serve.sockets.listening import listen


def serve_alone(settings: Settings, checkpoints: Sequence[Path]) -> None:
    """Serve with this process, until it is told to end.

    Raises:
        DeviceError: The device is not there.
        KeysError: The file of keys cannot be used.
        ServingError: What was named cannot be served, or nothing can.
        SettingsError: It cannot listen.
    """
    single = make_single_process(settings, checkpoints)
    count_dropped_lines(single.context.telemetry.metrics)
    files, troubles = first_look(single.roots, settings.load_seconds)
    faults: list[Exception] = []

    def load() -> None:
        try:
            single.load(files, troubles)
        # Whatever it is, it is raised where the process ends.
        except Exception as error:
            faults.append(error)
        if faults:
            server.should_exit = True

    listeners = listen(settings)
    log_device(settings, single.loader)
    server = Server(single.app, single.reloader.reload_all, on_overdue=_end_at_once)
    Thread(target=load, daemon=True).start()
    _run(server, listeners)
    if faults:
        raise faults[0]
    # A thread may still load or wait for a disk, and nothing waits for it.
    atexit._run_exitfuncs()
    exit_at_once(0)


def serve_as_worker(
    settings: Settings,
    number: int,
    listeners: list[socket],
    memory: object,
    connections: "Array[c_int]",
    beats: Beats,
    end: socket,
    *,
    is_first: bool,
) -> None:
    """Serve with one of several processes; the target of a new process.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.
        number: Of the worker, from 0.
        listeners: That all workers share.
        memory: Of the metrics of all processes.
        connections: How many each worker has; see `sigmoid_serve.sockets.balance`.
        beats: Of all workers; see `sigmoid_serve.process.heartbeat`.
        end: Of the link to the process that supervises.
        is_first: Whether nobody serves yet; then it listens before it has loaded.
    """
    begin_beating(beats, number)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # As long as nothing was let in, nothing is lost.
    signal.signal(signal.SIGTERM, lambda *_: exit_at_once(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configure_logs(settings.log_format)
    control = Control(
        WorkerLink(end),
        is_first=is_first,
        shutdown_seconds=settings.shutdown_seconds,
    )
    try:
        telemetry = Telemetry(memory, number)  # type: ignore[arg-type]
        count_dropped_lines(telemetry.metrics)
        repository = Repository()
        loader = make_loader(settings, telemetry)
        exchanger = Exchanger(repository, loader, telemetry)
        app = make_app(settings, repository, telemetry, control.reload)
        balance = Balance(connections, number)
        server = Server(app, balance=balance, on_overdue=_end_at_once)
        log_device(settings, loader)
    except Exception as error:
        control.fail(error)
        exit_at_once(1)
    Thread(target=control.run, args=(exchanger, server), daemon=True).start()
    if not is_first:
        control.has_loaded.wait()
    _run(server, listeners)
    # A thread may still load, and nothing would wait for it in good order.
    exit_at_once(0)


def _run(server: Server, listeners: list[socket]) -> None:
    # Each operation on a tensor is shorter in this mode, and none here needs gradients.
    with torch.inference_mode():
        server.run(sockets=listeners)


def _end_at_once() -> None:
    exit_at_once(0)
