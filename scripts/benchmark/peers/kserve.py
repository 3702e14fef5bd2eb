"""KServe's model server with the same model: `FILE CHECKPOINT PORT`.

After https://kserve.github.io : a model class of one's own, one worker, REST alone.
"""

import logging
import sys
from typing import Any

import torch
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve import model_server as kserve_server
from kserve.protocol.rest.server import RESTServer
from kserve.utils.utils import generate_uuid
from torch import nn


class Network(Model):  # type: ignore[misc]
    """The tutorial's network behind `POST /v2/models/model/infer`."""

    def load(self) -> None:
        """Load the network of 10 features, 20 units and 2 classes."""
        network = nn.Sequential(nn.Linear(10, 20), nn.Sigmoid(), nn.Linear(20, 2))
        weights = torch.load(sys.argv[1])
        names = network.state_dict()
        network.load_state_dict(dict(zip(names, weights.values(), strict=True)))
        self.network = network.eval()
        self.ready = True

    def predict(
        self, payload: InferRequest, headers: dict[str, str] | None = None
    ) -> InferResponse:
        """Return logits and probabilities, as JSON or binary as was asked for."""
        rows = torch.tensor(payload.inputs[0].as_numpy())
        with torch.no_grad():
            logits = self.network(rows)
        outputs = {"logits": logits, "probabilities": logits.sigmoid()}
        return InferResponse(
            response_id=payload.id or generate_uuid(),
            model_name=self.name,
            infer_outputs=[
                InferOutput(name, list(value.shape), "FP32", data=value.numpy())
                for name, value in outputs.items()
            ],
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )


class Local(RESTServer):  # type: ignore[misc]
    """Its server, which would listen on every address."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.config.host = "127.0.0.1"


if __name__ == "__main__":
    kserve_server.RESTServer = Local
    network = Network("model")
    network.load()
    server = ModelServer(
        http_port=int(sys.argv[2]), enable_grpc=False, enable_latency_logging=False
    )
    for name in ("uvicorn.access", "kserve.trace"):  # a line each for every request
        logging.getLogger(name).setLevel(logging.WARNING)
    server.start([network])
