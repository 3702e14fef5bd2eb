"""From checkpoint files to versions that are ready: loaded, warmed up, verified."""

import ctypes
import gc
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from time import perf_counter
from typing import Final, NamedTuple

import torch

from sigmoid_models.card import ModelCard
from sigmoid_models.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from sigmoid_models.gradients.depth import layer_depths, rows_of
from sigmoid_models.intake.named import NOTHING, Named
from sigmoid_serve.engine.batching import Batcher
from sigmoid_serve.engine.device import DeviceThreads, as_memory_error, use_one_thread
from sigmoid_serve.engine.engine import Engine
from sigmoid_serve.registry.registry import ModelVersion
from sigmoid_serve.repository.candidates import CheckpointFile
from sigmoid_serve.repository.load_problems import LoadProblem, load_problem
from sigmoid_serve.repository.model_repository import (
    CheckpointContent,
    problem_from_error,
)

_MOST_FUNCTIONS: Final = 4
_PROGRESS_SECONDS: Final = 3.0

logger = logging.getLogger("sigmoid_serve")


class LoadedVersions(NamedTuple):
    """The result of loading some files.

    Attributes:
        versions: That were loaded, in the order of the files.
        problems: Of the files that cannot be served.
    """

    versions: list[ModelVersion]
    problems: list[LoadProblem]


class Loader:
    """Loads models onto one device.

    Args:
        device: On which they compute.
        threads: Number of threads on a CPU; another device is fed by one.
        max_batch_rows: Rows per batch.
        on_batch: Given a model and a version, makes the function that its batcher
            calls with the number of rows of each batch.
        named: What the user says of files that do not say it.
    """

    def __init__(
        self,
        device: torch.device,
        threads: int,
        max_batch_rows: int,
        on_batch: Callable[[str, str], Callable[[int], None]],
        named: Named = NOTHING,
    ) -> None:
        self.device = device
        self._max_batch_rows = max_batch_rows
        self._on_batch = on_batch
        self._named = named
        self._threads = DeviceThreads.of(device, threads)

    def load(
        self,
        contents: Iterable[CheckpointContent],
        served: Mapping[str, Mapping[str, ModelVersion]],
    ) -> LoadedVersions:
        """Load versions, and verify each with its golden rows.

        Args:
            contents: Of the files of one model or more; what is loaded of them cannot
                be read any more.
            served: What serves already; a version with the same bytes is kept.
        """
        use_one_thread()
        versions, problems = [], []
        for content in contents:
            there = served.get(content.file.name, {}).get(content.file.version)
            if there and there.sha256 == content.sha256:
                versions.append(there)
                continue
            try:
                versions.append(self._load(content))
            # Whatever it is, such as no memory, the other files may be served.
            except Exception as error:
                problem = load_failure(content.file, error)
                problems.append(problem._replace(sha256=content.sha256))
        give_back_memory()
        return LoadedVersions(versions, problems)

    def _load(self, content: CheckpointContent) -> ModelVersion:
        start = perf_counter()
        file = content.file
        checkpoint = load_checkpoint(
            file.path,
            content.data,
            named=self._named,
            sha256=content.sha256,
            is_last_use=True,
        )
        card = checkpoint.card
        depths = layer_depths(checkpoint.network, card, rows_of(card))
        # Verifying the batch sizes also warms it up.
        engine = Engine(
            checkpoint,
            self.device,
            self._max_batch_rows,
            threads=self._threads.number,
            is_last_use=True,
            report=_Progress(file, start),
        )
        golden_error, fault = engine.golden_check()
        _log_loaded(file, checkpoint, fault)
        return ModelVersion(
            file.name,
            file.version,
            engine,
            Batcher(
                engine,
                self._threads,
                self._on_batch(file.name, file.version),
            ),
            checkpoint.sha256,
            fault,
            golden_error,
            perf_counter() - start,
            depths,
        )


class _Progress:
    """Logs what is done next, once loading a model takes long.

    Args:
        file: Of the model.
        start: When it began, as `perf_counter` has it.
    """

    def __init__(self, file: CheckpointFile, start: float) -> None:
        self._file = file
        self._start = start
        self._logged = start

    def __call__(self, step: str) -> None:
        now = perf_counter()
        if now - self._logged < _PROGRESS_SECONDS:
            return
        self._logged = now
        logger.info(
            "model %s version %s: loading for %.0f s, next: %s",
            self._file.name,
            self._file.version,
            now - self._start,
            step,
        )


def _log_loaded(
    file: CheckpointFile, checkpoint: Checkpoint, fault: str | None
) -> None:
    card = checkpoint.card
    logger.log(
        logging.ERROR if fault else logging.INFO,
        "model %s version %s: %s %s, %s parameters, %s%s, %s, %s",
        file.name,
        file.version,
        card.architecture.kind,
        "-".join(map(str, card.architecture.sizes)),
        f"{card.architecture.parameters:,}",
        card.task,
        " by the softmax" if card.link == "softmax" else "",
        _shown_activation(card),
        fault or "ready",
    )
    for note in checkpoint.notes:
        logger.info("model %s version %s: %s", file.name, file.version, note)
    if not fault and card.scaler is None:
        logger.warning(
            "model %s version %s: its card has no scaler, so its features must come as "
            "the network was trained on them; sigmoid-serve convert --scaler adds one",
            file.name,
            file.version,
        )


def _shown_activation(card: ModelCard) -> str:
    """Write the functions between the layers; of many, the first and the number."""
    names = list(card.activations)
    if not names:
        return "no activation"
    distinct = names[:1] if len(set(names)) == 1 else names
    more = len(distinct) - _MOST_FUNCTIONS
    shown = ", ".join(distinct[:_MOST_FUNCTIONS]) + (
        f" and {more} more" if more > 0 else ""
    )
    return f"activation {shown} ({card.activation_source})"


def load_failure(file: CheckpointFile, error: Exception) -> LoadProblem:
    """Describe a file that was not loaded, by the error that it caused."""
    if isinstance(error, CheckpointError):
        return problem_from_error(file, error)
    if as_memory_error(error):
        return problem_from_error(file, MemoryError())
    logger.error("unexpected error in loading %s", file.path, exc_info=error)
    finding = f"it cannot be loaded ({type(error).__name__})"
    return load_problem(*file[:3], finding, "the log has more")


def give_back_memory() -> None:
    """Return what the allocator has kept of the memory of what is gone."""
    # Only glibc has it: pieces of up to 32 MiB would stay with the process.
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def freeze() -> None:
    """Exempt all objects from garbage collection: the models stay, scans take time."""
    gc.collect()
    gc.freeze()
