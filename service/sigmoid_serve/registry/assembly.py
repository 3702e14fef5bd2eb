"""The parts of a process that serves models, whichever server runs it."""

import logging
from typing import NamedTuple

from typing_extensions import Buffer

from sigmoid_models.intake.named import Named
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.engine.cpus import available_cpus, threads_per_worker
from sigmoid_serve.engine.device import resolve_device, use_one_thread
from sigmoid_serve.monitoring.telemetry import Telemetry
from sigmoid_serve.registry.loading import Loader
from sigmoid_serve.registry.registry import ModelRegistry
from sigmoid_serve.registry.updating import ModelUpdater

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
    registry = ModelRegistry()
    device = resolve_device(settings.device)
    threads = threads_of(settings)
    use_one_thread()
    named = Named(activation=settings.activation or None)
    loader = Loader(device, threads, settings.max_batch_rows, telemetry.on_batch, named)
    updater = ModelUpdater(registry, loader, telemetry)
    return Parts(telemetry, registry, loader, updater)


def threads_of(settings: Settings) -> int:
    """Return the number of compute threads of each worker."""
    return threads_per_worker(settings.threads, settings.workers, available_cpus())


def log_device(settings: Settings, loader: Loader) -> None:
    """Log on which device, and with how many threads, the models compute."""
    logger.info("device: %s (setting: %s)", loader.device, settings.device)
    cpus = available_cpus()
    logger.info(
        "threads: %d (CPUs by affinity: %d, by quota: %s; workers: %d)",
        threads_of(settings),
        cpus.affinity,
        "no limit" if cpus.quota is None else f"{cpus.quota:g}",
        settings.workers,
    )
