"""The main function of a worker: one of several processes that serve."""

import signal
from ctypes import Array, c_int
from functools import partial
from socket import socket
from threading import Thread

from typing_extensions import Buffer

from sigmoid_serve.app import make_app
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.monitoring.line_writer import exit_at_once
from sigmoid_serve.monitoring.logs import configure_logs, count_dropped_lines
from sigmoid_serve.process.heartbeat import Heartbeats, start_heartbeat
from sigmoid_serve.process.link import WorkerLink
from sigmoid_serve.process.worker_channel import WorkerChannel
from sigmoid_serve.registry.assembly import log_device, make_parts
from sigmoid_serve.server.server import Server
from sigmoid_serve.sockets.balance import Balance


def worker_main(
    settings: Settings,
    number: int,
    listeners: list[socket],
    memory: Buffer,
    connections: "Array[c_int]",
    heartbeats: Heartbeats,
    end: socket,
    *,
    is_first: bool,
) -> None:
    """Serve as a worker; the target of a new process.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.
        number: Of the worker, from 0.
        listeners: That all workers share.
        memory: Of the metrics of all processes.
        connections: How many each worker has; see `sigmoid_serve.sockets.balance`.
        heartbeats: Of all workers; see `sigmoid_serve.process.heartbeat`.
        end: The worker's end of the link to the supervisor.
        is_first: Whether no worker serves yet; then it listens before it has loaded.
    """
    start_heartbeat(heartbeats, number)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Before any connection is accepted there is nothing to finish.
    signal.signal(signal.SIGTERM, lambda *_: exit_at_once(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configure_logs(settings.log_format)
    channel = WorkerChannel(
        WorkerLink(end),
        is_first=is_first,
        shutdown_seconds=settings.shutdown_seconds,
    )
    try:
        parts = make_parts(settings, memory, number)
        count_dropped_lines(parts.telemetry.metrics)
        app = make_app(
            settings,
            parts.registry,
            parts.telemetry,
            reload=channel.reload,
            unload=channel.unload,
        )
        balance = Balance(connections, number)
        exit_overdue = partial(exit_at_once, 0)
        server = Server(app, balance=balance, on_overdue=exit_overdue)
        log_device(settings, parts.loader)
    except Exception as error:
        channel.report_failure(error)
        exit_at_once(1)
    Thread(target=channel.run, args=(parts.updater, server), daemon=True).start()
    if not is_first:
        channel.has_loaded.wait()
    server.run(sockets=listeners)
    # Other threads may still load; they are not waited for.
    exit_at_once(0)
