"""What a container's runtime is told."""

import subprocess
import sys
from pathlib import Path

import httpx
import torch
import trustme

from models.architecture import Architecture
from models.card import Golden, assumed_card
from models.checkpoint import save_checkpoint
from models.classifier import Classifier
from service.settings import Settings
from tests.conftest import serve
from tests.process import TIMEOUT, environment


def healthcheck(port: int, **variables: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "service.healthcheck"],
        capture_output=True,
        timeout=TIMEOUT,
        env=environment(SIGMOID_PORT=str(port), **variables),
        check=False,
    ).returncode


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
    card = assumed_card(Architecture(kind="Classifier", sizes=(4, 5, 3)))
    golden = Golden(inputs=((1, 2, 3, 4),), logits=((9, 9, 9),))
    wrong = card.model_copy(update={"golden": golden, "activation": "sigmoid"})
    path = tmp_path / "wrong.safetensors"
    save_checkpoint(path, network, wrong)
    with serve(Settings(), [path]) as client:
        assert healthcheck(client.base_url.port or 80) == 1
