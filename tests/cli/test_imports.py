"""What is imported for what: PyTorch takes seconds, and mostly nobody waits for it."""

import subprocess
import sys

import pytest

import sigmoid_models
import sigmoid_serve
from tests.running import TIMEOUT, environment

# Runs a command, then says which of the slow ones it has imported.
_COMMAND = """
import sys
sys.argv = ["sigmoid-serve", *sys.argv[1:]]
from sigmoid_serve.cli.commands import main
try:
    main()
except SystemExit as end:
    print(end.code, *{"torch", "numpy", "fastapi"} & set(sys.modules))
"""


def run(code: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment(),
        check=True,
    ).stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("--version", "0"),
        ("--help", "0"),
        ("-h", "0"),
        ("serve --help", "0"),
        ("train --help", "0"),
        ("serve --prot 80", "2"),
        ("serve --port 99999", "2"),
        ("inspekt model.pt", "2"),
        ("predict model.pt", "2"),
        ("train iris --model wide", "2"),
        ("key", "2"),
    ],
)
def test_what_is_told_at_once(arguments: str, code: str) -> None:
    assert run(_COMMAND, *arguments.split()).splitlines()[-1] == code


def test_a_key_takes_no_pytorch() -> None:
    key, line, end = run(_COMMAND, "key", "alice").splitlines()
    assert line.startswith("alice ")
    assert key
    assert end == "0"


@pytest.mark.parametrize(
    "modules", ["sigmoid_serve, sigmoid_models", "sigmoid_serve.healthcheck"]
)
def test_what_takes_no_other_package(modules: str) -> None:
    code = f"import sys; import {modules}; print(*sys.modules)"
    imported = set(run(code).split())
    assert "sigmoid_serve" in imported
    slow = {"torch", "numpy", "fastapi", "starlette", "pydantic", "uvicorn", "typer"}
    assert not imported & slow


@pytest.mark.parametrize("package", [sigmoid_models, sigmoid_serve])
def test_what_is_public(package: object) -> None:
    name = getattr(package, "__name__", "")
    public: list[str] = getattr(package, "__all__", [])
    assert public == sorted(set(public))
    assert set(public) <= set(dir(package))
    for each in public:
        module = getattr(package, each).__module__
        assert module.startswith(f"{name}."), each
    with pytest.raises(AttributeError, match=f"'{name}' has no attribute 'nothing'"):
        _ = package.nothing  # type: ignore[attr-defined]


def test_a_client_leaves_the_threads_of_others_alone() -> None:
    """PyTorch is not imported, and NumPy's pool stays as it is."""
    start = "import os, sys; os.environ.pop('OPENBLAS_NUM_THREADS', None); "
    code = (
        f"{start}from sigmoid_serve import Client; Client(); "
        "slow = {'torch', 'fastapi', 'starlette', 'pydantic', 'uvicorn', 'typer'}; "
        "print(*slow & set(sys.modules), os.environ.get('OPENBLAS_NUM_THREADS'))"
    )
    assert run(code) == "None\n"


def test_names_are_imported_by_name() -> None:
    names = "from sigmoid_models import DeepClassifier, load_checkpoint, sigmoid"
    app = "from sigmoid_serve import create_app"
    start = "import os; os.environ.pop('OPENBLAS_NUM_THREADS', None)"
    shown = "print(create_app.__name__, os.environ['OPENBLAS_NUM_THREADS'])"
    assert run(f"{start}; {app}; {names}; {shown}") == "create_app 1\n"
