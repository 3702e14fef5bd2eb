"""Where the service listens."""

import logging
from socket import (
    AI_PASSIVE,
    SOCK_STREAM,
    create_server,
    gaierror,
    getaddrinfo,
    socket,
)

from service.acceptor import BACKLOG
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
