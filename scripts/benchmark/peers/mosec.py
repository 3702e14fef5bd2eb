"""mosec with the same model: `FILE CHECKPOINT PORT [batches]`.

After https://mosecorg.github.io/mosec/ : the default of one request at a time, and
dynamic batches of up to 32 that wait for up to 10 ms.
"""

import os
import sys
from typing import Any

import torch
from mosec import Server, Worker
from torch import nn

# Its workers are new processes, which see the environment and not these arguments.
CHECKPOINT = "BENCHMARK_CHECKPOINT"


def load_network() -> nn.Sequential:
    """Load the tutorial's network of 10 features, 20 units and 2 classes."""
    network = nn.Sequential(nn.Linear(10, 20), nn.Sigmoid(), nn.Linear(20, 2))
    weights = torch.load(os.environ[CHECKPOINT])
    network.load_state_dict(
        dict(zip(network.state_dict(), weights.values(), strict=True))
    )
    return network.eval()


def infer(network: nn.Sequential, requests: list[Any]) -> list[dict[str, Any]]:
    """Answer requests in one batch; each has its own number of rows."""
    rows = [request["inputs"] for request in requests]
    with torch.no_grad():
        values = torch.tensor(
            [row for part in rows for row in part], dtype=torch.float32
        )
        logits = network(values)
    probabilities = torch.sigmoid(logits)
    sizes = [len(part) for part in rows]
    return [
        {"logits": some.tolist(), "probabilities": likely.tolist()}
        for some, likely in zip(
            torch.split(logits, sizes), torch.split(probabilities, sizes), strict=True
        )
    ]


class One(Worker):  # type: ignore[misc]
    """One request at a time: the default."""

    def __init__(self) -> None:
        super().__init__()
        self.network = load_network()

    def forward(self, data: Any) -> dict[str, Any]:
        """Answer one request."""
        return infer(self.network, [data])[0]


class Batches(Worker):  # type: ignore[misc]
    """Many requests at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.network = load_network()

    def forward(self, data: list[Any]) -> list[dict[str, Any]]:
        """Answer the requests of a batch."""
        return infer(self.network, data)


if __name__ == "__main__":
    os.environ[CHECKPOINT], port, *options = sys.argv[1:]
    sys.argv[1:] = ["--address", "127.0.0.1", "--port", port, "--log-level", "warning"]
    server = Server()
    if options == ["batches"]:
        server.append_worker(Batches, max_batch_size=32, max_wait_time=10)
    else:
        server.append_worker(One)
    server.run()
