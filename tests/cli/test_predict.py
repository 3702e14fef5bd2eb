"""`predict`: tables in, what a model says of their rows out."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import Golden, ModelCard, Scaler
from sigmoid_models.checkpoint import load_checkpoint, save_checkpoint
from sigmoid_models.classifier import Classifier
from sigmoid_models.messages import UserError
from sigmoid_models.probabilities import Float32Array
from sigmoid_serve.cli.prediction import predict
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.cli import here
from tests.cli.test_cli import call, write_csv
from tests.conftest import serve
from tests.running import COMMAND, TIMEOUT, environment, until_ready

SERVED = PRETRAINED / "breast-cancer/1/model.safetensors"

SHALLOW = {"kind": "Classifier"}
DEEP = {"kind": "DeepClassifier"}
CARDS: dict[str, dict[str, Any]] = {
    "shallow-binary": {**SHALLOW, "sizes": (4, 8, 1), "task": "binary"},
    "named-binary": {**SHALLOW, "sizes": (4, 8, 1), "task": "binary"}
    | {"classes": ("no", "yes, it is"), "thresholds": (0.4,)},
    "deep-multiclass": {**DEEP, "sizes": (4, 8, 8, 8, 3), "task": "multiclass"},
    "softmax": {**SHALLOW, "sizes": (4, 8, 3), "task": "multiclass"}
    | {"link": "softmax", "classes": ("ä", "良", 'c"')},
    "temperature": {**DEEP, "sizes": (4, 8, 8, 2), "task": "multiclass"}
    | {"temperature": 1.7, "classes": ("a", "b")},
    "multilabel": {**SHALLOW, "sizes": (4, 8, 3), "task": "multilabel"}
    | {"classes": ("a", "b", "c"), "thresholds": (0.4, 0.5, 0.6)},
    "multilabel-of-one": {**SHALLOW, "sizes": (4, 8, 1), "task": "multilabel"},
    "large": {"kind": "Sequential", "sizes": (4, 1024, 1024, 2), "task": "multiclass"},
}
FEATURES = ("w", "x", "y", "z")


def saved(folder: Path, name: str) -> Path:
    fields = dict(CARDS[name])
    architecture = Architecture(kind=fields.pop("kind"), sizes=fields.pop("sizes"))
    card = ModelCard(
        architecture=architecture,
        activation="sigmoid",
        features=FEATURES,
        scaler=Scaler(mean=(1, 2, 3, 4), scale=(2, 3, 4, 5)),
        **fields,
    )
    torch.manual_seed(7)
    path = folder / f"{name}.safetensors"
    save_checkpoint(path, architecture.build(card.activations), card)
    return path


@pytest.fixture(scope="module")
def rows() -> Any:
    return np.random.default_rng(1).normal(0, 8, (700, 4))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {name: saved(folder, name) for name in CARDS}


@pytest.fixture(scope="module")
def client(models: dict[str, Path]) -> Iterator[httpx.Client]:
    named = [Path(f"{name}={path}") for name, path in models.items()]
    with serve(Settings(), named) as client:
        until_ready(client)
        yield client


def written(path: Path, rows: Any) -> Path:
    """Write rows as CSV, their columns in another order and among others."""
    lines = ["id,z,y,note,x,w"]
    lines += [
        f"{i:05},{z!r},{y!r},n,{x!r},{w!r}" for i, (w, x, y, z) in enumerate(rows)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def answers(
    capfd: Any,
    model: Path,
    data: Path,
    output: Path | None = None,
    *kept: str,
    **options: Any,
) -> str:
    """Predict in this process, where PyTorch is imported already."""
    capfd.readouterr()
    predict(model, data, output, list(kept), **options)
    return str(capfd.readouterr().out)


def as_float32(cells: Any) -> Float32Array:
    return np.array(cells, dtype=np.float64).astype(np.float32)


@pytest.mark.parametrize("name", CARDS)
def test_answers_are_those_of_the_server(
    tmp_path: Path,
    client: httpx.Client,
    models: dict[str, Path],
    rows: Any,
    name: str,
    capfd: Any,
) -> None:
    answer = client.post(f"/models/{name}/predict", json={"inputs": rows.tolist()})
    assert answer.status_code == 200, answer.text
    likely, decided = (
        as_float32(answer.json()["probabilities"]),
        answer.json()["labels"],
    )
    if np.ndim(decided) == 1:
        decided = [[label] for label in decided]
    data, output = written(tmp_path / "d.csv", rows.tolist()), tmp_path / "p.parquet"
    printed = answers(capfd, models[name], data, None, "id")
    answers(capfd, models[name], data, output, "id")
    header, *lines = csv.reader(io.StringIO(printed))
    table = pq.read_table(output)
    assert header == table.column_names
    labels = 1 + len(decided[0])
    kept = [f"{i:05}" for i in range(len(rows))]
    assert [line[0] for line in lines] == kept == table.column("id").to_pylist()
    assert [line[1:labels] for line in lines] == [[*map(str, d)] for d in decided]
    columns = [column.to_numpy() for column in table.columns]
    assert np.array(columns[1:labels]).T.tolist() == decided
    np.testing.assert_array_equal(as_float32([line[labels:] for line in lines]), likely)
    assert columns[-1].dtype == np.float32
    np.testing.assert_array_equal(np.array(columns[labels:]).T, likely)


def test_forms_and_names_of_columns(
    tmp_path: Path, models: dict[str, Path], capfd: Any
) -> None:
    data = written(tmp_path / "d.csv", [(1.0, 2.0, 3.0, 4.0)])
    header, line = answers(capfd, models["multilabel"], data).splitlines()
    names = [f"{what}_{name}" for what in ("label", "probability") for name in "abc"]
    assert header.split(",") == names
    output = tmp_path / "p.jsonl"
    assert answers(capfd, models["multilabel"], data, output) == ""
    document = json.loads(output.read_text())
    assert list(document) == names
    assert [str(document[name]) for name in names[:3]] == line.split(",")[:3]
    printed = answers(capfd, models["named-binary"], data)
    assert printed.startswith('label,"probability_yes, it is"\n')
    printed = answers(capfd, models["shallow-binary"], data, None, "w", "id")
    assert printed.startswith("w,id,label,probability_1\n1.0,00000,")


def test_parquet_and_standard_input(
    tmp_path: Path, models: dict[str, Path], rows: Any, capfd: Any
) -> None:
    data = written(tmp_path / "d.csv", rows.tolist())
    expected = answers(capfd, models["softmax"], data)
    columns: dict[str, Any] = dict(zip(FEATURES, map(pa.array, rows.T), strict=True))
    columns["id"] = pa.array(range(len(rows)))
    pq.write_table(pa.table(columns), tmp_path / "d.parquet")
    path = tmp_path / "d.parquet"
    assert answers(capfd, models["softmax"], path) == expected
    output = tmp_path / "p.ndjson"
    answers(capfd, models["softmax"], path, output, "id")
    ids = [json.loads(line)["id"] for line in output.read_text().splitlines()]
    assert ids == list(range(len(rows)))
    command = [*COMMAND, "predict", str(models["softmax"]), "-", "--output", "-"]
    outcome = subprocess.run(
        command, input=data.read_bytes(), capture_output=True, check=True
    )
    assert outcome.stdout.decode() == expected


@pytest.mark.parametrize("name", ["deep-multiclass", "large"])
def test_threads_change_no_bit(
    tmp_path: Path, models: dict[str, Path], rows: Any, name: str
) -> None:
    data = written(tmp_path / "d.csv", np.tile(rows, (60, 1)).tolist())
    for threads in (1, 3):
        output = tmp_path / f"{threads}.csv"
        predict(models[name], data, output, ["id"], threads=threads)
    one, three = (tmp_path / f"{threads}.csv" for threads in (1, 3))
    assert one.read_bytes() == three.read_bytes()
    assert one.read_bytes().count(b"\n") == 42_001


def test_the_output_is_utf_8_whatever_the_locale(
    tmp_path: Path, models: dict[str, Path]
) -> None:
    data = tmp_path / "d.csv"
    data.write_text("größe,w,x,y,z\n長さ,1,2,3,4\n", encoding="utf-8")
    arguments = ("predict", models["softmax"], data, "--keep", "größe")
    environ: dict[str, Any] = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONIOENCODING": "ascii",
    }
    command = [*COMMAND, *map(str, arguments)]
    outcome = subprocess.run(
        command, capture_output=True, env=environment(**environ), check=False
    )
    assert outcome.stderr == b""
    header, row = csv.reader(io.StringIO(outcome.stdout.decode()))
    assert header[2:] == ["probability_ä", "probability_良", 'probability_c"']
    assert header[0] == "größe"
    assert row[0] == "長さ"
    assert row[1] in ("ä", "良", 'c"')
    output = tmp_path / "p.csv"
    assert call(*arguments, "-o", output, **environ).returncode == 0
    assert output.read_bytes() == outcome.stdout


def told_by(*arguments: Any, **options: Any) -> str:
    with pytest.raises(UserError) as refusal:
        predict(*arguments, **options)
    return str(refusal.value)


def test_columns_that_are_missing(tmp_path: Path, models: dict[str, Path]) -> None:
    data = tmp_path / "d.csv"
    data.write_text("W,y,extra\n1,2,3\n")
    told = told_by(models["softmax"], data, keep=["id"])
    assert all(f"'{name}'" in told for name in ("id", "w", "x", "z", "W", "extra"))
    data.write_text("w,x,y,z,label\n1,2,3,4,q\n")
    told = told_by(models["softmax"], data, keep=["label"])
    assert "--keep label: the answers have a column of that name" in told


def test_without_names(tmp_path: Path, capfd: Any) -> None:
    path, data = tmp_path / "m.pt", tmp_path / "d.csv"
    torch.save(Classifier(2, 3, 1).state_dict(), path)
    data.write_text("p,q\n1,2\n3,4\n")
    sigmoid: dict[str, Any] = {"activation": "sigmoid"}
    header, *rows = answers(capfd, path, data, **sigmoid).splitlines()
    assert header == "label,probability_1"
    assert [row[:4] for row in rows] in (["0,0."] * 2, ["1,0."] * 2)
    data.write_text("p,q,r\n1,2,3\n")
    told = told_by(path, data, **sigmoid)
    assert "takes 2 features, the header has 3 columns; " in told
    assert "take out the one that is no feature, with --keep COLUMN, of p, q, r" in told
    printed = answers(capfd, path, data, None, "p", **sigmoid)
    assert printed.startswith("p,label,probability_1\n1,")
    told = told_by(path, data, keep=["p", "r"], **sigmoid)
    assert "the header has 1 column beside those of --keep (p, r); " in told
    assert "all 2 must be there, in the order of training" in told
    assert "activation" in told_by(path, data)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_row_without_an_answer(
    tmp_path: Path, models: dict[str, Path], ending: str
) -> None:
    data, output = tmp_path / "d.csv", tmp_path / f"p.{ending}"
    data.write_text("w,x,y,z\n" + "1,2,3,4\n" * 5000 + "1,2,1e300,4\n" + "1,2,3,4\n")
    output.write_text("old")
    told = told_by(models["softmax"], data, output)
    assert f"{data}: line 5002, column 'y': expected features within the" in told
    assert output.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == [data, output]


def test_a_row_whose_logits_are_not_finite(tmp_path: Path) -> None:
    path, data = tmp_path / "m.pt", tmp_path / "d.csv"
    state = Classifier(2, 3, 1).state_dict()
    state |= {"fc1.weight": torch.ones(3, 2), "fc2.weight": torch.full((1, 3), 3e38)}
    torch.save(state, path)
    data.write_text("p,q\n-1e30,-1e30\n1e30,1e30\n")
    told = told_by(path, data, activation="sigmoid")
    assert f"{data}: line 3: expected finite logits" in told


def test_what_cannot_be_meant(tmp_path: Path) -> None:
    missing, data = tmp_path / "m.safetensors", tmp_path / "d.csv"
    for options, finding in (
        (("-o", "p.xlsx"), "--output p.xlsx: expected a name that ends in .csv, "),
        (("--output", "p"), "--output p: expected a name that ends in .csv, "),
        (("--keep", "a", "--keep", "a"), "--keep a is there twice"),
    ):
        outcome = here.call("predict", missing, data, *options, folder=tmp_path)
        assert outcome.returncode == 2
        assert finding in outcome.stderr
        assert len(outcome.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_places_that_are_refused(tmp_path: Path, models: dict[str, Path]) -> None:
    data = written(tmp_path / "d.csv", [(1.0, 2.0, 3.0, 4.0)])
    before = data.read_bytes()
    (tmp_path / "link.csv").symlink_to(data)
    for output in (data, tmp_path / "link.csv"):
        told = told_by(models["softmax"], data, output)
        assert "is what is read; choose another file" in told
    assert data.read_bytes() == before
    told = told_by(models["softmax"], data, tmp_path / "no" / "p.csv")
    assert "there is no such folder" in told


def test_golden_rows_that_come_out_wrong(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    checkpoint = load_checkpoint(SERVED)
    golden = Golden(inputs=((0.0,) * 30,), logits=((9e9,),))
    card = checkpoint.card.model_copy(update={"golden": golden})
    save_checkpoint(path, checkpoint.network, card)
    data = write_csv(tmp_path / "d.csv", "breast-cancer", target=False)
    assert "golden check failed" in told_by(path, data)


def test_a_pipe_that_nobody_reads(
    tmp_path: Path, models: dict[str, Path], rows: Any
) -> None:
    data = written(tmp_path / "d.csv", np.tile(rows, (60, 1)).tolist())
    command = [*COMMAND, "predict", str(models["softmax"]), str(data), "--keep", "id"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith(b"id,label,")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(TIMEOUT) == 141


def test_ctrl_c(tmp_path: Path, models: dict[str, Path]) -> None:
    output = tmp_path / "p.csv"
    output.write_text("old")
    command = [*COMMAND, "predict", str(models["softmax"]), "-", "-o", str(output)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        try:
            assert process.stdin
            end = time.monotonic() + TIMEOUT
            process.stdin.write(b"w,x,y,z\n" + b"1,2,3,4\n" * 2_000_000)
            while len(list(tmp_path.iterdir())) < 2:
                assert time.monotonic() < end
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT) == 130
            assert process.stderr
            assert process.stderr.read() == b"sigmoid-serve: stopped\n"
        finally:
            process.kill()
    assert output.read_text() == "old"
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.skipif(
    sys.platform == "win32", reason="there are no terminals of this kind"
)
def test_what_a_terminal_shows(tmp_path: Path, models: dict[str, Path]) -> None:
    data = written(tmp_path / "d.csv", [(1.0, 2.0, 3.0, 4.0)] * 1000)
    ours, theirs = os.openpty()
    command = [*COMMAND, "predict", str(models["softmax"]), str(data)]
    outcome = subprocess.run(
        [*command, "-o", str(tmp_path / "p.csv")],
        stderr=theirs,
        env=environment(TERM="xterm"),
        check=True,
    )
    os.close(theirs)
    shown = b""
    while part := _read(ours):
        shown += part
    os.close(ours)
    assert outcome.returncode == 0
    assert b"1,000 rows, " in shown
    assert shown.strip().split(b"1,000 rows in ")[1].endswith(b" s")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 2**16)
    except OSError:  # the other end is closed
        return b""
