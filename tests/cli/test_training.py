"""`train`: its options, what it reports, and Ctrl-C."""

import json
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sigmoid_models.checkpoint import load_checkpoint
from sigmoid_serve.cli.commands import app
from sigmoid_serve.cli.saving import proposed_name, serve_command
from sigmoid_serve.cli.training.command import first_interrupt
from sigmoid_serve.repository.naming import is_name
from tests.cli.here import done, refused
from tests.cli.terminal import in_terminal
from tests.cli.test_cli import call, write_csv

# So large that an epoch takes long enough to be interrupted.
SLOW = ("digits", "--model", "deep", "--hidden", "256", "--epochs", "100000")


def misused(*arguments: str | Path) -> str:
    """Return the sentence of a usage error, without the box around it."""
    outcome = CliRunner().invoke(app, [*map(str, arguments)])
    assert outcome.exit_code == 2
    assert outcome.stdout == ""
    return re.sub(r"[│\s]+", " ", outcome.stderr)


def rare(path: Path, positives: int = 10) -> Path:
    """Write 1,000 rows of noise, 1 % of them of the class yes."""
    rows = np.random.default_rng(0).standard_normal((1000, 2)).tolist()
    lines = [
        f"{x},{y},{'yes' if index < positives else 'no'}"
        for index, (x, y) in enumerate(rows)
    ]
    path.write_text("\n".join(["x,y,found", *lines]) + "\n")
    return path


@pytest.mark.parametrize(
    ("arguments", "option", "finding"),
    [
        ("iris --target kind", "--target", "is for files, and iris is a bundled set"),
        ("iris --drop kind", "--drop", "is for files"),
        ("iris --positive a", "--positive", "is for files"),
        ("iris --validation a.csv", "--validation", "is for files"),
        ("iris --test a.csv", "--test", "is for files"),
        ("iris --decimal ,", "--decimal", "is for files"),
        ("iris --no-header", "--header/--no-header", "is for files"),
        ("iris --layers 3", "--layers", "is for --model deep"),
        ("iris --report a.pdf", "--report", "a.pdf must end in .html"),
        ("iris --class-weights even", "--class-weights", "'balanced'"),
        ("iris --threads 0", "--threads", "greater than or equal to 1"),
        (f"{__file__}", "--target", "must name the column of the classes"),
        (f"{__file__} --target a --drop a", "--drop", "is the column of the classes"),
        (f"{__file__} --target a --test {__file__}", "--test", "the file to train on"),
        (f"{__file__} --target a --test -", "--test", "only the rows to train on may"),
    ],
)
def test_options_that_do_not_fit(arguments: str, option: str, finding: str) -> None:
    shown = misused("train", *arguments.split())
    assert option in shown
    assert finding.replace(" ", "") in shown.replace(" ", "")


def test_devices_that_are_not_there() -> None:
    assert "cuda:99" in refused("train", "iris", "--device", "cuda:99")


def test_one_document_of_json(tmp_path: Path) -> None:
    path = tmp_path / "iris.safetensors"
    arguments = ("train", "iris", "--epochs", "3", "--json", "--output", path)
    outcome = call(*arguments)
    assert outcome.returncode == 0
    assert outcome.stderr == ""
    document = json.loads(outcome.stdout)
    assert document["checkpoint"] == str(path)
    assert document["serve"] == f"sigmoid-serve serve {path}"
    assert document["replaced"] is document["stopped"] is False
    assert document["rows"] == {"training": 90, "validation": 30, "test": 30}
    assert [epoch["number"] for epoch in document["epochs"]] == [1, 2, 3]
    metrics = load_checkpoint(path).card.metrics
    assert metrics
    assert document["evaluation"]["measures"] == metrics.model_dump()
    assert len(document["evaluation"]["confusion_matrix"]) == 3
    assert json.loads(done(*arguments))["replaced"] is True


def test_a_report(tmp_path: Path) -> None:
    report = tmp_path / "größe.html"
    arguments = ("train", "wine", "--epochs", "3", "--report", report)
    shown = done(*arguments, folder=tmp_path)
    assert f"wrote {report}" in shown
    text = report.read_text(encoding="utf-8")
    assert text.count("<svg") == 4
    assert "Loss per epoch" in text
    assert [path.suffix for path in tmp_path.iterdir()].count(".tmp") == 0
    lost = tmp_path / "none" / "r.html"
    assert "make it first" in refused("train", "wine", "--report", lost)


def test_what_was_there_is_said_to_be_replaced(tmp_path: Path) -> None:
    arguments = ("train", "iris", "--epochs", "1")
    assert "wrote iris.safetensors\n" in done(*arguments, folder=tmp_path)
    shown = done(*arguments, folder=tmp_path)
    assert "replaced iris.safetensors\n" in shown
    assert shown.endswith("serve it: sigmoid-serve serve iris.safetensors\n")


def test_a_model_that_beats_nothing_is_told_so(tmp_path: Path) -> None:
    data = rare(tmp_path / "rare.csv")
    arguments = ("train", data, "--target", "found", "--epochs", "5")
    shown = done(*arguments, folder=tmp_path)
    assert re.search(r"accuracy +│ 0\.9900 ", shown)
    assert re.search(r"largest class +│ 0\.9900 ", shown)
    assert re.search(r"precision +│ +– │ not defined: no row was given 'yes'", shown)
    assert "warning: the accuracy, 0.9900, is not above the share of the" in shown
    assert "warning: never predicted, though there are rows: 'yes' (2 rows)" in shown


def test_names_that_the_locale_does_not_have(tmp_path: Path) -> None:
    rows = [f"{index % 7},{'á' if index % 2 else '[猫]'}" for index in range(40)]
    (tmp_path / "d.csv").write_text("\n".join(["größe,k", *rows]), encoding="utf-8")
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    arguments = ("d.csv", "--target", "k", "--epochs", "1", "--report", "d.html")
    outcome = call("train", *arguments, folder=tmp_path, **ascii_only)
    assert outcome.returncode == 0, outcome.stderr
    assert "[\\u732b]" in outcome.stdout
    assert "[猫]" in (tmp_path / "d.html").read_text(encoding="utf-8")


def test_columns_classes_and_files(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "all.csv", "breast-cancer", target=True)
    lines = data.read_text().splitlines()
    (tmp_path / "a.csv").write_text("\n".join([lines[0], *lines[1:400]]))
    (tmp_path / "b.csv").write_text("\n".join([lines[0], *lines[400:480]]))
    (tmp_path / "c.csv").write_text("\n".join([lines[0], *lines[480:]]))
    files = ("--validation", "b.csv", "--test", "c.csv", "--drop", "mean area")
    options = ("--target", "kind", "--positive", "benign", "--epochs", "3", "--json")
    shown = json.loads(done("train", "a.csv", *files, *options, folder=tmp_path))
    assert shown["rows"] == {"training": 399, "validation": 80, "test": 90}
    assert "mean area" not in shown["features"]
    assert len(shown["features"]) == 29
    assert shown["evaluation"]["classes"] == ["malignant", "benign"]
    card = load_checkpoint(tmp_path / "a.safetensors").card
    assert card.classes == ("malignant", "benign")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("iris", "iris"),
        ("data/my flowers (1).csv", "my-flowers-1"),
        ("größe.csv", "groe"),
        ("データ.parquet", "model"),
        ("sigmoid.csv", "sigmoid-model"),
        ("stats.csv.gz", "stats-model"),
        ("a.b.csv.gz", "a.b"),
        ("-", "model"),
        ("-x.csv", "x"),
        (f"{'long' * 30}.csv", "long" * 16),
        (f"{'a' * 63}..csv", "a" * 63),
    ],
)
def test_proposed_names_can_be_served(data: str, name: str) -> None:
    assert proposed_name(data) == name
    assert is_name(name)


def test_the_command_to_serve_is_as_a_shell_takes_it() -> None:
    for path, command in {
        "m.safetensors": "m.safetensors",
        "my models/m.safetensors": "'my models/m.safetensors'",
        "-m.safetensors": "./-m.safetensors",
        "my model.safetensors": "'my-model=my model.safetensors'",
        "stats.safetensors": "stats-model=stats.safetensors",
    }.items():
        assert serve_command(Path(path)) == f"sigmoid-serve serve {command}"


def test_ctrl_c_keeps_the_best_network_so_far(tmp_path: Path) -> None:
    endless = ["train", *SLOW, "--patience", "100000"]
    code, shown = in_terminal(endless, tmp_path, ["epoch [1-9]"])
    assert code == 130
    last = shown.rstrip().splitlines()[-1].removeprefix("\x1b[?25h")
    assert last.startswith("sigmoid-serve: stopped after epoch ")
    assert "wrote digits.safetensors with the best network so far" in last
    assert "Traceback" not in shown
    card = load_checkpoint(tmp_path / "digits.safetensors").card
    assert card.training
    assert f"that of epoch {card.training.epochs}" in last


def test_ctrl_c_before_the_first_epoch_has_ended(tmp_path: Path) -> None:
    much = (*SLOW, "--hidden", "1024", "--layers", "10", "--batch-rows", "1")
    code, shown = in_terminal(["train", *much], tmp_path, ["epoch 0/"])
    assert code == 130
    last = shown.rstrip().splitlines()[-1].removeprefix("\x1b[?25h")
    assert last.startswith("sigmoid-serve: training was stopped before the first epoch")
    assert last.endswith("; nothing was written")
    assert not list(tmp_path.iterdir())


def test_a_second_ctrl_c_is_raised() -> None:
    before = signal.getsignal(signal.SIGINT)
    with first_interrupt() as is_stopped:
        assert not is_stopped()
        signal.raise_signal(signal.SIGINT)
        assert is_stopped()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_that_a_shell_has_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with first_interrupt() as is_stopped:
            signal.raise_signal(signal.SIGINT)
            assert not is_stopped()
    finally:
        signal.signal(signal.SIGINT, before)
