"""What is installed from the wheel, beside modules of a user's own."""

import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from tests.running import TIMEOUT, environment, serving, until_ready

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
PACKAGES = {"sigmoid_models", "sigmoid_serve"}


def called(*command: str | Path, **variables: str) -> str:
    outcome = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment(**variables),
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-build-isolation", "--no-index")
    called(*PIP, "wheel", *options, "--wheel-dir", folder, ROOT)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    called(*PIP, "install", "--no-deps", "--no-index", "--target", folder, wheel)
    return folder


@pytest.fixture
def variables(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The environment of a user in a folder with modules whose names are common."""
    for name in ("app", "models", "service", "settings"):
        (tmp_path / f"{name}.py").write_text(f"raise RuntimeError('{name}')\n")
    monkeypatch.chdir(tmp_path)
    # The coverage of what is installed would count beside that of the sources.
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    return {"PYTHONPATH": f".:{installed}"}


def test_what_the_wheel_holds(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = archive.namelist()
    tops = {name.partition("/")[0] for name in files}
    assert tops == PACKAGES | {f"sigmoid_serve-{version('sigmoid-serve')}.dist-info"}
    for package in PACKAGES:
        assert f"{package}/py.typed" in files
    pretrained = "sigmoid_models/pretrained"
    assert {name for name in files if name.startswith(f"{pretrained}/")} == {
        f"{pretrained}/breast-cancer/1/model.safetensors",
        f"{pretrained}/digits/1/model.safetensors",
    }
    ours = {
        path.relative_to(folder).as_posix()
        for folder in (ROOT / "models", ROOT / "service")
        for path in folder.rglob("*.py")
    }
    assert {name for name in files if name.endswith(".py")} == ours


def test_the_commands(variables: dict[str, str], installed: Path) -> None:
    expected = f"{version('sigmoid-serve')}\n"
    command = (sys.executable, "-m", "sigmoid_serve", "--version")
    assert called(*command, **variables) == expected
    script = installed / "bin" / "sigmoid-serve"
    assert called(script, "--version", **variables) == expected


def test_the_imports(variables: dict[str, str], installed: Path) -> None:
    code = """
from sigmoid_models import DeepClassifier, load_checkpoint, sigmoid
from sigmoid_serve import create_app
import sigmoid_models, sigmoid_serve
print(sigmoid_models.__file__, sigmoid_serve.__file__, sep="\\n")
"""
    assert called(sys.executable, "-c", code, **variables).splitlines() == [
        str(installed / package / "__init__.py") for package in sorted(PACKAGES)
    ]


def test_the_first_import_needs_no_other_package(variables: dict[str, str]) -> None:
    code = "import sigmoid_serve, sigmoid_models, sigmoid_serve.healthcheck"
    without_site_packages = (sys.executable, "-S", "-c", code)
    assert called(*without_site_packages, **variables) == ""


def test_it_serves(variables: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(log, **variables) as (process, address):
        with httpx.Client(base_url=address, timeout=TIMEOUT) as client:
            until_ready(client)
            answer = client.post("/sigmoid", json={"inputs": [0]})
            assert answer.json()["outputs"] == [0.5]
            assert len(client.get("/models").json()["models"]) == 2
        process.terminate()
        assert process.wait(TIMEOUT) == 0
