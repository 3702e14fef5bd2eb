"""Protocols of other model servers, each over the same inference as the native API.

To remove one, remove its module and its name here.
"""

from collections.abc import Sequence

from sigmoid_serve.http.protocols.protocol import Protocol

PROTOCOLS: Sequence[Protocol] = ()
