"""The help, the version, mistakes and completion: quick, plain, and near the point."""

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

from sigmoid_serve.cli.commands import COMMANDS
from sigmoid_serve.configuration.environment import option, variable
from sigmoid_serve.configuration.settings import Settings
from tests.cli.here import call, done, refusal
from tests.cli.test_cli import call as call_process
from tests.running import TIMEOUT, environment

GROUPS = ("Models", "Network", "Processes", "Limits", "Time", "TLS and keys", "Logs")

# Prints what a command has imported, after what it prints itself.
_IMPORTED = """
import sys
sys.argv = ["sigmoid-serve", *sys.argv[1:]]
from sigmoid_serve.__main__ import main
try:
    main()
except SystemExit:
    print(*sorted(sys.modules))
"""


def imported(*arguments: str) -> set[str]:
    outcome = subprocess.run(
        [sys.executable, "-c", _IMPORTED, *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment(),
        check=True,
    )
    return set(outcome.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", ["--version", "--help", "-h"])
def test_what_is_asked_most_imports_least(arguments: str) -> None:
    slow = {"torch", "numpy", "pydantic", "rich", "fastapi", "pyarrow", "sklearn"}
    assert not imported(arguments) & slow


@pytest.mark.parametrize("arguments", ["serve -h", "serve --prot 1", "inspekt x"])
def test_mistakes_import_nothing_that_computes(arguments: str) -> None:
    slow = {"torch", "numpy", "rich", "fastapi", "pyarrow", "sklearn"}
    assert not imported(*arguments.split()) & slow


def test_every_command_is_listed() -> None:
    shown = done("-h")
    assert done("--help") == shown
    for name, (module, what) in COMMANDS.items():
        assert f"  {name} " in shown
        assert what in shown
        command = getattr(import_module(f"sigmoid_serve.cli.{module}"), name)
        first_word = (inspect.getdoc(command) or "").split()[0]
        assert what.startswith(first_word)
        assert done(name, "-h").startswith(f"Usage: sigmoid-serve {name} ")


def test_without_a_command_the_help_is_shown() -> None:
    outcome = call()
    assert outcome.returncode == 2
    assert outcome.stdout == ""
    assert outcome.stderr == done("-h")


@pytest.mark.parametrize("columns", ["80", "120"])
@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_every_setting_is_shown_in_a_group(command: str, columns: str) -> None:
    outcome = call(command, "--help", COLUMNS=columns)
    shown = outcome.stdout
    assert max(map(len, shown.splitlines())) <= int(columns)
    heads = [line[:-1] for line in shown.splitlines() if line[:1].isalpha()][1:]
    assert {"Arguments", *GROUPS, "Options"} <= {*heads}
    assert len(heads) == len({*heads}) <= 10
    words = set(shown.replace(";", " ").replace("]", " ").split())
    for name in Settings.model_fields:
        assert variable(name) in words
        assert option(name) in words or name == "models"
    assert "`name sha256-hex [admin]`" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("serve --prot 80", "No such option: --prot; did you mean --port or --host?"),
        ("train iris --epoch 3", "No such option: --epoch; did you mean --epochs"),
        ("inspekt model.pt", "No such command 'inspekt'. Did you mean 'inspect'?"),
        ("serv", "Did you mean 'serve'?"),
        ("--verson", "No such option: --verson; did you mean --version?"),
        ("key", "Missing argument 'name'"),
        ("key a b", "Got unexpected extra argument(s) (b)"),
        ("serve --port", "Option '--port' requires an argument"),
        ("serve --port http", "Invalid value for '--port': "),
        ("serve --port 99999", "--port: input should be less than or equal to 65535"),
        ("serve --max-body-bytes 0", "--max-body-bytes: input should be greater than"),
        ("serve --host [admin]/", "--host: expected an address such as"),
        ("serve --tls-key-file x", "--tls-key-file: it needs --tls-cert-file"),
        (
            "serve --max-elements 9 --max-queue-elements 9",
            "largest request, --max-elem",
        ),
        ("serve --uds /s --port 1", "--uds and --port: expected one of them"),
        ("doctor --device gpu", "--device: "),
        ("inspect m.pt --activation [x]", "--activation: expected "),
        ("convert m.pt -o m.safetensors --classes a,,b", "--classes: a name is empty"),
        ("convert m.pt -o m.safetensors --task [x]", "'--task': '[x]' is not one of"),
    ],
)
def test_what_cannot_be_meant(arguments: str, told: str) -> None:
    outcome = call(*arguments.split())
    assert outcome.returncode == 2, outcome.stderr
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("sigmoid-serve: ")
    assert told in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        ("serve", {"SIGMOID_PORT": "99999"}, "SIGMOID_PORT: input should be less"),
        ("serve", {"PORT": "x"}, "PORT: "),
        ("serve", {"SIGMOID_TLS_KEY_FILE": "x"}, "it needs SIGMOID_TLS_CERT_FILE"),
        ("inspect gone.pt", {}, "gone.pt: No such file"),
        ("convert m.pt -o m.safetensors --classes @gone", {}, "--classes: gone: "),
        ("key [x]", {}, "expected a name of 1 to 64 letters"),
    ],
)
def test_what_cannot_be_done(
    arguments: str, variables: dict[str, str], told: str
) -> None:
    outcome = call(*arguments.split(), folder=None, **variables)
    assert told in refusal(outcome)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("gone.pt", "gone.pt: No such file"),
        ("--tls-cert-file gone", "--tls-cert-file: expected PEM files"),
        ("--uds /gone/s", "--uds: cannot listen at /gone/s"),
    ],
)
def test_what_cannot_be_served(arguments: str, told: str) -> None:
    assert told in refusal(call_process("serve", *arguments.split()))


def test_completion() -> None:
    instruction = {"_SIGMOID_SERVE_COMPLETE": "complete_bash"}
    words = {"COMP_WORDS": "sigmoid-serve se", "COMP_CWORD": "1"}
    shown = call_process(folder=None, **instruction, **words).stdout
    assert shown.split() == ["serve"]
    words = {"COMP_WORDS": "sigmoid-serve serve --por", "COMP_CWORD": "2"}
    shown = call_process(folder=None, **instruction, **words).stdout
    assert shown.split() == ["--port"]
