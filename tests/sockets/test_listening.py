"""The addresses that the service listens on, as the kernel has them."""

import platform
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import Settings, SettingsError, read_settings
from sigmoid_serve.server.server import Server
from sigmoid_serve.sockets.listening import addresses, listen
from tests.process.test_workers import until
from tests.running import TIMEOUT, environment, serving, until_ready

PORT = "http://{}:{}"


@contextmanager
def listening(host: str) -> Iterator[list[socket.socket]]:
    listeners = listen(read_settings(host=host, port=0))
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def reaches(host: str, port: int) -> bool:
    try:
        with closing(socket.create_connection((host, port), TIMEOUT)):
            return True
    except ConnectionRefusedError:
        return False


@pytest.mark.parametrize(
    ("host", "by_four", "by_six"),
    [
        ("::", True, True),
        ("[::]", True, True),
        ("0::0", True, True),
        ("::1", False, True),
        ("[::1]", False, True),
        ("0.0.0.0", True, False),
        ("127.0.0.1", True, False),
        ("127.0.0.2", False, False),
    ],
)
def test_addresses(host: str, by_four: bool, by_six: bool) -> None:
    with listening(host) as (listener,):
        (told,) = addresses(Settings(host=host), [listener])
        port = listener.getsockname()[1]
        assert reaches("127.0.0.1", port) is by_four
        assert reaches("::1", port) is by_six
    assert told.endswith(" (IPv6 and IPv4)") is (by_four and by_six)
    shown = "[::]" if by_four and by_six else host
    shown = "[::1]" if host == "::1" else shown
    assert told.split(" (")[0] == f"http://{shown}:{port}"


def test_a_name_of_several_addresses() -> None:
    with listening("localhost") as listeners:
        ports = {listener.getsockname()[1] for listener in listeners}
        assert len(ports) == 1
        assert reaches("127.0.0.1", ports.pop())


def test_a_port_that_one_kind_has_is_taken_for_both() -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match="address already in use"):
            listen(read_settings(host="::", port=port))


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "no.such.host.invalid"])
def test_addresses_of_others(host: str) -> None:
    with pytest.raises(SettingsError) as caught:
        listen(read_settings(host=host, port=0))
    told = str(caught.value)
    assert told.startswith(f"--host, --port: cannot listen on {host} port 0")
    assert ("--host 0.0.0.0 is all of IPv4" in told) is (":" in host)


def test_a_host_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMOID_HOST", "2001:db8::1")
    with pytest.raises(SettingsError) as caught:
        listen(read_settings(port=0))
    told = str(caught.value)
    assert told.startswith("SIGMOID_HOST, --port: cannot listen on 2001:db8::1 port 0")
    assert told.endswith("SIGMOID_HOST=0.0.0.0 is all of IPv4")


# A filter for seccomp(2) that answers socket(AF_INET6, …) as a kernel without IPv6.
_WITHOUT_IPV6 = """
import ctypes, errno, struct, sys
lines = [
    (0x20, 0, 0, 0),  # load the number of the call
    (0x15, 0, 3, 41),  # socket(2) of x86-64
    (0x20, 0, 0, 16),  # load the first argument
    (0x15, 0, 1, 10),  # AF_INET6
    (0x06, 0, 0, 0x00050000 | errno.EAFNOSUPPORT),
    (0x06, 0, 0, 0x7FFF0000),  # allow
]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *x) for x in lines))
program = ctypes.create_string_buffer(
    struct.pack("HP", len(lines), ctypes.addressof(code))
)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program, 0, 0) == 0
from sigmoid_models.messages import UserError
from sigmoid_serve.cli.commands import main
from sigmoid_serve.configuration.settings import read_settings
from sigmoid_serve.sockets.listening import listen
try:
    listen(read_settings(host="::1", port=0))
except UserError as error:
    print(error, file=sys.stderr)
sys.argv = "sigmoid-serve serve --host :: --port 0".split()
main()
"""


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="seccomp(2)"
)
def test_a_system_without_ipv6() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_IPV6],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment(),
        check=False,
    )
    assert done.returncode == 1
    first, second = (
        f"--host, --port: cannot listen on {host} port 0: address family not "
        "supported by protocol; where there is no IPv6, --host 0.0.0.0 is all of IPv4\n"
        for host in ("::1", "::")
    )
    assert done.stderr == f"{first}sigmoid-serve: {second}"


def test_the_service_answers_both_kinds() -> None:
    settings = read_settings(host="[::]", port=0)
    server = Server(create_app(settings))
    (listener,) = listen(settings)
    with listener:
        (told,) = addresses(settings, [listener])
        assert re.fullmatch(r"http://\[::\]:\d+ \(IPv6 and IPv4\)", told)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            answer_both(listener.getsockname()[1])
        finally:
            until(lambda: server.started)
            server.should_exit = True
            thread.join()


def test_workers_answer_both_kinds(tmp_path: Path) -> None:
    log = tmp_path / "log"
    options = ("--host", "[::]", "--port", "0")
    with serving(log, options=options, SIGMOID_WORKERS="2") as (_, address):
        answer_both(int(address.rpartition(":")[2]))
    assert re.search(
        r"listening on http://\[::\]:\d+ \(IPv6 and IPv4\)", log.read_text()
    )


def answer_both(port: int) -> None:
    for host in ("127.0.0.1", "[::1]"):
        with httpx.Client(base_url=PORT.format(host, port), timeout=9) as client:
            until_ready(client)
