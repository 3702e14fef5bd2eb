"""Checkpoint files to the reader, and some that it takes to the engine."""

import faulthandler
import tempfile
import warnings
from collections.abc import Callable
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from fuzzing.bodies import one_thread
from fuzzing.campaign import Findings, Outcome, run_campaign
from fuzzing.files.drawing import draw_file, make_sources
from fuzzing.files.file import File
from fuzzing.files.malice import ran
from fuzzing.memory import MIB, peak_bytes
from sigmoid_models.checkpoint import (
    Checkpoint,
    CheckpointError,
    describe_checkpoint,
    load_checkpoint,
)
from sigmoid_serve.engine.engine import Engine

EXACT: Final = 1e-5
MESSAGE_CHARACTERS: Final = 10_000
PEAK_SHARE: Final = 3
LEAST_PEAK: Final = 64 * MIB
_BATCH_ROWS = 64

# What the interpreter takes for itself meanwhile.
_GRAIN = MIB


def fuzz_checkpoints(
    seed: int, indices: range, show: Callable[[int], None] = lambda done: None
) -> Findings:
    """Read files, each from the same path.

    Args:
        seed: Of what is drawn.
        indices: Of the files.
        show: Told now and then how many were read.
    """
    # Readers in C++ that crash would else end this process without a word.
    faulthandler.enable()
    sources = make_sources()
    with (
        one_thread(),
        tempfile.TemporaryDirectory() as folder,
        # PyTorch warns of each odd version that a damaged pickle claims.
        warnings.catch_warnings(action="ignore", category=UserWarning),
    ):
        return run_campaign(
            indices,
            lambda index: draw_file(seed, index, sources),
            lambda file: read_outcome(Path(folder), file),
            show,
        )


def read_outcome(folder: Path, file: File) -> Outcome:
    """Read a file: it loads, or is refused in one line; all else is a fault.

    So is more memory at a time than three times the file, or 64 MiB if that is more;
    other numbers than those of the network that it was made from; and code that runs.

    Args:
        folder: Where to write it.
        file: Of the campaign.
    """
    path = folder / f"model{file.suffix}"
    path.write_bytes(file.content)
    checkpoint = None
    # Code in it would leave its mark here.
    with chdir(folder), peak_bytes() as highest:
        try:
            checkpoint = load_checkpoint(path, named=file.named)
        except CheckpointError as error:
            fault = refusal_fault(str(error), file.is_good)
        peak = highest()
        if ran():
            return Outcome("ran", "it ran code", peak)
    if checkpoint is not None:
        fault = _loading_fault(checkpoint, file) or _description_fault(path, file)
    elif file.is_sampled:
        fault = fault or _description_fault(path, file)
    code = "CheckpointError" if checkpoint is None else "accepted"
    return Outcome(code, fault or peak_fault(peak, len(file.content)), peak)


def peak_fault(peak: int, size: int) -> str | None:
    """Say whether to read a file took too much memory at a time."""
    most = max(PEAK_SHARE * size, LEAST_PEAK) + _GRAIN
    if peak <= most:
        return None
    return f"it took {peak / MIB:.1f} MiB at a time, more than {most / MIB:.1f} MiB"


def refusal_fault(message: str, is_good: bool) -> str | None:
    """Say what is wrong with a refusal, if anything is."""
    if is_good:
        return f"a good file was refused: {message}"
    if len(message.splitlines()) != 1 or not message.isprintable():
        return f"the message is not one printable line: {message[:200]!r}"
    if len(message) > MESSAGE_CHARACTERS:
        return f"the message has {len(message)} characters"
    return None


def _loading_fault(checkpoint: Checkpoint, file: File) -> str | None:
    """Say what is wrong with a file that loads, if anything is."""
    source = checkpoint.card.activation_source
    if file.is_bad:
        return f"it loads, by the word of {source}"
    if source == "named by the user" and file.named.activation is None:
        return "nobody named its activation"
    if fault := _numbers_fault(checkpoint, file):
        return fault
    if not (file.is_sampled or file.is_good):
        return None
    engine = Engine(checkpoint, torch.device("cpu"), _BATCH_ROWS)
    # Damage to the golden rows is found by them; that is what they are for.
    found = engine.golden_fault()
    return found if file.is_good else None


def _numbers_fault(checkpoint: Checkpoint, file: File) -> str | None:
    """Compare it with the network that it was made from, where that is known."""
    if file.network is None:
        return None
    rows = torch.linspace(-2, 2, 12, dtype=torch.float64).reshape(3, 4)
    activation = checkpoint.card.activations
    with torch.inference_mode():
        want = file.network.logits(rows, replace(file.named, activation=activation))
        found = checkpoint.network(rows.float()).double()
    off = ((found - want).abs() / want.abs().clamp(min=1)).max().item()
    return None if off <= EXACT else f"its logits are off by {off:.1e}"


def _description_fault(path: Path, file: File) -> str | None:
    """Describe a file, as far as it goes; what is raised else is a fault."""
    try:
        describe_checkpoint(path, file.named)
    except CheckpointError as error:
        return refusal_fault(str(error), file.is_good)
    return None
