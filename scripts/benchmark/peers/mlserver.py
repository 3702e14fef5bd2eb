"""MLServer with the same model: `FILE CHECKPOINT PORT`.

After https://mlserver.readthedocs.io : a custom runtime that speaks the Open Inference
Protocol, in the server's own process.
"""

import asyncio
import sys

import torch
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import install_uvloop_event_loop
from torch import nn


class Runtime(MLModel):  # type: ignore[misc]
    """The tutorial's network behind `POST /v2/models/model/infer`."""

    async def load(self) -> bool:
        """Load the network of 10 features, 20 units and 2 classes."""
        network = nn.Sequential(nn.Linear(10, 20), nn.Sigmoid(), nn.Linear(20, 2))
        weights = torch.load(sys.argv[1])
        names = network.state_dict()
        network.load_state_dict(dict(zip(names, weights.values(), strict=True)))
        self.network = network.eval()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return logits and probabilities."""
        rows = self.decode(payload.inputs[0], default_codec=NumpyCodec)
        with torch.no_grad():
            logits = self.network(torch.from_numpy(rows))
        return InferenceResponse(
            model_name=self.name,
            outputs=[
                NumpyCodec.encode_output("logits", logits.numpy()),
                NumpyCodec.encode_output("probabilities", logits.sigmoid().numpy()),
            ],
        )


async def main() -> None:
    """Serve until a signal comes."""
    settings = Settings(
        host="127.0.0.1",
        http_port=int(sys.argv[2]),
        grpc_port=0,
        metrics_endpoint=None,
        parallel_workers=0,
        debug=False,
    )
    model = ModelSettings(name="model", implementation=Runtime)
    await MLServer(settings).start([model])


if __name__ == "__main__":
    install_uvloop_event_loop()
    asyncio.run(main())
