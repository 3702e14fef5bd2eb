"""`python -m sigmoid_serve.healthcheck`: exits with 0 if the server here is ready.

It needs only the standard library, so that a container's runtime may call it every few
seconds. If clients must show a certificate, it has none to show: then it is enough that
the server accepts a connection.
"""

import socket
import ssl
import sys
from http.client import HTTPConnection, HTTPException
from typing import Final

from sigmoid_serve.diagnostics.server_lookup import ServerAddress, find_server

_SECONDS: Final = 2.0


def is_ready(address: ServerAddress) -> bool:
    """Ask `/readyz`."""
    with _connect(address) as wire:
        if address.is_mutual:
            return True
        connection = HTTPConnection("localhost")
        connection.sock = _over_tls(wire) if address.is_tls else wire
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200


def _connect(address: ServerAddress) -> socket.socket:
    if address.uds:
        wire = socket.socket(socket.AF_UNIX)
        wire.settimeout(_SECONDS)
        wire.connect(str(address.uds))
        return wire
    *others, last = address.hosts
    for host in others:
        try:
            return socket.create_connection((host, address.port), _SECONDS)
        except OSError:
            continue
    return socket.create_connection((last, address.port), _SECONDS)


def _over_tls(wire: socket.socket) -> socket.socket:
    # The certificate is of the service's name, which is not this address.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(wire)


if __name__ == "__main__":
    try:
        sys.exit(not is_ready(find_server()))
    except (OSError, HTTPException, ValueError) as error:
        sys.exit(f"not ready: {error}")
