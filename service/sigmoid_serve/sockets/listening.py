"""Listening sockets of the service, on a host and port or on a path."""

import errno
from collections.abc import Sequence
from pathlib import Path
from socket import (
    AF_INET6,
    AI_PASSIVE,
    IPPROTO_IPV6,
    IPV6_V6ONLY,
    SOCK_STREAM,
    create_server,
    gaierror,
    getaddrinfo,
    has_dualstack_ipv6,
    socket,
)
from typing import Final

from sigmoid_models.messages import one_line
from sigmoid_serve.configuration.settings import Settings, SettingsError
from sigmoid_serve.sockets.acceptor import BACKLOG
from sigmoid_serve.sockets.unix_socket import listen_at

# Errors of the system for an address of a family that it does not have.
_NOT_HERE: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def listen(settings: Settings) -> list[socket]:
    """Listen on the path that is set, else on all addresses of the host, on one port.

    Raises:
        SettingsError: The host is unknown or not of this machine, or the port or path
            is taken.
    """
    if settings.uds:
        return [_listen_at(settings.uds, settings.spelling("uds"))]
    return _listen_on(settings)


def addresses(settings: Settings, listeners: Sequence[socket]) -> list[str]:
    """Write the addresses on which the service listens."""
    if settings.uds:
        is_tls = settings.tls_cert_file is not None
        return [f"unix:{one_line(str(settings.uds))}{' (TLS)' if is_tls else ''}"]
    scheme = "https" if settings.tls_cert_file else "http"
    return [f"{scheme}://{_address(listener)}" for listener in listeners]


def _address(listener: socket) -> str:
    name, number = listener.getsockname()[:2]
    shown = f"[{name}]" if ":" in name else name
    both = " (IPv6 and IPv4)" if _takes_both(listener) else ""
    return f"{shown}:{number}{both}"


def _listen_at(path: Path, setting: str) -> socket:
    shown = one_line(str(path))
    try:
        return listen_at(path, BACKLOG, setting)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(
            f"{setting}: cannot listen at {shown[:256]}: {reason}"
        ) from None


def _listen_on(settings: Settings) -> list[socket]:
    host, port, name = settings.host, settings.port, settings.spelling("host")
    listeners: list[socket] = []
    fault: OSError | None = None
    try:
        infos = getaddrinfo(host, port, type=SOCK_STREAM, flags=AI_PASSIVE)
        for family, address in dict.fromkeys((info[0], info[4]) for info in infos):
            is_all = address[0] == "::" and has_dualstack_ipv6()
            try:
                listener = create_server(
                    (str(address[0]), port),
                    family=family,
                    backlog=BACKLOG,
                    dualstack_ipv6=is_all,
                )
            except OSError as error:
                # A name such as localhost may have an address of IPv6 all the same.
                if error.errno not in _NOT_HERE:
                    raise
                fault = fault or error
                continue
            listeners.append(listener)
            port = listener.getsockname()[1]
        if fault and not listeners:
            raise fault
    except (gaierror, OSError) as error:
        reason = (error.strerror or str(error)).lower()
        reason = reason.partition(" (while attempting")[0]
        if ":" in host and error.errno in _NOT_HERE:
            given = f"{name} " if name.startswith("--") else f"{name}="
            reason += f"; where there is no IPv6, {given}0.0.0.0 is all of IPv4"
        raise SettingsError(
            f"{name}, {settings.spelling('port')}: cannot listen on {host[:256]} port "
            f"{port}: {reason}"
        ) from None
    return listeners


def _takes_both(listener: socket) -> bool:
    return listener.family == AF_INET6 and not listener.getsockopt(
        IPPROTO_IPV6, IPV6_V6ONLY
    )
