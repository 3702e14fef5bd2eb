"""Certificates that are renewed while the service runs."""

import asyncio
import logging
import os
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest
import trustme

from sigmoid_serve.configuration.settings import Settings, SettingsError
from sigmoid_serve.sockets.certificates import Certificates, tls_context
from tests.cli.test_cli import refused
from tests.conftest import serve
from tests.process.test_workers import until
from tests.running import TIMEOUT, serving, settings_of
from tests.sockets.test_tls import HOST, Files, written

# What is promised of a change, with some room for a machine under load.
SECONDS = 6.0

_BROKEN = "reload of TLS certificates failed, keeping the current ones: SIGMOID_TLS_"
_READ = "TLS certificates reloaded"


class Served:
    """A service with certificates in a folder, and what is there to replace them.

    Attributes:
        port: Of the service.
        files: That it reads.
        log: Reads its log.
    """

    def __init__(self, port: int, files: Files, log: Callable[[], str]) -> None:
        self.port = port
        self.files = files
        self.log = log

    def shown(self, certificate: Path | None = None) -> bytes:
        """Return the certificate that a new connection is shown."""
        with self.connect(certificate) as wire:
            shown = wire.getpeercert(binary_form=True)
        assert shown
        return shown

    @contextmanager
    def connect(self, certificate: Path | None = None) -> Iterator[ssl.SSLSocket]:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(certificate)
        with (
            socket.create_connection((HOST, self.port), TIMEOUT) as plain,
            context.wrap_socket(plain) as wire,
        ):
            yield wire

    def lets_in(self, certificate: Path) -> bool:
        with self.connect(certificate) as wire:
            try:
                wire.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
                return wire.recv(4096).startswith(b"HTTP/1.1 200 ")
            except OSError:
                return False


def put(source: Path, target: Path) -> None:
    """Put a copy of a file in the place of another, at once."""
    new = target.with_suffix(".new")
    shutil.copy(source, new)
    os.replace(new, target)


def soon(condition: Callable[[], bool]) -> bool:
    end = monotonic() + SECONDS
    while monotonic() < end:
        if condition():
            return True
        sleep(0.05)
    return False


def der(chain: Path) -> bytes:
    pem = chain.read_text().split("-----END CERTIFICATE-----")[0]
    return ssl.PEM_cert_to_DER_cert(pem + "-----END CERTIFICATE-----")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def new(tmp_path: Path, authority: trustme.CA) -> Files:
    folder = tmp_path / "new"
    folder.mkdir()
    return written(folder, "new", authority.issue_cert(HOST))


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> Files:
    return written(tmp_path, "server", authority.issue_cert(HOST))


@pytest.fixture
def served(files: Files, caplog: pytest.LogCaptureFixture) -> Iterator[Served]:
    caplog.set_level(logging.INFO)
    settings = Settings(tls_cert_file=files.chain, tls_key_file=files.key)
    with serve(settings) as client:
        yield Served(client.base_url.port or 443, files, lambda: caplog.text)


def test_renewed_one_after_the_other(served: Served, new: Files) -> None:
    """As certbot does; open connections stay open."""
    old = served.shown()
    assert old == der(served.files.chain)
    with served.connect() as wire:
        put(new.chain, served.files.chain)
        put(new.key, served.files.key)
        assert soon(lambda: served.shown() == der(new.chain) != old)
        wire.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert wire.recv(4096).startswith(b"HTTP/1.1 200 ")
    assert served.log().count(_READ) == 1
    assert _BROKEN not in served.log()


def test_files_that_do_not_match_change_nothing(served: Served, new: Files) -> None:
    old = served.shown()
    put(new.chain, served.files.chain)
    assert soon(lambda: _BROKEN in served.log())
    sleep(1.2)  # it looks at them again
    assert served.shown() == old
    assert served.log().count(_BROKEN) == 1
    assert "KEY_VALUES_MISMATCH" in served.log()
    put(new.key, served.files.key)
    assert soon(lambda: served.shown() == der(new.chain))
    assert served.log().count(_READ) == 1


@pytest.mark.parametrize(
    ("which", "kind", "told"),
    [
        ("chain", "garbage", "got: [SSL"),
        ("chain", "empty", "got: [SSL"),
        ("key", "garbage", "got: [SSL"),
        ("key", "gone", "got: No such file or directory"),
        ("chain", "folder", "got: what is no regular file"),
        ("key", "fifo", "got: what is no regular file"),
        ("chain", "device", "got: what is no regular file"),
        ("chain", "long", "got: a file of more than 4194304 bytes"),
    ],
)
def test_a_broken_file_changes_nothing(
    files: Files,
    new: Files,
    caplog: pytest.LogCaptureFixture,
    which: str,
    kind: str,
    told: str,
) -> None:
    """What the service does every second or so is done here without a wait."""
    caplog.set_level(logging.INFO)
    settings = Settings(tls_cert_file=files.chain, tls_key_file=files.key)
    certificates = Certificates(settings)
    old = certificates.context
    path = getattr(files, which)
    kept = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind != "gone":
        content = {"garbage": b"-----BEGIN X-----\n\xff", "long": b" " * (2**22 + 1)}
        path.write_bytes(content.get(kind, b""))
    assert looked(certificates, 1) is old
    assert _BROKEN not in caplog.text  # it may still change
    assert looked(certificates, 3) is old
    assert caplog.text.count(_BROKEN) == 1
    assert told in caplog.text
    assert len(caplog.text.splitlines()[-1]) < 400
    # Once mended it is read, and the next error is logged again.
    if kind == "folder":
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    path.write_bytes(kept)
    mended = looked(certificates, 3)
    assert caplog.text.count(_READ) == 1
    assert handshake(mended) == der(files.chain)
    put(new.both, files.chain)
    put(new.chain, files.key)
    assert looked(certificates, 3) is mended
    assert caplog.text.count(_BROKEN) == 2


def looked(certificates: Certificates, times: int) -> ssl.SSLContext | None:
    """Look at the files some times; return what new connections are made with."""
    for _ in range(times):
        asyncio.run(certificates.renew())
    return certificates.context


def handshake(context: ssl.SSLContext | None) -> bytes:
    """Return the certificate that a client is shown, without a connection."""
    assert context
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    client = ssl._create_unverified_context().wrap_bio(to_client, to_server)
    for side in (client, server, client):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    shown = client.getpeercert(binary_form=True)
    assert shown
    return shown


def test_one_file_with_both(
    files: Files, new: Files, caplog: pytest.LogCaptureFixture
) -> None:
    with serve(Settings(tls_cert_file=files.both)) as client:
        served = Served(client.base_url.port or 443, files, lambda: caplog.text)
        put(new.both, files.both)
        assert soon(lambda: served.shown() == der(new.chain))


def test_a_file_that_is_written_in_parts(served: Served, new: Files) -> None:
    """Files that still change are not read."""
    for target, source in (
        (served.files.chain, new.chain),
        (served.files.key, new.key),
    ):
        content = source.read_bytes()
        with target.open("wb") as file:
            for begin in range(0, len(content), 1 + len(content) // 40):
                file.write(content[begin : begin + 1 + len(content) // 40])
                file.flush()
                sleep(0.03)
    assert soon(lambda: served.shown() == der(new.chain))
    assert served.log().count(_READ) == 1
    assert _BROKEN not in served.log()


@pytest.fixture
def secret(tmp_path: Path, files: Files, new: Files) -> Path:
    """As Kubernetes mounts one: links to files of a folder that is a link."""
    secret = tmp_path / "secret"
    for name, source in (("..1", files), ("..2", new)):
        (secret / name).mkdir(parents=True)
        shutil.copy(source.chain, secret / name / "tls.crt")
        shutil.copy(source.key, secret / name / "tls.key")
    (secret / "..data").symlink_to("..1")
    for name in ("tls.crt", "tls.key"):
        (secret / name).symlink_to(f"..data/{name}")
    return secret


def swap(secret: Path) -> None:
    (secret / "..next").symlink_to("..2")
    (secret / "..next").rename(secret / "..data")


def test_a_secret_of_kubernetes(
    secret: Path, files: Files, new: Files, caplog: pytest.LogCaptureFixture
) -> None:
    """A link to a folder is replaced."""
    caplog.set_level(logging.INFO)
    settings = Settings(
        tls_cert_file=secret / "tls.crt", tls_key_file=secret / "tls.key"
    )
    certificates = Certificates(settings)
    assert handshake(certificates.context) == der(files.chain)
    swap(secret)
    assert handshake(looked(certificates, 3)) == der(new.chain)
    assert caplog.text.count(_READ) == 1
    assert _BROKEN not in caplog.text


def test_a_secret_of_kubernetes_and_workers(
    tmp_path: Path, secret: Path, files: Files, new: Files
) -> None:
    """Every worker reads the new files."""
    log = tmp_path / "log"
    variables = {
        "SIGMOID_TLS_CERT_FILE": str(secret / "tls.crt"),
        "SIGMOID_TLS_KEY_FILE": str(secret / "tls.key"),
        "SIGMOID_WORKERS": "2",
    }
    with serving(log, **variables) as (_, address):
        served = Served(httpx.URL(address).port or 443, files, log.read_text)
        until(lambda: log.read_text().count("Started server process") == 2)
        assert {served.shown() for _ in range(20)} == {der(files.chain)}
        swap(secret)
        assert soon(lambda: log.read_text().count(_READ) == 2)
        assert {served.shown() for _ in range(20)} == {der(new.chain)}
    assert _BROKEN not in log.read_text()


def test_who_signs_the_certificates_of_clients(
    tmp_path: Path,
    authority: trustme.CA,
    files: Files,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stranger = trustme.CA()
    clients, authorities = [], []
    for number, ca in enumerate((authority, stranger)):
        clients.append(tmp_path / f"client{number}")
        pem = ca.issue_cert("client@example.org").private_key_and_cert_chain_pem
        pem.write_to_path(str(clients[-1]))
        authorities.append(tmp_path / f"authority{number}")
        ca.cert_pem.write_to_path(str(authorities[-1]))
    path = tmp_path / "clients"
    put(authorities[0], path)
    settings = Settings(tls_cert_file=files.both, tls_client_ca_file=path)
    with serve(settings) as client:
        served = Served(client.base_url.port or 443, files, lambda: caplog.text)
        assert [served.lets_in(one) for one in clients] == [True, False]
        path.write_text("nobody")
        assert soon(lambda: f"{_BROKEN}CLIENT_CA_FILE" in served.log())
        assert [served.lets_in(one) for one in clients] == [True, False]
        put(authorities[1], path)
        assert soon(lambda: [served.lets_in(one) for one in clients] == [False, True])


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_files_that_would_not_end_stop_the_start(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "certificate"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(SettingsError, match=r"got: what is no regular file$"):
        tls_context(settings_of(SIGMOID_TLS_CERT_FILE=str(path)))
    if kind == "fifo":
        told = refused("serve", SIGMOID_TLS_CERT_FILE=str(path))
        assert told.endswith("got: what is no regular file\n")
