"""The model, the bodies, and what the answers must be."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import torch
from numpy.typing import NDArray
from torch import nn

from benchmark import BenchmarkError
from benchmark.client import JSON, NPY, Connection, Request
from sigmoid_models.classifier import Classifier, DeepClassifier

FEATURES, HIDDEN, CLASSES = 10, 20, 2
WIDE_FEATURES = 30
DEEP_UNITS = 64
_SEED = 0
_TOLERANCE = 1e-5

Floats = NDArray[np.float32]
Network = Classifier | DeepClassifier


@dataclass(frozen=True)
class Task:
    """A request, and the judge of its answer.

    Attributes:
        request: What is asked.
        is_right: Whether a body answers it rightly.
    """

    request: Request
    is_right: Callable[[bytes], bool]


def asked(connection: Connection, task: Task) -> bytes:
    """Ask once; return the answer's body.

    Raises:
        BenchmarkError: It is wrong.
    """
    connection.ask(task.request.message())
    body = connection.body()
    if not task.is_right(body):
        raise BenchmarkError(
            f"a server's answer to {task.request.path} is wrong: {body[:200]!r}"
        )
    return body


def classifier() -> Classifier:
    """Make the network that all servers serve."""
    torch.manual_seed(_SEED)
    return Classifier(FEATURES, HIDDEN, CLASSES)


def write_checkpoint(path: Path, network: nn.Module) -> Path:
    """Write a `state_dict` as the tutorial does; return the path."""
    torch.save(network.state_dict(), path)
    return path


def deep_classifier(depth: int) -> DeepClassifier:
    """Make a network of 64 units with that many hidden layers after the first."""
    torch.manual_seed(_SEED)
    return DeepClassifier(FEATURES, DEEP_UNITS, CLASSES, depth)


def wide_classifier() -> Classifier:
    """Make a network like `classifier()`, of 30 features."""
    torch.manual_seed(_SEED)
    return Classifier(WIDE_FEATURES, HIDDEN, CLASSES)


def large_classifier() -> DeepClassifier:
    """Make a network of 256 features and ten hidden layers of 1024 units."""
    torch.manual_seed(_SEED)
    return DeepClassifier(256, 1024, 10, 9)


def multiplications(depth: int, rows: int) -> int:
    """Count those of `deep_classifier(depth)` for some rows."""
    per_row = FEATURES * DEEP_UNITS + depth * DEEP_UNITS**2 + DEEP_UNITS * CLASSES
    return rows * per_row


def normal(*shape: int) -> Floats:
    """Draw seeded normal numbers and round them to float32."""
    values: Floats = np.random.default_rng(_SEED).normal(size=shape).astype(np.float32)
    return values


def logits_of(network: Network, values: Floats) -> Floats:
    """Compute what the answer's logits must be."""
    with torch.no_grad():
        logits: Floats = network(torch.from_numpy(values)).numpy()
    return logits


def json_request(path: str, values: Floats) -> Request:
    """Write `{"inputs": …}`, each number in the fewest digits that name its float32."""
    body = orjson.dumps({"inputs": values}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Request("POST", path, body, (("Content-Type", JSON),))


def predict_task(path: str, rows: int, network: Network | None = None) -> Task:
    """Ask for the logits of some rows of a network, `classifier()` by default."""
    network = network or classifier()
    values = normal(rows, network.fc1.in_features)
    logits = logits_of(network, values)
    return Task(
        json_request(path, values),
        lambda body: is_close(_from_json(body, "logits"), logits),
    )


def npy_predict_task(path: str, rows: int, network: Network) -> Task:
    """Ask for the logits of some rows of a network as `.npy`, in and out."""
    values = normal(rows, network.fc1.in_features)
    logits = logits_of(network, values)
    return Task(
        npy_request(f"{path}?output=logits", values),
        lambda body: is_close(np.load(io.BytesIO(body)), logits),
    )


def sigmoid_task(*shape: int) -> Task:
    """Ask for the sigmoid of an array as JSON."""
    values = normal(*shape)
    return Task(
        json_request("/sigmoid", values),
        lambda body: is_close(_from_json(body, "outputs"), exact_sigmoid(values)),
    )


def npy_sigmoid_task(*shape: int) -> Task:
    """Ask for the sigmoid of an array as `.npy`, in and out."""
    values = normal(*shape)
    return Task(
        npy_request("/sigmoid", values),
        lambda body: is_close(np.load(io.BytesIO(body)), exact_sigmoid(values)),
    )


def npy_request(path: str, values: Floats) -> Request:
    """Write an array as `.npy`, and ask for an answer as `.npy`."""
    file = io.BytesIO()
    np.save(file, values)
    headers = (("Content-Type", NPY), ("Accept", NPY))
    return Request("POST", path, file.getvalue(), headers)


def echo_task(task: Task) -> Task:
    """Ask the empty handler for the bytes of another task back."""
    sent = task.request
    echo = Request("POST", "/echo", sent.body, sent.headers)
    return Task(echo, lambda body: body == sent.body)


def empty_task(task: Task) -> Task:
    """Send the bytes of another task to the empty handler, which answers `{}`."""
    return Task(task.request, lambda body: body == b"{}")


def exact_sigmoid(values: Floats) -> Floats:
    """Compute the sigmoid in float64 and round it once."""
    exact = 1 / (1 + np.exp(-values.astype(np.float64)))
    rounded: Floats = exact.astype(np.float32)
    return rounded


def _from_json(body: bytes, name: str) -> Floats:
    return np.asarray(orjson.loads(body)[name], dtype=np.float32)


def is_close(got: Floats, wanted: Floats) -> bool:
    """Tell whether an array has the right shape and values, within 1e-5."""
    return got.shape == wanted.shape and np.allclose(
        got, wanted, rtol=_TOLERANCE, atol=_TOLERANCE
    )
