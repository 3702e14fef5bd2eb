"""The parts of a process that serves, whether alone or as one of several workers."""

import logging
from collections.abc import Sequence
from socket import socket
from typing import NamedTuple

import torch
from typing_extensions import Buffer

from sigmoid_serve.app import make_loader
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.engine.cpus import available_cpus, threads_per_worker
from sigmoid_serve.monitoring.logs import count_dropped_lines
from sigmoid_serve.monitoring.telemetry import Telemetry
from sigmoid_serve.registry.loading import Loader
from sigmoid_serve.registry.registry import ModelRegistry
from sigmoid_serve.registry.updating import ModelUpdater
from sigmoid_serve.server.server import Server

logger = logging.getLogger("sigmoid_serve")


class Parts(NamedTuple):
    """What a process needs to load models, before there is an application.

    Attributes:
        telemetry: Its metrics.
        registry: Its models.
        loader: Loads them onto its device.
        updater: Replaces them.
    """

    telemetry: Telemetry
    registry: ModelRegistry
    loader: Loader
    updater: ModelUpdater


def make_parts(settings: Settings, memory: Buffer, number: int) -> Parts:
    """Make the parts of one process.

    Args:
        settings: See `sigmoid_serve.configuration.settings`.
        memory: Of the metrics of all processes.
        number: Of this process among them.

    Raises:
        DeviceError: The device is not there.
    """
    telemetry = Telemetry(memory, number)
    count_dropped_lines(telemetry.metrics)
    registry = ModelRegistry()
    loader = make_loader(settings, telemetry)
    updater = ModelUpdater(registry, loader, telemetry)
    return Parts(telemetry, registry, loader, updater)


def log_device(settings: Settings, loader: Loader) -> None:
    """Log on which device, and with how many threads, the models compute."""
    logger.info("device: %s (setting: %s)", loader.device, settings.device)
    cpus = available_cpus()
    logger.info(
        "threads: %d (CPUs by affinity: %d, by quota: %s; workers: %d)",
        threads_per_worker(settings.threads, settings.workers, cpus),
        cpus.affinity,
        "no limit" if cpus.quota is None else f"{cpus.quota:g}",
        settings.workers,
    )


def run_server(server: Server, listeners: Sequence[socket]) -> None:
    """Serve on the listening sockets until the server is told to stop."""
    # Operations on tensors are shorter in this mode; no gradients are needed here.
    with torch.inference_mode():
        server.run(sockets=list(listeners))
