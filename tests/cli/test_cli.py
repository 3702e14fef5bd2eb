"""The command line, as a process of its own."""

import csv
import io
import json
import re
import signal
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from sigmoid_models.checkpoint import load_checkpoint
from sigmoid_models.probabilities import labels, probabilities
from sigmoid_models.training.datasets import load_bundled
from sigmoid_serve.engine.engine import Engine
from tests.cli import here
from tests.running import COMMAND, TIMEOUT, environment, serving, until_ready


def call(
    *arguments: str | Path, folder: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        cwd=folder,
        env=environment(**variables),
        check=False,
    )


def done(*arguments: str | Path, folder: Path | None = None) -> str:
    return here.output(call(*arguments, folder=folder))


def refused(*arguments: str | Path, **variables: str) -> str:
    return here.refusal(call(*arguments, folder=None, **variables))


def write_csv(path: Path, name: str, *, target: bool) -> Path:
    dataset = load_bundled(name)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*dataset.features, *(["kind"] * target)])
        for row, index in zip(dataset.rows.tolist(), dataset.targets, strict=True):
            writer.writerow([*row, *([dataset.classes[index]] * target)])
    return path


def test_version() -> None:
    assert done("--version") == f"{version('sigmoid-serve')}\n"


def test_train_inspect_predict(tmp_path: Path) -> None:
    path = tmp_path / "out" / "iris.safetensors"
    shown = done("train", "iris", "--epochs", "3", "--output", path)
    assert "accuracy" in shown
    assert "fc1" in shown
    assert f"wrote {path}" in shown

    shown = here.done("inspect", path)
    checkpoint = load_checkpoint(path)
    assert "Classifier 4-64-3" in shown
    assert "6 come out right" in shown
    assert "petal width (cm)" in shown
    assert checkpoint.sha256 in shown.replace("\n", "")

    data = write_csv(tmp_path / "iris.csv", "iris", target=True)
    printed = here.done("predict", path, data)
    assert here.done("predict", path, data, "--output", tmp_path / "p.csv") == ""
    assert (tmp_path / "p.csv").read_text() == printed
    header, *rows = csv.reader(io.StringIO(printed))
    classes = ("setosa", "versicolor", "virginica")
    assert header == ["label", *(f"probability_{name}" for name in classes)]
    engine = Engine(checkpoint, torch.device("cpu"), 4096)
    logits = engine.logits(load_bundled("iris").rows)
    likely = probabilities(logits, checkpoint.card)
    expected = labels(logits, likely, checkpoint.card).tolist()
    assert [row[0] for row in rows] == expected
    found = np.array([row[1:] for row in rows], dtype=np.float32)
    np.testing.assert_array_equal(found, likely)


def test_train_on_a_file(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "flowers.csv", "breast-cancer", target=True)
    arguments = ("--target", "kind", "--epochs", "2", "--model", "deep")
    shown = here.done("train", data, *arguments, "--layers", "2", folder=tmp_path)
    assert "wrote flowers.safetensors" in shown
    assert "layers.1" in shown
    card = load_checkpoint(tmp_path / "flowers.safetensors").card
    assert card.task == "binary"
    assert card.training
    assert card.training.dataset == "flowers.csv"
    printed = here.done("predict", tmp_path / "flowers.safetensors", data)
    assert printed.splitlines()[0] == "label,probability_malignant"
    assert len(printed.splitlines()) == 570


def test_refused_commands(tmp_path: Path) -> None:
    missing = tmp_path / "missing.pt"
    assert "No such file" in refused("serve", SIGMOID_MODELS=str(missing))
    assert "No such file" in here.refused("inspect", missing)
    assert "SIGMOID_PORT: " in here.refused("serve", SIGMOID_PORT="99999")
    many = here.refused("serve", SIGMOID_MAX_ELEMENTS="many")
    assert "SIGMOID_MAX_ELEMENTS: " in many
    assert "neither a file nor one of" in here.refused("train", "irises")


def test_doctor() -> None:
    shown = done("doctor", "--port", "0")
    assert "threads per worker" in shown
    assert "SIGMOID_MAX_QUEUE_ELEMENTS" in shown
    assert "indings" in shown
    assert re.search(r"model digits 1 +│ ok +│ ready", shown)


def test_doctor_of_a_start_that_would_fail(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        outcome = call("doctor", tmp_path / "m[1].pt", "--port", port, "--json")
    assert outcome.returncode == 1
    assert outcome.stderr == ""
    told = json.loads(outcome.stdout)
    assert told["would_start"] is False
    fails = {c["name"]: c["finding"] for c in told["checks"] if c["state"] == "fails"}
    assert fails.keys() == {"address", "models"}
    assert "address already in use, by process " in fails["address"]
    assert fails["models"].startswith(f"{tmp_path}/m[1].pt: No such file")
    assert {"variable": "SIGMOID_PORT", "value": port, "comes_from": "option"} in told[
        "settings"
    ]


def test_a_checkpoint_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    path = tmp_path / "file" / "iris.safetensors"
    outcome = here.call("train", "iris", "--epochs", "1", "--output", path)
    assert outcome.returncode == 1
    last = outcome.stderr.splitlines()[-1]
    assert last.startswith(f"sigmoid-serve: {path} cannot be written: ")


def test_refused_training(tmp_path: Path) -> None:
    output = ("--output", tmp_path / "m.safetensors")
    told = here.refused("train", "iris", "--output", "m.pt")
    assert "must end in .safetensors" in told
    data = tmp_path / "d.csv"
    data.write_text("a,k\n1,x\n2,y\n")
    told = here.refused("train", data, "--target", "z", *output)
    assert "there is no column 'z'" in told
    assert list(tmp_path.iterdir()) == [data]


@pytest.mark.parametrize(
    ("header", "large"), [(",k", "2"), ("a" * 129 + ",k", "2"), ("a,k", "1e300")]
)
def test_data_that_no_card_can_describe(
    tmp_path: Path, header: str, large: str
) -> None:
    data = tmp_path / "d.csv"
    data.write_text(f"{header}\n" + f"1,x\n{large},y\n-{large},x\n" * 10)
    output = tmp_path / "m.safetensors"
    options = ("--target", "k", "--epochs", "1", "--output", output)
    outcome = here.call("train", data, *options)
    assert outcome.returncode == 1
    assert "Traceback" not in outcome.stderr
    assert not output.exists()


def test_training_that_diverges(tmp_path: Path) -> None:
    output = tmp_path / "m.safetensors"
    outcome = here.call("train", "iris", "--learning-rate", "10", "--output", output)
    assert outcome.returncode in (0, 1)
    assert "Traceback" not in outcome.stderr
    if output.exists():
        load_checkpoint(output)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_no_cuda() -> None:
    assert "there is no CUDA device" in refused("serve", "--device", "cuda")


def test_training_without_scikit_learn() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None; "
        "sys.argv = ['sigmoid-serve', 'train', 'iris']; "
        "from sigmoid_serve.cli.commands import main; main()"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment(),
        check=False,
    )
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("sigmoid-serve: training needs s")
    assert outcome.stderr.endswith(": pip install 'sigmoid-serve[train]'\n")
    assert len(outcome.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("ending", "workers"), [(signal.SIGTERM, "1"), (signal.SIGINT, "2")]
)
def test_serve_and_another_on_its_port(
    tmp_path: Path, ending: signal.Signals, workers: str
) -> None:
    log = tmp_path / "log"
    with serving(log, SIGMOID_PROT="1") as (process, address):
        with httpx.Client(base_url=address, timeout=TIMEOUT) as client:
            until_ready(client)
            answer = client.post("/sigmoid", json={"inputs": [0, -1000]})
            assert answer.status_code == 200, answer.text
            assert answer.json()["outputs"] == [0.5, 0]
        port = address.rpartition(":")[2]
        told = refused("serve", "--port", port, "--workers", workers)
        where = f"127.0.0.1 port {port}"
        assert f"--port: cannot listen on {where}: address already in use" in told
        process.send_signal(ending)
        assert process.wait(TIMEOUT) == 0
    text = log.read_text()
    assert "Traceback" not in text
    assert "SIGMOID_PROT is no setting and is ignored" in text
    assert text.count("model breast-cancer version 1") == 1
    assert "run by another server" not in text
    before, listens, _ = text.partition("listening on http://")
    assert listens
    assert before.count(", ready\n") == 2
    if not torch.cuda.is_available():
        assert "device: cpu (setting: auto)" in text
