"""Where the service listens that runs beside this process, as a container has it.

Its options do not stand in the environment, and there may be no disk to note them on;
but the system knows with what a process was started (proc(5)). Nothing but the standard
library is needed here.
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

# Where to find those who listen everywhere.
_LOCAL: Final = {"0.0.0.0": ("127.0.0.1",), "::": ("::1", "127.0.0.1")}


class Place(NamedTuple):
    """Where a server listens, and how.

    Attributes:
        hosts: To be tried in turn, to reach it from this machine.
        port: Of the hosts.
        uds: Path of its socket, in place of a port.
        is_tls: Whether it speaks TLS.
        is_mutual: Whether it asks for a certificate.
    """

    hosts: tuple[str, ...]
    port: int
    uds: Path | None
    is_tls: bool
    is_mutual: bool


def find_place() -> Place:
    """Find out where the service listens.

    That is where the server does that was started with the environment of this process,
    and maybe with more. Process 1 of a container is the container's own. If there is
    none, or the system does not tell, the environment of this process says it.

    Raises:
        ValueError: A port is no number, or there are several servers.
    """
    first = list(_servers_of([Path("/proc/1")], {}))
    places = first or list(dict.fromkeys(_servers_of(_processes(), _settings_here())))
    if len(places) == 1:
        return places[0]
    here = place_of(os.environ, [], Path())
    if not places or here in places:
        return here
    raise ValueError(
        f"{len(places)} servers run here; say which with SIGMOID_PORT or SIGMOID_UDS "
        "in the environment of the server and of the check"
    )


def place_of(
    environment: Mapping[str, str], options: Sequence[str], folder: Path
) -> Place:
    """Say where a server listens that was started so.

    Args:
        environment: Of the server.
        options: Of its command `serve`.
        folder: In which it was started.

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
    return Place(
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


def _servers_of(processes: Sequence[Path], least: Mapping[str, str]) -> Iterator[Place]:
    """Find the servers among processes, with at least these variables."""
    for process in processes:
        try:
            options = _options(_strings(process / "cmdline"))
            if options is None or not _shares_network(process):
                continue
            pairs = (text.partition("=") for text in _strings(process / "environ"))
            environment = {name: value for name, _, value in pairs}
            if least.items() <= environment.items():
                yield place_of(environment, options, process / "cwd")
        except (OSError, ArgumentError, ValueError):  # it has ended, or is not ours
            continue


def _strings(path: Path) -> list[str]:
    return os.fsdecode(path.read_bytes()).split("\0")


def _shares_network(process: Path) -> bool:
    return (process / "ns/net").readlink() == Path("/proc/self/ns/net").readlink()


def _options(arguments: Sequence[str]) -> Sequence[str] | None:
    """Return the options of `serve`; None of any other command."""
    for position, word in enumerate(arguments):
        before = arguments[:position]
        if word == "serve" and (
            Path("".join(before[-1:])).name == "sigmoid-serve"
            or before[-2:] == ["-m", _PACKAGE]
        ):
            return arguments[position + 1 :]
    return None
