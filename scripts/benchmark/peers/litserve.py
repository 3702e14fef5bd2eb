"""LitServe with the same model: `FILE CHECKPOINT PORT`.

After https://lightning.ai/docs/litserve : one worker, one request at a time.
"""

import sys
from typing import Any

import torch
from litserve import LitAPI, LitServer
from torch import nn


class Api(LitAPI):  # type: ignore[misc]
    """The tutorial's network behind `POST /predict`."""

    def setup(self, device: str) -> None:
        """Load the network of 10 features, 20 units and 2 classes."""
        network = nn.Sequential(nn.Linear(10, 20), nn.Sigmoid(), nn.Linear(20, 2))
        weights = torch.load(sys.argv[1])
        names = network.state_dict()
        network.load_state_dict(dict(zip(names, weights.values(), strict=True)))
        self.network = network.eval().to(device)

    # LitServe would take an annotation for the schema of the body.
    def decode_request(self, request):  # type: ignore[no-untyped-def]
        """Take the rows out of the body."""
        return torch.tensor(request["inputs"], dtype=torch.float32)

    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """Compute logits."""
        with torch.no_grad():
            logits: torch.Tensor = self.network(x)
            return logits

    def encode_response(self, output: torch.Tensor) -> dict[str, Any]:
        """Write logits and probabilities."""
        return {
            "logits": output.tolist(),
            "probabilities": torch.sigmoid(output).tolist(),
        }


if __name__ == "__main__":
    server = LitServer(Api(), accelerator="cpu")
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[2]),
        log_level="warning",
        generate_client_file=False,
    )
