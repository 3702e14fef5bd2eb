"""`python -m sigmoid_serve.healthcheck`: 0 where this machine's service is ready.

It needs nothing but the standard library, so that a container's runtime may call it
every few seconds. Where clients must show a certificate it has none to show: then it is
enough that somebody listens.
"""

import socket
import ssl
import sys
from http.client import HTTPConnection, HTTPException
from typing import Final

from sigmoid_serve.diagnostics.server_lookup import Place, find_place

_SECONDS: Final = 2.0


def is_ready(place: Place) -> bool:
    """Ask `/readyz`."""
    with _connect(place) as wire:
        if place.is_mutual:
            return True
        connection = HTTPConnection("localhost")
        connection.sock = _over_tls(wire) if place.is_tls else wire
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200


def _connect(place: Place) -> socket.socket:
    if place.uds:
        wire = socket.socket(socket.AF_UNIX)
        wire.settimeout(_SECONDS)
        wire.connect(str(place.uds))
        return wire
    *others, last = place.hosts
    for host in others:
        try:
            return socket.create_connection((host, place.port), _SECONDS)
        except OSError:
            continue
    return socket.create_connection((last, place.port), _SECONDS)


def _over_tls(wire: socket.socket) -> socket.socket:
    # The certificate is of the service's name, which is not this address.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(wire)


if __name__ == "__main__":
    try:
        sys.exit(not is_ready(find_place()))
    except (OSError, HTTPException, ValueError) as error:
        sys.exit(f"not ready: {error}")
