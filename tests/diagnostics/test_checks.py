"""The doctor's checks: what the start would say."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from sigmoid_models.card import Golden
from sigmoid_models.checkpoint import load_checkpoint, save_checkpoint
from sigmoid_models.classifier import Classifier
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.diagnostics.checks import Check, start_checks, would_start
from sigmoid_serve.diagnostics.port_owner import port_owner
from sigmoid_serve.http.authentication import new_key
from sigmoid_serve.repository.model_repository import PRETRAINED

SMALL = PRETRAINED / "breast-cancer"


def checked(checkpoint: Path = SMALL, **settings: Any) -> dict[str, Check]:
    given = Settings(**{"device": "cpu", "port": 0, "threads": 1, **settings})
    return {check.name: check for check in start_checks(given, [checkpoint])}


def test_all_is_well(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    lines = [new_key(name, is_admin=name == "a")[1] for name in "ab"]
    keys.write_text("\n".join(lines))
    found = checked(api_keys_file=keys)
    assert would_start([*found.values()])
    assert found["keys"].finding == "2 in the file, 1 of admins"
    assert found["address"].finding.startswith("http://127.0.0.1:")
    assert found["model breast-cancer 1"] == ("model breast-cancer 1", "ok", "ready")


@pytest.mark.parametrize(
    ("settings", "name", "finding"),
    [
        ({"api_keys_file": Path("gone")}, "keys", "gone: No such file"),
        ({"tls_cert_file": Path("gone")}, "certificates", "SIGMOID_TLS_CERT_FILE: "),
        ({"host": "192.0.2.1"}, "address", "SIGMOID_HOST, SIGMOID_PORT: cannot listen"),
        ({"device": "cuda:99"}, "device", "cuda"),
    ],
)
def test_what_the_start_would_say(
    settings: dict[str, Any], name: str, finding: str
) -> None:
    found = checked(**settings)
    fails = [check for check in found.values() if check.state == "fails"]
    assert [check.name for check in fails] == [name]
    assert finding in fails[0].finding
    assert not would_start([*found.values()])


def test_models(tmp_path: Path) -> None:
    (tmp_path / "bad.pt").write_bytes(b"bad")
    checkpoint = load_checkpoint(SMALL / "1" / "model.safetensors")
    golden = Golden(inputs=((0.0,) * 30,), logits=((9e9,),))
    card = checkpoint.card.model_copy(update={"golden": golden})
    save_checkpoint(tmp_path / "odd.safetensors", checkpoint.network, card)
    found = checked(tmp_path)
    assert found["model odd 1"].state == "remark"
    assert "golden check failed" in found["model odd 1"].finding
    assert found["model bad/1"].state == "remark"
    assert "bad.pt" in found["model bad/1"].finding
    assert would_start([*found.values()])
    torch.save(Classifier(2, 3, 1).state_dict(), tmp_path / "bare.pt")
    found = checked(tmp_path / "bare.pt")
    assert "activation" in found["models"].finding
    assert not would_start([*found.values()])
    found = checked(tmp_path / "bare.pt", activation="relu")
    assert found["model bare 1"].state == "ok"


def test_a_path_to_listen_on(tmp_path: Path) -> None:
    path = tmp_path / "s"
    assert checked(uds=path)["address"].finding == "free"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        assert "is replaced" in checked(uds=path)["address"].finding
        other.listen()
        assert checked(uds=path)["address"].state == "fails"
    assert path.exists()


def test_who_has_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        owner = port_owner(port)
        assert owner.startswith(f"process {os.getpid()} (")
        assert "python" in owner  # or what runs the tests for pytest
    assert port_owner(port) == ""


def test_a_system_that_does_not_tell(tmp_path: Path) -> None:
    assert port_owner(1, tmp_path) == ""
    (tmp_path / "net").mkdir()
    table = "head\n 0: 0100007F:0001 00000000:0000 0A 0:0 00:0 0 0 0 77 1\n"
    (tmp_path / "net" / "tcp").write_text(table)
    (tmp_path / "12" / "fd").mkdir(parents=True)
    (tmp_path / "13").mkdir()
    assert port_owner(1, tmp_path) == ""
    (tmp_path / "12" / "fd" / "3").symlink_to("socket:[77]")
    (tmp_path / "12" / "cmdline").write_bytes(b"a\0[b]\0\x1b\0")
    assert port_owner(1, tmp_path) == "process 12 (a [b] \\x1b)"
