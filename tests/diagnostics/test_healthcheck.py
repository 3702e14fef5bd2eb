"""The health check of a container's runtime."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import httpx
import pytest
import torch
import trustme

import sigmoid_serve
from sigmoid_models.architecture import Architecture
from sigmoid_models.card import Golden, ModelCard
from sigmoid_models.checkpoint import save_checkpoint
from sigmoid_models.classifier import Classifier
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.diagnostics.server_lookup import ServerAddress, server_address
from tests.conftest import serve
from tests.process.test_workers import until
from tests.running import TIMEOUT, environment

CHECK = [sys.executable, "-m", "sigmoid_serve.healthcheck"]


def healthcheck(port: int, **variables: str) -> int:
    return checked(SIGMOID_PORT=str(port), **variables).returncode


def checked(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        CHECK,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment(**variables),
        check=False,
    )


def test_a_ready_service(client: httpx.Client) -> None:
    assert healthcheck(client.base_url.port or 80) == 0


def test_no_service() -> None:
    assert healthcheck(1) == 1


def test_over_tls(tmp_path: Path) -> None:
    certificate, authority = tmp_path / "cert.pem", tmp_path / "ca.pem"
    ca = trustme.CA()
    ca.issue_cert("service.example").private_key_and_cert_chain_pem.write_to_path(
        str(certificate)
    )
    ca.cert_pem.write_to_path(str(authority))
    tls = {"SIGMOID_TLS_CERT_FILE": str(certificate)}
    with serve(Settings(tls_cert_file=certificate)) as client:
        port = client.base_url.port or 80
        assert healthcheck(port, **tls) == 0
        assert healthcheck(port) == 1
    with serve(
        Settings(tls_cert_file=certificate, tls_client_ca_file=authority)
    ) as client:
        port = client.base_url.port or 80
        assert healthcheck(port, **tls) == 1
        mutual = {**tls, "SIGMOID_TLS_CLIENT_CA_FILE": str(authority)}
        assert healthcheck(port, **mutual) == 0


def test_a_service_that_is_not_ready(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Classifier(4, 5, 3)
    wrong = ModelCard(
        architecture=Architecture(kind="Classifier", sizes=(4, 5, 3)),
        activation="sigmoid",
        task="multiclass",
        golden=Golden(inputs=((1, 2, 3, 4),), logits=((9, 9, 9),)),
    )
    path = tmp_path / "wrong.safetensors"
    save_checkpoint(path, network, wrong)
    with serve(Settings(), [path]) as client:
        assert healthcheck(client.base_url.port or 80) == 1


_marks = count()


def container() -> dict[str, str]:
    """Return an environment that no other server on this machine has."""
    return {"SIGMOID_TIMEOUT_SECONDS": f"{os.getpid() % 3600}.{next(_marks)}1"}


def port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


def until_healthy(**variables: str) -> None:
    until(lambda: checked(**variables).returncode == 0)


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
        ("", {"PORT": "{port}", "SIGMOID_PORT": "tcp://10.0.0.1:80"}),
        ("", {"SIGMOID_PORT": "{port}", "SIGMOID_TLS_CLIENT_CA_FILE": ""}),
        ("", {"SIGMOID_UDS": "{folder}/s", "SIGMOID_HOST": "", "PORT": "1"}),
    ],
)
def test_wherever_the_server_listens(
    options: str, variables: dict[str, str], tmp_path: Path
) -> None:
    known = {"port": port(), "folder": str(tmp_path)}
    given = [one.format(**known) for one in options.split()]
    shared = {k: v.format(**known) for k, v in variables.items()} | container()
    with running(given, tmp_path, shared):
        until_healthy(**shared)
    assert checked(**shared).returncode == 1


@contextmanager
def running(
    options: Sequence[str], folder: Path, variables: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    # As the container's image runs it.
    command = shutil.which("sigmoid-serve", path=str(Path(sys.executable).parent))
    assert command
    with subprocess.Popen(
        [command, "serve", *options],
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=environment(**variables),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_certificates_of_options(tmp_path: Path) -> None:
    certificate, authority = tmp_path / "cert.pem", tmp_path / "ca.pem"
    ca = trustme.CA()
    pem = ca.issue_cert("service.example").private_key_and_cert_chain_pem
    pem.write_to_path(str(certificate))
    ca.cert_pem.write_to_path(str(authority))
    options = ["--tls-cert-file", str(certificate), "--port", port()]
    shared = container()
    with running(options, tmp_path, shared):
        until_healthy(**shared)
    options += [f"--tls-client-ca-file={authority}"]
    with running(options, tmp_path, shared):
        until_healthy(**shared)
    options = ["--tls-cert-file", str(certificate), "--uds", "s"]
    with running(options, tmp_path, shared):
        until_healthy(**shared)


def test_several_servers(tmp_path: Path) -> None:
    """The check finds the server of its environment, or fails if there are several."""
    shared = container()
    first, second = port(), port()
    with ExitStack() as stack:
        stack.enter_context(running([], tmp_path, {**shared, "SIGMOID_PORT": first}))
        until_healthy(**shared, SIGMOID_PORT=first)
        until_healthy(**shared)
        dies = stack.enter_context(running(["--port", second], tmp_path, shared))
        told = checked(**shared)
        assert told.returncode == 1
        assert "2 servers run here; say which with SIGMOID_PORT" in told.stderr
        until_healthy(**shared, SIGMOID_PORT=second)
        dies.kill()
        dies.wait(TIMEOUT)
        assert checked(**shared, SIGMOID_PORT=second).returncode == 1
        assert checked(**shared, SIGMOID_PORT=first).returncode == 0
        assert checked(**shared).returncode == 0


def test_servers_with_another_environment_are_ignored(tmp_path: Path) -> None:
    with running(["--port", port()], tmp_path, container()):
        for variables in (container(), {"SIGMOID_PORT": "1"}, {"PORT": "1"}):
            assert checked(**{"SIGMOID_PORT": port(), **variables}).returncode == 1


def test_a_server_that_drains_is_not_ready(tmp_path: Path) -> None:
    shared = {**container(), "SIGMOID_DRAIN_SECONDS": "3000"}
    with running(["--port", port()], tmp_path, shared) as process:
        until_healthy(**shared)
        process.terminate()
        until(lambda: checked(**shared).returncode == 1)
        assert process.poll() is None


_ISOLATED = ["unshare", "--pid", "--fork", "--mount-proc", "--net"]


@pytest.mark.skipif(
    subprocess.run([*_ISOLATED, "true"], capture_output=True, check=False).returncode
    != 0,
    reason="no namespace can be made here",
)
def test_the_first_process_is_of_this_container(tmp_path: Path) -> None:
    """Whatever a script did to its environment before it became the server."""
    script = (
        'export SIGMOID_HOST=:: SIGMOID_PORT=8081; "$@" & '
        "exec sigmoid-serve serve --port 8082"
    )
    check = (
        "import os, subprocess, sys, time\n"
        "os.environ.update(SIGMOID_PORT='8083')\n"
        "for _ in range(300):\n"
        "    check = [sys.executable, '-m', 'sigmoid_serve.healthcheck']\n"
        "    done = subprocess.run(check)\n"
        "    if done.returncode == 0:\n"
        "        break\n"
        "    time.sleep(0.1)\n"
        "os.kill(1, 15)\n"
        "print('healthy' if done.returncode == 0 else 'not healthy')\n"
    )
    done = subprocess.run(
        [
            *_ISOLATED,
            *("bash", "-c", f"ip link set lo up; {script}", "bash"),
            *(sys.executable, "-c", check),
        ],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment(PATH=f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/bin"),
        check=False,
    )
    assert done.stdout == "healthy\n", done


def test_it_needs_no_other_package() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "sigmoid_serve.healthcheck"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment(
            SIGMOID_PORT="1", PYTHONPATH=str(Path(sigmoid_serve.__file__).parents[1])
        ),
        check=False,
    )
    assert done.stderr.startswith("not ready: ")


@pytest.mark.parametrize("variables", [{"SIGMOID_PORT": "x"}, {"PORT": "tcp://a:1"}])
def test_a_port_that_is_none(variables: dict[str, str]) -> None:
    done = checked(**variables)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert done.stderr.startswith("not ready: ")
