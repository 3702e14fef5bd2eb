"""NVIDIA's PyTriton with the same model, and a sigmoid: `FILE CHECKPOINT PORT`.

After https://triton-inference-server.github.io/pytriton : Triton in front of functions
of this process, its batches and its threads as they are by default, HTTP alone.
"""

import os
import signal
import sys
import sysconfig
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from torch import nn

Floats = NDArray[np.float32]

# The default, 4 rows, is fewer than some requests have.
_MAX_ROWS = 4096


def load_network() -> nn.Sequential:
    """Load the tutorial's network of 10 features, 20 units and 2 classes."""
    network = nn.Sequential(nn.Linear(10, 20), nn.Sigmoid(), nn.Linear(20, 2))
    weights = torch.load(sys.argv[1])
    names = network.state_dict()
    network.load_state_dict(dict(zip(names, weights.values(), strict=True)))
    return network.eval()


@batch  # type: ignore[untyped-decorator]
def predict(inputs: Floats) -> list[Floats]:
    """Return logits and probabilities of the rows of a batch."""
    with torch.no_grad():
        logits = network(torch.from_numpy(inputs))
    return [logits.numpy(), logits.sigmoid().numpy()]


def sigmoid(requests: Sequence[Mapping[str, Floats]]) -> list[dict[str, Floats]]:
    """Return the sigmoid of every element."""
    return [
        {"outputs": torch.from_numpy(request["inputs"]).sigmoid().numpy()}
        for request in requests
    ]


def tensor(name: str, *shape: int) -> Tensor:
    """Describe a tensor; -1 stands for any size."""
    return Tensor(name=name, dtype=np.float32, shape=shape)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # Triton is stopped too
    # Triton's backend loads a library of Python, which must be that of its modules.
    os.environ["LD_LIBRARY_PATH"] = sysconfig.get_config_var("LIBDIR")
    network = load_network()
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=int(sys.argv[2]),
        allow_grpc=False,
        allow_metrics=False,
    )
    with Triton(config=config, workspace="triton") as triton:
        triton.bind(
            "sigmoid",
            sigmoid,
            inputs=[tensor("inputs", -1, -1)],
            outputs=[tensor("outputs", -1, -1)],
            config=ModelConfig(batching=False),
        )
        triton.bind(
            "model",
            predict,
            inputs=[tensor("inputs", 10)],
            outputs=[tensor("logits", 2), tensor("probabilities", 2)],
            config=ModelConfig(max_batch_size=_MAX_ROWS),
        )
        triton.serve()
