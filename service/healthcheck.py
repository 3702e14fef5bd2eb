"""`python -m service.healthcheck` ends with 0 where this machine's service is ready.

It needs nothing but the standard library and the settings in the environment, so that a
container's runtime may call it every few seconds. Where clients must show a certificate
it has none to show: then it is enough that somebody listens.
"""

import os
import socket
import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final

_SECONDS: Final = 2.0


def is_ready() -> bool:
    """Ask `/readyz`."""
    port = int(os.environ.get("SIGMOID_PORT", "8080"))
    address = ("127.0.0.1", port)
    if "SIGMOID_TLS_CLIENT_CA_FILE" in os.environ:
        with socket.create_connection(address, _SECONDS):
            return True
    connection = HTTPConnection(*address, timeout=_SECONDS)
    if "SIGMOID_TLS_CERT_FILE" in os.environ:
        # The certificate is of the service's name, which is not this address.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = HTTPSConnection(*address, timeout=_SECONDS, context=context)
    connection.request("GET", "/readyz")
    return connection.getresponse().status == 200


if __name__ == "__main__":
    try:
        sys.exit(not is_ready())
    except (OSError, HTTPException, ValueError) as error:
        sys.exit(f"not ready: {error}")
