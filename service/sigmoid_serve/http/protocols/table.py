"""The protocols that are spoken beside the native API."""

from collections.abc import Sequence
from typing import Final

from sigmoid_serve.http.protocols.open_inference import protocol as open_inference
from sigmoid_serve.http.protocols.protocol import Protocol

PROTOCOLS: Final[Sequence[Protocol]] = (open_inference.PROTOCOL,)
