"""Looks up the address of the server on this machine, as in a container.

The server's options are not in this process's environment, and there may be no disk to
write them to; but the system knows the command and environment of each process
(proc(5)). Only the standard library is needed here.
"""

import os
from argparse import ArgumentError, ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from sigmoid_serve.configuration.environment import (
    PLATFORM_PORT,
    PREFIX,
    given_settings,
)

_SETTINGS: Final = ("host", "port", "uds", "tls_cert_file", "tls_client_ca_file")

_PACKAGE: Final = __name__.partition(".")[0]

# How to reach servers that listen on all addresses.
_LOCAL: Final = {"0.0.0.0": ("127.0.0.1",), "::": ("::1", "127.0.0.1")}


class ServerAddress(NamedTuple):
    """Where and how a server listens.

    Attributes:
        hosts: To be tried in turn, to reach it from this machine.
        port: On each host.
        uds: Path of its Unix socket, in place of a port.
        is_tls: Whether it speaks TLS.
        is_mutual: Whether clients must show a certificate.
    """

    hosts: tuple[str, ...]
    port: int
    uds: Path | None
    is_tls: bool
    is_mutual: bool


def find_server() -> ServerAddress:
    """Find the address of the server.

    If process 1 is a server, as in a container, it is that one. Otherwise it is the
    server that was started with at least the settings in this process's environment. If
    there is none, or it cannot be seen, this process's environment gives the address.

    Raises:
        ValueError: A port is no number, or there are several servers.
    """
    first = list(_servers_of([Path("/proc/1")], {}))
    addresses = first or list(
        dict.fromkeys(_servers_of(_processes(), _settings_here()))
    )
    if len(addresses) == 1:
        return addresses[0]
    own = server_address(os.environ, [], Path())
    if not addresses or own in addresses:
        return own
    raise ValueError(
        f"{len(addresses)} servers run here; say which with SIGMOID_PORT or "
        "SIGMOID_UDS in the environment of the server and of the check"
    )


def server_address(
    environment: Mapping[str, str], options: Sequence[str], folder: Path
) -> ServerAddress:
    """Work out the address of a server from how it was started.

    Args:
        environment: Of the server.
        options: Of its command `serve`.
        folder: Its working directory.

    Raises:
        ValueError: The port is no number.
        ArgumentError: An option has no value.
    """
    parser = ArgumentParser(allow_abbrev=False, exit_on_error=False, add_help=False)
    for name in _SETTINGS:
        parser.add_argument(f"--{name.replace('_', '-')}")
    known = vars(parser.parse_known_args(options)[0])
    chosen = {name: value for name, value in known.items() if value is not None}
    given = given_settings(_SETTINGS, environment, chosen)
    values = {name: value for name, (value, _) in given.items()}
    host = values.get("host", "127.0.0.1").strip("[]")
    return ServerAddress(
        hosts=_LOCAL.get(host, (host,)),
        port=int(values.get("port", 8080)),
        uds=folder / values["uds"] if "uds" in values else None,
        is_tls="tls_cert_file" in values,
        is_mutual="tls_client_ca_file" in values,
    )


def _processes() -> list[Path]:
    return list(Path("/proc").glob("[0-9]*"))


def _settings_here() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if value and (name.startswith(PREFIX) or name == PLATFORM_PORT)
    }


def _servers_of(
    processes: Sequence[Path], least: Mapping[str, str]
) -> Iterator[ServerAddress]:
    """Find the servers among processes that have at least these variables."""
    for process in processes:
        try:
            options = _options(_strings(process / "cmdline"))
            if options is None or not _shares_network(process):
                continue
            pairs = (text.partition("=") for text in _strings(process / "environ"))
            environment = {name: value for name, _, value in pairs}
            if least.items() <= environment.items():
                yield server_address(environment, options, process / "cwd")
        except (OSError, ArgumentError, ValueError):  # it has ended, or is not ours
            continue


def _strings(path: Path) -> list[str]:
    return os.fsdecode(path.read_bytes()).split("\0")


def _shares_network(process: Path) -> bool:
    return (process / "ns/net").readlink() == Path("/proc/self/ns/net").readlink()


def _options(arguments: Sequence[str]) -> Sequence[str] | None:
    """Return the options of the command `serve`; None if it is another command."""
    for position, word in enumerate(arguments):
        before = arguments[:position]
        if word == "serve" and (
            Path("".join(before[-1:])).name == "sigmoid-serve"
            or before[-2:] == ["-m", _PACKAGE]
        ):
            return arguments[position + 1 :]
    return None
