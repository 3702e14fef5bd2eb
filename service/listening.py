"""Where the service listens, and whether over TLS."""

import logging
import ssl
from socket import (
    AI_PASSIVE,
    SOCK_STREAM,
    create_server,
    gaierror,
    getaddrinfo,
    socket,
)
from typing import Any

from service.acceptor import BACKLOG
from service.environment import variable
from service.settings import Settings, SettingsError

logger = logging.getLogger("sigmoid_serve")


def listen(settings: Settings) -> list[socket]:
    """Listen on all addresses of the host, on one port.

    Raises:
        SettingsError: The host is not known or not ours, or the port is taken.
    """
    host, port = settings.host, settings.port
    listeners: list[socket] = []
    try:
        infos = getaddrinfo(host, port, type=SOCK_STREAM, flags=AI_PASSIVE)
        for family, address in dict.fromkeys((info[0], info[4]) for info in infos):
            where = (str(address[0]), port)
            listeners.append(create_server(where, family=family, backlog=BACKLOG))
            port = listeners[0].getsockname()[1]
    except (gaierror, OSError) as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(
            f"SIGMOID_HOST, SIGMOID_PORT: cannot listen on {host[:256]} port {port}: "
            f"{reason}"
        ) from None
    scheme = "https" if settings.tls_cert_file else "http"
    for listener in listeners:
        name, number = listener.getsockname()[:2]
        shown = f"[{name}]" if ":" in name else name
        logger.info("listening on %s://%s:%d", scheme, shown, number)
    return listeners


def tls_options(settings: Settings) -> dict[str, Any]:
    """Return the options of `uvicorn.Config` for TLS, none where it is not set."""
    if settings.tls_cert_file is None:
        return {}
    options: dict[str, Any] = {
        "ssl_certfile": settings.tls_cert_file,
        "ssl_keyfile": settings.tls_key_file,
    }
    if settings.tls_client_ca_file is not None:
        options["ssl_ca_certs"] = settings.tls_client_ca_file
        options["ssl_cert_reqs"] = ssl.CERT_REQUIRED
    return options


def check_tls(settings: Settings) -> None:
    """Try the files of certificates, before anything is started with them.

    Raises:
        SettingsError: One cannot be read, or they do not fit together.
    """
    if settings.tls_cert_file is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    names = ["tls_cert_file"] + ["tls_key_file"] * (settings.tls_key_file is not None)
    try:
        # Without a password OpenSSL would ask for one, at the terminal.
        context.load_cert_chain(
            settings.tls_cert_file, settings.tls_key_file, password=""
        )
        if settings.tls_client_ca_file is not None:
            names = ["tls_client_ca_file"]
            context.load_verify_locations(settings.tls_client_ca_file)
    except OSError as error:
        shown = ", ".join(map(variable, names))
        reason = error.strerror or str(error)
        raise SettingsError(
            f"{shown}: expected PEM files that fit together, the key without a "
            f"passphrase; got: {reason}"
        ) from None
