"""A side of the comparison in this environment: `SIDE THREADS DEVICE MAX_ROWS`.

The side is `engine`, our own, or `plain`, the module as PyTorch calls it. What it is
asked comes line by line: see `benchmark.networks.turns`.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.networks.turns import Call, Prepare, rows_of, serve
from sigmoid_models.checkpoint import load_checkpoint
from sigmoid_models.intake.named import Named
from sigmoid_serve.engine.batching import parts_of
from sigmoid_serve.engine.device import use_one_thread
from sigmoid_serve.engine.engine import Engine


def engine_side(
    path: Path, device: torch.device, max_rows: int, threads: int
) -> Prepare:
    """Load a checkpoint into our engine, which takes rows of float64.

    As in the server, threads share a batch where the layers are large; else they divide
    the rows, unless these are too few to be worth it.
    """
    checkpoint = load_checkpoint(path, named=Named(activation=("sigmoid",)))
    engine = Engine(checkpoint, device, max_rows, threads=threads)
    torch.set_num_threads(engine.shared_by)
    pool = ThreadPoolExecutor(threads, initializer=use_one_thread)

    def prepare(count: int) -> Call:
        rows = rows_of(count, engine.features)
        number = parts_of(count * engine.macs_per_row, threads // engine.shared_by)
        if number == 1 or device.type != "cpu":
            return partial(engine.logits, rows)
        parts = np.array_split(rows, number)
        return lambda: np.concatenate(list(pool.map(engine.logits, parts)))

    return prepare


def plain_side(path: Path, device: torch.device) -> Prepare:
    """Load a checkpoint into its module, which takes rows of float32."""
    checkpoint = load_checkpoint(path, named=Named(activation=("sigmoid",)))
    network = checkpoint.network.eval().to(device)
    features = checkpoint.card.architecture.features

    def prepare(count: int) -> Call:
        rows = torch.from_numpy(rows_of(count, features)).float()
        return partial(_plain_logits, network, rows, device)

    return prepare


@torch.inference_mode()
def _plain_logits(
    network: nn.Module, rows: Tensor, device: torch.device
) -> NDArray[np.float32]:
    logits: NDArray[np.float32] = network(rows.to(device)).cpu().numpy()
    return logits


def main(side: str, threads: str, device_name: str, max_rows: str) -> None:
    """Load and compute what is asked."""
    torch.set_num_threads(int(threads))
    device = torch.device(device_name)
    if side == "engine":
        serve(
            partial(
                engine_side,
                device=device,
                max_rows=int(max_rows),
                threads=int(threads),
            )
        )
    else:
        serve(partial(plain_side, device=device))


if __name__ == "__main__":
    main(*sys.argv[1:])
