"""A client of the service: arrays in, arrays out, with retries and deadlines.

`client` has the two clients, which share `core`. A call goes through `inputs`
(`arrays`, `frames`, `text`), which makes bodies of what a caller has; `splitting`,
which asks about them in parts that the server takes; `retrying`, which sends each until
it is answered; `wires`, over which it travels (`in_process` without a socket); and
`answers`, which makes arrays of what came back. What goes wrong is in `errors`.

It imports nothing else of this package, no PyTorch and no web framework.
"""

from sigmoid_serve.client.answers import Model, Prediction
from sigmoid_serve.client.client import AsyncClient, Client
from sigmoid_serve.client.errors import (
    AuthenticationError,
    ConnectionFailedError,
    DeadlineExceededError,
    InvalidInputError,
    NotFoundError,
    OverloadedError,
    ServerError,
    SigmoidServeError,
    UnavailableError,
)

__all__ = [
    "AsyncClient",
    "AuthenticationError",
    "Client",
    "ConnectionFailedError",
    "DeadlineExceededError",
    "InvalidInputError",
    "Model",
    "NotFoundError",
    "OverloadedError",
    "Prediction",
    "ServerError",
    "SigmoidServeError",
    "UnavailableError",
]
