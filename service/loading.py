"""Files to versions that are ready to serve: loaded, warm and checked."""

import gc
import logging
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from time import perf_counter

import torch

from models.checkpoint import load_checkpoint
from service.batching import Batcher
from service.device import DeviceThreads, use_one_thread
from service.engine import Engine
from service.repository import Version
from service.sources import File

logger = logging.getLogger("sigmoid_serve")


class Loader:
    """Loads models onto one device.

    Args:
        device: Where they compute.
        threads: That compute on a CPU; what is computed elsewhere is given one.
        max_batch_rows: Rows per batch.
        on_batch: Given a model and a version, makes the function that its batcher
            tells the rows of each batch.
    """

    def __init__(
        self,
        device: torch.device,
        threads: int,
        max_batch_rows: int,
        on_batch: Callable[[str, str], Callable[[int], None]],
    ) -> None:
        self.device = device
        self._max_batch_rows = max_batch_rows
        self._on_batch = on_batch
        self._threads = DeviceThreads.of(device, threads)

    def load(
        self, files: Iterable[File], served: Mapping[str, Mapping[str, Version]]
    ) -> list[Version]:
        """Load versions, and check each against its golden rows.

        Args:
            files: Of one model or more.
            served: What is there already; a version with the same bytes stays.

        Raises:
            CheckpointError: A file cannot be served.
        """
        use_one_thread()
        versions = []
        for file in files:
            name, number, _ = file.source
            there = served.get(name, {}).get(number)
            if there and there.sha256 == sha256(file.content).hexdigest():
                versions.append(there)
            else:
                versions.append(self._load(file))
        return versions

    def _load(self, file: File) -> Version:
        start = perf_counter()
        source = file.source
        checkpoint = load_checkpoint(source.path, file.content)
        # Its trial of batch sizes warms it up, too.
        engine = Engine(checkpoint, self.device, self._max_batch_rows)
        golden_error, fault = engine.golden_check()
        card = checkpoint.card
        logger.log(
            logging.ERROR if fault else logging.INFO,
            "model %s version %s: %s %s, %s parameters, %s, activation %s, %s",
            source.name,
            source.version,
            card.architecture.kind,
            "-".join(map(str, card.architecture.sizes)),
            f"{card.architecture.parameters:,}",
            card.task,
            card.activation,
            fault or "ready",
        )
        return Version(
            source.name,
            source.version,
            engine,
            Batcher(
                engine,
                self._threads,
                self._on_batch(source.name, source.version),
            ),
            checkpoint.sha256,
            fault,
            golden_error,
            perf_counter() - start,
        )


def freeze() -> None:
    """Spare the garbage collector what stays: to look through it again takes time."""
    gc.collect()
    gc.freeze()
