"""Files to versions that are ready to serve: loaded, warm and checked."""

import gc
import logging
from collections.abc import Callable, Iterable, Mapping
from time import perf_counter
from typing import NamedTuple

import torch

from sigmoid_models.checkpoint import load_checkpoint
from sigmoid_serve.engine.batching import Batcher
from sigmoid_serve.engine.device import DeviceThreads, use_one_thread
from sigmoid_serve.engine.engine import Engine
from sigmoid_serve.registry.registry import Version
from sigmoid_serve.repository.load_problems import Trouble
from sigmoid_serve.repository.model_repository import File, trouble_of

logger = logging.getLogger("sigmoid_serve")


class Loaded(NamedTuple):
    """What became of files.

    Attributes:
        versions: That were loaded, in the order of the files.
        troubles: Of the files that cannot be served.
    """

    versions: list[Version]
    troubles: list[Trouble]


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
    ) -> Loaded:
        """Load versions, and check each against its golden rows.

        Args:
            files: Of one model or more.
            served: What is there already; a version with the same bytes stays.
        """
        use_one_thread()
        versions, troubles = [], []
        for file in files:
            there = served.get(file.source.name, {}).get(file.source.version)
            if there and there.sha256 == file.sha256:
                versions.append(there)
                continue
            try:
                versions.append(self._load(file))
            # Whatever it is, such as no memory, the other files may be served.
            except Exception as error:
                found = trouble_of(file.source, error)
                troubles.append(found._replace(sha256=file.sha256))
        return Loaded(versions, troubles)

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
