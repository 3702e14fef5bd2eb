"""HTTPS, certificates of clients, and certificates that cannot be used."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from sigmoid_serve.configuration.settings import Settings, SettingsError, read_settings
from sigmoid_serve.sockets.certificates import tls_context
from sigmoid_serve.sockets.listening import addresses, listen
from tests.cli.test_cli import refused
from tests.conftest import serve
from tests.http.test_keys import LONG, ROW
from tests.server.test_connection import ask_in_a_row, post

HOST = "127.0.0.1"


class Files(NamedTuple):
    """Of a certificate of the server's."""

    both: Path
    chain: Path
    key: Path


class Parts(NamedTuple):
    """Who signs, and what they signed for the server."""

    authority: trustme.CA
    stranger: trustme.CA
    files: Files


def written(folder: Path, name: str, leaf: trustme.LeafCert) -> Files:
    files = Files(*(folder / f"{name}.{part}" for part in ("both", "chain", "key")))
    leaf.private_key_and_cert_chain_pem.write_to_path(files.both)
    leaf.private_key_pem.write_to_path(files.key)
    for pem in leaf.cert_chain_pems:
        pem.write_to_path(files.chain, append=True)
    return files


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    authority = trustme.CA()
    folder = tmp_path_factory.mktemp("certificates")
    files = written(folder, "server", authority.issue_cert(HOST))
    authority.cert_pem.write_to_path(folder / "authority")
    return Parts(authority, trustme.CA(), files)


@pytest.fixture(scope="module")
def https_port(parts: Parts) -> Iterator[int]:
    """Of a server that anyone may ask, over HTTPS."""
    with serve(Settings(tls_cert_file=parts.files.both)) as client:
        yield client.base_url.port or 443


@pytest.fixture(scope="module")
def mutual_port(parts: Parts) -> Iterator[int]:
    """Of a server that asks clients for certificates."""
    files = parts.files
    settings = Settings(
        tls_cert_file=files.chain,
        tls_key_file=files.key,
        tls_client_ca_file=files.key.with_name("authority"),
    )
    with serve(settings) as client:
        yield client.base_url.port or 443


def trust(
    authority: trustme.CA, certificate: trustme.LeafCert | None = None
) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if certificate:
        certificate.configure_cert(context)
    return context


def https(port: int, context: ssl.SSLContext) -> httpx.Client:
    address = f"https://{HOST}:{port}"
    return httpx.Client(base_url=address, verify=context, timeout=30)


def check_answers(client: httpx.Client) -> None:
    assert client.get("/readyz").json() == {"status": "ok"}
    assert client.get("/models").status_code == 200
    for _ in range(3):
        for body in (ROW, LONG):
            response = client.post("/predict", json=body)
            assert response.status_code == 200, response.text
            assert response.json()["model"] == "breast-cancer"
    response = client.post("/predict", json={})
    assert (response.status_code, response.json()["code"]) == (422, "missing_field")


def test_https(parts: Parts, https_port: int) -> None:
    with https(https_port, trust(parts.authority)) as client:
        check_answers(client)


def test_https_with_a_key_of_its_own_file(parts: Parts) -> None:
    files = parts.files
    settings = Settings(tls_cert_file=files.chain, tls_key_file=files.key)
    with (
        serve(settings) as plain,
        https(plain.base_url.port or 443, trust(parts.authority)) as client,
    ):
        check_answers(client)


def test_pipelined_requests_over_tls(parts: Parts, https_port: int) -> None:
    context = trust(parts.authority)
    with (
        socket.create_connection((HOST, https_port), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as wire,
    ):
        assert (wire.version() or "") >= "TLSv1.2"
        ask_in_a_row(wire)


def test_clients_that_do_not_trust_the_server(parts: Parts, https_port: int) -> None:
    with (
        https(https_port, trust(parts.stranger)) as client,
        pytest.raises(httpx.ConnectError, match="certificate verify failed"),
    ):
        client.get("/livez")
    with https(https_port, trust(parts.authority)) as client:
        assert client.get("/livez").status_code == 200


@pytest.mark.parametrize("body", [b"", b'{"inputs": 0}', b" " * 500_000])
def test_plain_http_gets_no_answer(https_port: int, body: bytes) -> None:
    with socket.create_connection((HOST, https_port), timeout=20) as wire:
        wire.sendall(post("/sigmoid", b"")[:-4] + b"\r\n\r\n")
        received_bytes = b""
        try:
            wire.sendall(body)
            while chunk := wire.recv(2**16):
                received_bytes += chunk
        except ConnectionError:
            pass
    assert b"HTTP/" not in received_bytes


def test_old_versions_of_tls_are_refused(parts: Parts, https_port: int) -> None:
    context = trust(parts.authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match=r"TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection((HOST, https_port), timeout=20) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain, server_hostname=HOST)


def test_clients_with_the_right_certificate(parts: Parts, mutual_port: int) -> None:
    certificate = parts.authority.issue_cert("client@example.org")
    with https(mutual_port, trust(parts.authority, certificate)) as client:
        check_answers(client)


@pytest.mark.parametrize("shown", ["nothing", "of a stranger"])
@pytest.mark.parametrize("path", ["/livez", "/models"])
def test_clients_without_it(
    parts: Parts,
    mutual_port: int,
    shown: str,
    path: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    certificate = None
    if shown == "of a stranger":
        certificate = parts.stranger.issue_cert("client@example.org")
    with https(mutual_port, trust(parts.authority, certificate)) as client:
        with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
            client.get(path)
        with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
            client.post("/predict", json=ROW)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_clients_that_break_off_the_handshake(parts: Parts, https_port: int) -> None:
    for _ in range(20):
        with socket.create_connection((HOST, https_port), timeout=20) as wire:
            wire.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    with https(https_port, trust(parts.authority)) as client:
        check_answers(client)


def test_the_address_says_that_it_is_https(parts: Parts) -> None:
    settings = Settings(port=0, tls_cert_file=parts.files.both)
    for listener in listen(settings):
        port = listener.getsockname()[1]
        assert addresses(settings, [listener]) == [f"https://{HOST}:{port}"]
        listener.close()


def test_a_key_needs_a_certificate(parts: Parts) -> None:
    for name in ("tls_key_file", "tls_client_ca_file"):
        with pytest.raises(SettingsError) as caught:
            read_settings(**{name: str(parts.files.key)})
        wanted = f"--{name.replace('_', '-')}: it needs --tls-cert-file"
        assert str(caught.value).startswith(wanted)


def test_files_that_cannot_be_used(parts: Parts, tmp_path: Path) -> None:
    files = parts.files
    other = written(tmp_path, "other", parts.authority.issue_cert(HOST))
    missing, garbage, empty = (tmp_path / name for name in ("missing", "bad", "empty"))
    garbage.write_bytes(b"-----BEGIN CERTIFICATE-----\nMIIB\x00\xff\n")
    empty.touch()
    certificate, private = "--tls-cert-file", "--tls-key-file"
    clients = "--tls-client-ca-file"
    cases = (
        {certificate: missing},
        {certificate: garbage},
        {certificate: empty},
        {certificate: tmp_path},
        {certificate: files.chain},
        {certificate: files.key},
        {certificate: files.chain, private: missing},
        {certificate: files.chain, private: garbage},
        {certificate: files.chain, private: other.key},
        {certificate: files.both, clients: missing},
        {certificate: files.both, clients: empty},
        {certificate: files.both, clients: files.key},
        {certificate: files.both, clients: garbage},
    )
    for options in cases:
        named = {name[2:].replace("-", "_"): path for name, path in options.items()}
        with pytest.raises(SettingsError) as caught:
            tls_context(read_settings(**named))
        told = str(caught.value)
        blamed = clients if clients in options else ", ".join(options)
        assert told.startswith(f"{blamed}: expected "), told
        assert len(told.splitlines()) == 1
        assert len(told) < 300


def test_the_command_refuses_what_does_not_fit(parts: Parts, tmp_path: Path) -> None:
    files = parts.files
    other = written(tmp_path, "other", parts.authority.issue_cert(HOST))
    variables = {
        "SIGMOID_TLS_CERT_FILE": str(files.chain),
        "SIGMOID_TLS_KEY_FILE": str(other.key),
    }
    told = refused("serve", **variables)
    assert told.startswith(f"sigmoid-serve: {', '.join(variables)}: expected ")
    assert "KEY_VALUES_MISMATCH" in told


def test_a_key_with_a_passphrase_is_refused(parts: Parts, tmp_path: Path) -> None:
    files, locked = parts.files, tmp_path / "locked"
    key = load_pem_private_key(files.key.read_bytes(), None)
    password = BestAvailableEncryption(b"secret")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, password)
    locked.write_bytes(pem)
    variables = {
        "SIGMOID_TLS_CERT_FILE": str(files.chain),
        "SIGMOID_TLS_KEY_FILE": str(locked),
    }
    told = refused("serve", **variables)  # one line, no prompt
    assert told.startswith(f"sigmoid-serve: {', '.join(variables)}: expected ")
