"""docs/deployment.md is true: nginx and systemd take what it shows."""

import re
import shlex
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.http.authentication import new_key
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.conftest import serve
from tests.running import TIMEOUT, settings_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "deployment.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
SHUTDOWN = Settings().shutdown_seconds
LEFT_OVER = 5
"""Seconds that a service manager waits beyond the shutdown."""


def blocks(language: str, heading: str) -> list[str]:
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


def options(command: list[str]) -> dict[str, str]:
    names = [word.removeprefix("--").replace("-", "_") for word in command[::2]]
    return dict(zip(names, command[1::2], strict=True))


def test_the_unit_of_systemd(tmp_path: Path) -> None:
    [text] = blocks("ini", "systemd")
    unit = ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    service = unit["Service"]
    program, name, *typed = shlex.split(service["ExecStart"])
    assert (Path(program).name, name) == ("sigmoid-serve", "serve")
    variables = dict(word.split("=") for word in shlex.split(service["Environment"]))
    given = {f"SIGMOID_{key.upper()}": v for key, v in options(typed).items()}
    settings = settings_of(**variables, **given)
    assert int(service["TimeoutStopSec"]) == settings.shutdown_seconds + LEFT_OVER
    assert int(service["LimitNOFILE"]) > settings.max_connections
    if not shutil.which("systemd-analyze"):
        return
    file = tmp_path / "sigmoid-serve.service"
    file.write_text(text.replace(program, "/bin/true"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", file],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def proxy(
    client: httpx.Client, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Calls nginx as the page configures it, with another address and certificate."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not program:
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("nginx")
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        folder / "cert.pem"
    )
    whole, prefix = blocks("nginx", "Behind nginx")
    port = free_port()
    whole = whole.replace("127.0.0.1:8080", f"127.0.0.1:{client.base_url.port}")
    whole = whole.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    whole = re.sub(r"(ssl_certificate(?:_key)?) .*;", r"\1 cert.pem;", whole)
    # It ends with the brace of the server, in which the prefix stands as well.
    server = f"{whole.rstrip().removesuffix('}')}\n{prefix}}}\n"
    temporary = "".join(
        f"{name}_temp_path {name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = (
        "daemon off; master_process off; pid nginx.pid; error_log error.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{server}}}\n"
    )
    (folder / "nginx.conf").write_text(configuration)
    command = [program, "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]
    with subprocess.Popen(command) as process:
        try:
            context = ssl.create_default_context()
            authority.configure_trust(context)
            with httpx.Client(
                base_url=f"https://localhost:{port}", verify=context, timeout=TIMEOUT
            ) as through:
                end = time.monotonic() + TIMEOUT
                while not is_listening(port):
                    assert process.poll() is None, (folder / "error.log").read_text()
                    assert time.monotonic() < end
                    time.sleep(0.01)
                yield through
        finally:
            process.terminate()


def is_listening(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("prefix", ["", "/models-api"], ids=["root", "prefix"])
def test_behind_nginx(client: httpx.Client, proxy: httpx.Client, prefix: str) -> None:
    for path in ("/", "/docs", "/models", "/assets/main.js"):
        assert proxy.get(f"{prefix}{path}").content == client.get(path).content
    body = {"inputs": [[0.5] * 30] * 30}
    through = proxy.post(f"{prefix}/predict", json=body)
    assert through.content == client.post("/predict", json=body).content
    refused = proxy.post(f"{prefix}/predict", json={"inputs": [[True] * 30]})
    assert (refused.status_code, refused.json()["pointer"]) == (422, "/inputs/0/0")
    assert re.fullmatch("[0-9a-f]{32}", refused.headers["X-Request-ID"])
    too_large = proxy.post(f"{prefix}/sigmoid", content=b" " * 200_001)
    assert too_large.json()["code"] == "body_too_large"


def test_the_connections_of_nginx_are_kept(
    client: httpx.Client, proxy: httpx.Client
) -> None:
    for path in ("/models", "/models-api/models"):
        assert "close" not in proxy.get(path).headers.get("Connection", "")
    [seconds] = re.findall(r"proxy_read_timeout (\d+)s", TEXT)
    assert int(seconds) > Settings().timeout_seconds
    [size] = re.findall(r"client_max_body_size (\d+)m", TEXT)
    assert int(size) * 2**20 == Settings().max_body_bytes


def test_a_model_is_updated_and_put_back(tmp_path: Path) -> None:
    """By the page's own mkdir, cp, mv and curl."""
    key, line = new_key("operator", is_admin=True)
    (tmp_path / "keys.txt").write_text(line)
    checkpoint = PRETRAINED / "breast-cancer" / "1" / "model.safetensors"
    served = tmp_path / "models" / "fruit" / "1" / "model.safetensors"
    served.parent.mkdir(parents=True)
    shutil.copy(checkpoint, served)
    shutil.copy(checkpoint, tmp_path / "fruit.safetensors")
    settings = Settings(api_keys_file=tmp_path / "keys.txt")
    commands, answers = (blocks(kind, "Update a model") for kind in ("sh", "text"))
    assert len(commands) == 2
    with serve(settings, [tmp_path / "models"]) as client:
        client.headers["Authorization"] = f"Bearer {key}"
        address = f"{client.base_url.host}:{client.base_url.port}"
        numbers: list[Any] = []
        for typed, printed in zip(commands, answers, strict=True):
            done = subprocess.run(
                ["bash", "-ec", typed.replace("localhost:8080", address)],
                cwd=tmp_path,
                env={"KEY": key, "PATH": "/usr/bin:/bin"},
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            assert done.stdout == printed.strip()
            numbers.append(client.get("/models/fruit").json()["versions"])
    assert numbers == [["2", "1"], ["1"]]
