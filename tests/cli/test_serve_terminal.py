"""How `serve` starts and ends: on a terminal, and where a program reads its log."""

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import trustme

from sigmoid_models.classifier import Classifier
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.http.authentication import new_key
from sigmoid_serve.process import announcement
from sigmoid_serve.process.announcement import Served, greeting
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.cli.test_cli import call, refused
from tests.process.test_workers import children
from tests.running import TIMEOUT, environment, serving
from tests.terminal import STARTED, on_terminal, started_on_terminal

STOPPED = "sigmoid-serve: stopped"


def asked(command: str, **variables: str) -> dict[str, object]:
    """Paste a command into a shell."""
    answer = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", **variables},
        check=True,
    )
    read: dict[str, object] = json.loads(answer.stdout)
    return read


def command_of(lines: list[str]) -> str:
    (line,) = [line for line in lines if line.startswith("  try   ")]
    return line.removeprefix("  try   ")


@pytest.mark.parametrize(
    ("workers", "variables", "told"),
    [
        ("1", {"SIGMOID_ACCESS_LOG": "true"}, ["200 ok", "422 unknown_field"]),
        ("2", {}, ["422 unknown_field"]),
    ],
)
def test_a_start_on_a_terminal(
    workers: str, variables: dict[str, str], told: list[str]
) -> None:
    variables = {"SIGMOID_WORKERS": workers, **variables}
    with on_terminal("serve", "--port", "0", **variables) as terminal:
        terminal.until("Ctrl-C")
        lines = terminal.lines
        assert len(lines) <= 8
        assert re.fullmatch(r"sigmoid-serve \S+ on \S+, \d+ threads?.*", lines[0])
        assert "breast-cancer 1" in lines[1]
        assert "30 features to malignant or benign" in lines[1]
        assert re.search(r"URL   http://127\.0\.0\.1:\d+  docs http\S+/docs", lines[3])
        if workers == "2":  # it is the supervisor that ends them
            for worker in children(terminal.process.pid):
                os.kill(worker, signal.SIGINT)
        assert asked(command_of(lines))["labels"] in ("malignant", "benign")
        asked(command_of(lines).replace("inputs", "input"))
        for sentence in told:
            terminal.until(sentence)
        terminal.interrupt()
        assert terminal.end() == 0
        *requests, last = terminal.lines[len(lines) :]
        assert last == STOPPED
        assert len(requests) == len(told)
        for line, sentence in zip(requests, told, strict=True):
            assert sentence in line


def test_long_rows_keys_and_tls(tmp_path: Path) -> None:
    path = tmp_path / "pixels.pt"
    torch.save(Classifier(784, 3, 10).state_dict(), path)
    certificate = tmp_path / "cert.pem"
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(str(certificate))
    key, line = new_key("me", is_admin=False)
    (tmp_path / "keys").write_text(line)
    options = ("--port", "0", "--activation", "sigmoid")
    files = ("--tls-cert-file", certificate, "--api-keys-file", tmp_path / "keys")
    with on_terminal("serve", path, *options, *files) as terminal:
        terminal.until("note")
        lines = terminal.lines
        assert len(lines) <= 8
        assert all(len(line) < 300 for line in lines)
        assert "784 features to 10 classes" in lines[1]
        assert "https://127.0.0.1:" in lines[2]
        assert "its card has no scaler" in lines[-1]
        assert "Bearer $KEY" in command_of(lines)
        assert asked(command_of(lines), KEY=key)["shape"] == [10]
        terminal.interrupt()
        assert terminal.end() == 0
        assert terminal.lines[len(lines) :] == [STOPPED]


def test_a_model_that_must_not_answer_and_a_path() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        served = Served(("a 1  x", "b 1  x", "c 1  x"), 7, "cpu", 0, "", ("n",) * 4)
        lines = greeting(Settings(uds=Path("/a b/s")), [listener], served)
        assert len(lines) == 8
        assert lines[3] == "  and 5 more: GET /models"
        assert lines[4].startswith("  URL   http://localhost at unix:/a b/s")
        assert "--unix-socket '/a b/s'" in lines[5]
        assert "/sigmoid" in lines[5]
        assert lines[7] == "  note  n (and 3 more: sigmoid-serve doctor)"
        after_a_long_load = greeting(Settings(), [listener], served, 7)
        assert len(after_a_long_load) == 7
        assert "and 6 more" in after_a_long_load[2]
        mutual = Settings(tls_cert_file=Path("c"), tls_client_ca_file=Path("d"))
        assert " --cert CLIENT.pem " in greeting(mutual, [listener], served)[5]


OTHER_ERROR = """
import signal, sys
from sigmoid_serve.cli import commands, keys
def key(name: str) -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise AttributeError("a module that is half imported")
keys.key = key
sys.argv = ["sigmoid-serve", "key", "a"]
commands.main()
"""


def test_ctrl_c_that_became_another_error() -> None:
    command = [sys.executable, "-c", OTHER_ERROR]
    outcome = subprocess.run(
        command, capture_output=True, env=environment(), check=False, text=True
    )
    assert (outcome.returncode, outcome.stderr.strip()) == (130, STOPPED)


# From the first imports to a service of two workers of which one may serve.
@pytest.mark.parametrize("seconds", [0.05, 0.5, 1.1, 2, 3])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_during_the_start(workers: str, seconds: float) -> None:
    serve = ("serve", "--port", "0")
    with started_on_terminal(*serve, SIGMOID_WORKERS=workers) as terminal:
        time.sleep(seconds)
        terminal.interrupt()
        code = terminal.end()
        _, *before, last = terminal.lines
        assert last == STOPPED
        assert code == (0 if before else 130)
        assert len(before) <= 8


@pytest.mark.parametrize(
    "command",
    [
        ("inspect", PRETRAINED / "digits/1/model.safetensors"),
        ("doctor", "--port", "0"),
    ],
)
@pytest.mark.parametrize("seconds", [0.05, 0.4, 1])
def test_ctrl_c_in_other_commands(command: tuple[str | Path], seconds: float) -> None:
    with started_on_terminal(*command) as terminal:
        time.sleep(seconds)
        terminal.interrupt()
        code = terminal.end()
        assert "Traceback" not in "".join(terminal.lines)
        if code:
            assert (code, terminal.lines) == (130, [STARTED, STOPPED])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_bad_checkpoint_is_told_before_anything(tmp_path: Path, workers: str) -> None:
    whole = (PRETRAINED / "digits/1/model.safetensors").read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(whole[:-9])
    good = PRETRAINED / "breast-cancer"
    outcome = call("serve", good, path, "--port", "0", "--workers", workers)
    assert outcome.returncode == 1
    assert "listening" not in outcome.stderr
    last = outcome.stderr.splitlines()[-1]
    assert last.startswith(f"sigmoid-serve: {path}: not a whole file of weights")
    with on_terminal("serve", path, "--port", "0", SIGMOID_WORKERS=workers) as terminal:
        assert terminal.end() == 1
        assert len(terminal.lines) == 1


def test_a_mistake_in_a_file_is_told_before_anything(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("no keys")
    assert "line 1 is not" in refused("serve", "--api-keys-file", keys)


def test_the_log_says_where_two_listen_once_they_are_ready(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(log, SIGMOID_WORKERS="2"):
        before, listens, _ = log.read_text().partition("listening on http://")
        assert listens
        assert before.count(", ready\n") == 2


def test_a_load_that_takes_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(announcement, "LONG_SECONDS", 0.01)
    caplog.set_level(logging.INFO)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = f"http://127.0.0.1:{listener.getsockname()[1]}"
        told = announcement.Announcement(Settings(), [listener])
        told.expect_models()
        while not caplog.messages:
            time.sleep(0.01)
        told.models_are_loaded(None)
        sentence = f"listening on {place}; the models are still being loaded"
        assert caplog.messages == [sentence]
        told = announcement.Announcement(Settings(), [listener])
        told.models_are_loaded(None)
        told.expect_models()
        time.sleep(0.1)
        assert caplog.messages[1:] == [f"listening on {place}"]
