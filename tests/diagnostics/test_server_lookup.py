"""Where a server listens, by its options and its environment."""

import os
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from sigmoid_serve.cli.commands import app
from sigmoid_serve.configuration.settings import read_settings
from sigmoid_serve.diagnostics.server_lookup import ServerAddress, server_address
from sigmoid_serve.sockets.listening import listen
from tests.diagnostics.test_healthcheck import TLS, filled_in, known_values
from tests.running import TIMEOUT, environment

HERE = ("127.0.0.1",)


def at(
    *hosts: str,
    port: int = 8080,
    uds: str | None = None,
    tls: bool = False,
    mutual: bool = False,
) -> ServerAddress:
    return ServerAddress(hosts or HERE, port, Path(uds) if uds else None, tls, mutual)


@pytest.mark.parametrize(
    ("options", "variables", "address"),
    [
        ("", {}, at()),
        ("--port 9", {}, at(port=9)),
        ("--port=9", {}, at(port=9)),
        ("--port 1 --port 9", {}, at(port=9)),
        ("model.pt --workers 2 --port 9 --access-log", {}, at(port=9)),
        ("--port 9 -- --port 1", {}, at(port=9)),
        ("--port 9", {"SIGMOID_PORT": "1", "PORT": "2"}, at(port=9)),
        ("--host ::1", {}, at("::1")),
        ("--host [::1]", {"SIGMOID_HOST": "0.0.0.0"}, at("::1")),
        ("--host [::]", {}, at("::1", "127.0.0.1")),
        ("--host=0.0.0.0", {}, at()),
        ("--host a.example", {}, at("a.example")),
        ("--uds s", {"PORT": "1"}, at(uds="/f/s")),
        ("--uds=/s", {}, at(uds="/s")),
        ("--tls-cert-file a --tls-client-ca-file=b", {}, at(tls=True, mutual=True)),
        ("", {"SIGMOID_HOST": "::", "PORT": "9"}, at("::1", "127.0.0.1", port=9)),
        ("", {"SIGMOID_HOST": "10.0.0.1"}, at("10.0.0.1")),
        ("", {"SIGMOID_PORT": "9", "PORT": "1"}, at(port=9)),
        ("", {"SIGMOID_PORT": "", "PORT": "9"}, at(port=9)),
        ("", {"SIGMOID_PORT": "tcp://10.0.0.1:80", "PORT": "9"}, at(port=9)),
        ("", {"SIGMOID_PORT": "tcp://10.0.0.1:80"}, at()),
        ("", {"SIGMOID_UDS": "/s", "PORT": "1", "SIGMOID_HOST": ""}, at(uds="/s")),
        ("", {"sigmoid_port": "1", "SIGMOID_port": "1"}, at()),
        ("", {"SIGMOID_TLS_CERT_FILE": "a"}, at(tls=True)),
        ("", {"SIGMOID_TLS_CERT_FILE": "", "SIGMOID_TLS_CLIENT_CA_FILE": ""}, at()),
    ],
)
def test_addresses(
    options: str, variables: dict[str, str], address: ServerAddress
) -> None:
    assert server_address(variables, options.split(), Path("/f")) == address


@pytest.mark.parametrize(
    ("options", "variables"),
    [
        ("--port {port}", {"SIGMOID_PORT": "1"}),
        ("--port {port}", {"SIGMOID_PORT": "x"}),
        ("--log-format json --workers 2 --port={port}", {"PORT": "1"}),
        ("--host ::1 --port {port}", {}),
        ("--host :: --port {port}", {}),
        ("--host 127.0.0.2 --port {port}", {"SIGMOID_HOST": "0.0.0.0"}),
        ("--uds s", {"PORT": "1"}),
        ("--tls-cert-file {certificate} --port {port}", {}),
        ("--tls-client-ca-file={authority} --port {port}", TLS),
        ("--tls-cert-file {certificate} --uds s", {}),
        ("", {"PORT": "{port}", "SIGMOID_PORT": "tcp://10.0.0.1:80"}),
        ("", {"SIGMOID_PORT": "{port}", "SIGMOID_TLS_CLIENT_CA_FILE": ""}),
        ("", {"SIGMOID_UDS": "{folder}/s", "SIGMOID_HOST": "", "PORT": "1"}),
    ],
)
def test_wherever_the_server_listens(
    options: str,
    variables: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The address is that on which `serve` listens with the same."""
    given, shared = filled_in(options, variables, known_values(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", environment(**shared))
    address = server_address(shared, given, tmp_path)
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)
    with command.make_context("sigmoid-serve", ["serve"]) as context:
        serve_command = command.get_command(context, "serve")
        assert serve_command
        chosen = serve_command.make_context("serve", given, context).params
    settings = read_settings(**{k: v for k, v in chosen.items() if k != "checkpoints"})
    assert address.is_tls == (settings.tls_cert_file is not None)
    assert address.is_mutual == (settings.tls_client_ca_file is not None)
    with ExitStack() as stack:
        listeners = [stack.enter_context(each) for each in listen(settings)]
        for wire in connections(address):
            stack.enter_context(wire)
            (listener, *_), _, _ = select.select(listeners, (), (), TIMEOUT)
            stack.enter_context(listener.accept()[0])


def connections(address: ServerAddress) -> Iterator[socket.socket]:
    """Connect to all that an address names."""
    if address.uds:
        wire = socket.socket(socket.AF_UNIX)
        wire.connect(str(address.uds))
        yield wire
        return
    for host in address.hosts:
        yield socket.create_connection((host, address.port), TIMEOUT)
