"""The health check of a container's runtime."""

import os
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
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
from sigmoid_serve.diagnostics.server_lookup import find_server
from sigmoid_serve.healthcheck import is_ready
from tests.conftest import serve
from tests.process.test_workers import until
from tests.running import TIMEOUT, environment

TLS = {"SIGMOID_TLS_CERT_FILE": "{certificate}"}
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
    known = known_values(tmp_path)
    _, tls = filled_in("", TLS, known)
    certificate, authority = Path(known["certificate"]), Path(known["authority"])
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


def is_healthy(variables: dict[str, str]) -> bool:
    """Do what the command does, in this process: it is asked often."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        # Its end would close what TLS leaves open.
        warnings.simplefilter("ignore", ResourceWarning)
        patch.setattr(os, "environ", environment(**variables))
        try:
            return is_ready(find_server())
        except (OSError, HTTPException, ValueError):
            return False


def until_healthy(**variables: str) -> None:
    until(lambda: is_healthy(variables))
    # Of several workers another may answer, which is not ready yet.
    until(lambda: checked(**variables).returncode == 0)


def known_values(folder: Path) -> dict[str, str]:
    """Make a certificate, and take a port; name what options and variables may name."""
    certificate, authority = folder / "cert.pem", folder / "ca.pem"
    ca = trustme.CA()
    pem = ca.issue_cert("service.example").private_key_and_cert_chain_pem
    pem.write_to_path(str(certificate))
    ca.cert_pem.write_to_path(str(authority))
    return {
        "port": port(),
        "folder": str(folder),
        "certificate": str(certificate),
        "authority": str(authority),
    }


def filled_in(
    options: str, variables: dict[str, str], known: dict[str, str]
) -> tuple[list[str], dict[str, str]]:
    return (
        [one.format(**known) for one in options.split()],
        {name: value.format(**known) for name, value in variables.items()},
    )


@pytest.mark.parametrize(
    ("options", "variables"),
    [
        (
            "--log-format json --workers 2 --host ::1 --port={port}",
            {"PORT": "1", "SIGMOID_PORT": "x"},
        ),
        ("--tls-cert-file {certificate} --uds s", {"PORT": "1"}),
        (
            "--host 127.0.0.2 --tls-client-ca-file={authority} --port {port}",
            {"SIGMOID_HOST": "0.0.0.0", **TLS},
        ),
        (
            "",
            {
                "PORT": "{port}",
                "SIGMOID_PORT": "tcp://10.0.0.1:80",
                "SIGMOID_TLS_CLIENT_CA_FILE": "",
            },
        ),
    ],
)
def test_a_server_is_found(
    options: str, variables: dict[str, str], tmp_path: Path
) -> None:
    given, shared = filled_in(options, variables, known_values(tmp_path))
    shared |= container()
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


def test_several_servers(tmp_path: Path) -> None:
    """The check finds the server of its environment, or fails if there are several."""
    shared = {**container(), "SIGMOID_DRAIN_SECONDS": "3000"}
    first, second = port(), port()
    with ExitStack() as stack:
        stays = stack.enter_context(
            running([], tmp_path, {**shared, "SIGMOID_PORT": first})
        )
        until_healthy(**shared, SIGMOID_PORT=first)
        until_healthy(**shared)
        options = ["--host", "::", "--port", second]
        dies = stack.enter_context(running(options, tmp_path, shared))
        told = checked(**shared)
        assert told.returncode == 1
        assert "2 servers run here; say which with SIGMOID_PORT" in told.stderr
        until_healthy(**shared, SIGMOID_PORT=second)
        # Servers with another environment are ignored.
        for variables in (container(), {"SIGMOID_PORT": "1"}, {"PORT": "1"}):
            assert checked(**{"SIGMOID_PORT": port(), **variables}).returncode == 1
        dies.kill()
        dies.wait(TIMEOUT)
        assert checked(**shared, SIGMOID_PORT=second).returncode == 1
        assert checked(**shared, SIGMOID_PORT=first).returncode == 0
        assert checked(**shared).returncode == 0
        # One that drains is not ready.
        stays.terminate()
        until(lambda: checked(**shared).returncode == 1)
        assert stays.poll() is None


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
        "from sigmoid_serve.healthcheck import find_server, is_ready\n"
        "os.environ.update(SIGMOID_PORT='8083')\n"
        "for _ in range(300):\n"
        "    try:\n"
        "        if is_ready(find_server()):\n"
        "            break\n"
        "    except OSError:\n"
        "        pass\n"
        "    time.sleep(0.1)\n"
        "check = [sys.executable, '-m', 'sigmoid_serve.healthcheck']\n"
        "done = subprocess.run(check)\n"
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
