"""Which servers there are, and their command lines."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmark import BenchmarkError
from benchmark.client import Request
from benchmark.open_inference.tasks import json_predict_task
from benchmark.payloads import Task, empty_task, predict_task
from benchmark.servers import Program
from benchmark.trees import INSTALLED, Tree

OURS, OTHER = "ours", "other"
MLSERVER, KSERVE, PYTRITON = "mlserver", "kserve", "pytriton"
TUTORIAL, TYPED, EMPTY = "tutorial", "tutorial, typed", "empty"
_PEERS = Path(__file__).parent / "peers"
# What the file of the tutorial does not say.
_BARE: Mapping[str, str] = {"SIGMOID_ACTIVATION": "sigmoid"}
# The limits of `ours`, raised.
UNLIMITED: Mapping[str, str] = {
    "SIGMOID_MAX_BODY_BYTES": str(2**30),
    "SIGMOID_MAX_ELEMENTS": str(2**30),
}


class Peer(NamedTuple):
    """A server of another maker.

    Attributes:
        package: Its name in `--peers` and among packages; of the script here too, with
            `_` for `-`.
        name: As the tables show it.
        predict: Makes the request that asks for the logits of some rows.
        options: Of the script.
    """

    package: str
    name: str
    predict: Callable[[int], Task]
    options: tuple[str, ...] = ()


def _mosec(rows: int) -> Task:
    return predict_task("/inference", rows)


def _native(rows: int) -> Task:
    return predict_task("/predict", rows)


PEERS = (
    Peer("mosec", "mosec", _mosec),
    Peer("mosec", "mosec, batches", _mosec, ("batches",)),
    Peer("litserve", "litserve", _native),
    Peer("mlserver", MLSERVER, json_predict_task),
    Peer("kserve", KSERVE, json_predict_task),
    Peer("nvidia-pytriton", PYTRITON, json_predict_task),
)


def ours(
    checkpoints: Sequence[Path], tree: Tree = INSTALLED, name: str = OURS
) -> Program:
    """Serve checkpoints, the first by default, with the packages of a tree."""
    command = [sys.executable, "-m", tree.module, "serve", *map(str, checkpoints)]
    return Program(
        name,
        lambda port: [*command, "--port", str(port)],
        Request("GET", "/readyz"),
        _native,
        {**tree.environment, **_BARE},
    )


def references(checkpoint: Path) -> list[Program]:
    """List the tutorial's script in both forms, and the empty handler."""
    page, alive = Request("GET", "/docs"), Request("GET", "/livez")
    tutorial = _script("tutorial", checkpoint)
    typed = _script("tutorial", checkpoint, options=("typed",))
    empty = _script("empty", checkpoint)
    return [
        Program(TUTORIAL, tutorial, page, _native),
        Program(TYPED, typed, page, _native),
        Program(EMPTY, empty, alive, lambda rows: empty_task(_native(rows))),
    ]


def peers(checkpoint: Path, pythons: Mapping[str, str]) -> list[Program]:
    """List the servers of other makers.

    Args:
        checkpoint: The model of all.
        pythons: By package, the interpreter of the environment that has it.

    Raises:
        BenchmarkError: An interpreter is not there.
    """
    for package, python in pythons.items():
        if not Path(python).is_file():
            raise BenchmarkError(f"--peer-python {package}: there is no {python}")
    return [
        Program(
            peer.name,
            _script(peer.package, checkpoint, pythons[peer.package], peer.options),
            peer.predict(1).request,
            peer.predict,
        )
        for peer in PEERS
        if peer.package in pythons
    ]


def _script(
    file: str,
    checkpoint: Path,
    python: str = sys.executable,
    options: tuple[str, ...] = (),
) -> Callable[[int], list[str]]:
    # -P, lest `import mosec` find the script of that name beside it.
    path = _PEERS / f"{file.replace('-', '_')}.py"
    script = [python, "-P", str(path), str(checkpoint)]
    return lambda port: [*script, str(port), *options]
