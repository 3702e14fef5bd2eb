"""What KServe leaves in `/mnt/models` is served, by the name that it asks for."""

from collections.abc import Callable
from pathlib import Path
from shutil import copy

import pytest

from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.conftest import serve
from tests.deploy.objects import OBJECTS, PODS
from tests.running import settings_of

CHECKPOINT = PRETRAINED / "breast-cancer" / "1" / "model.safetensors"
NAME = OBJECTS["InferenceService fruit"]["metadata"]["name"]


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return Path(copy(CHECKPOINT, path))


def a_file(folder: Path) -> None:
    """One object of a bucket, or one address."""
    write(folder / "weights.safetensors")


def versions(folder: Path) -> None:
    """A folder of a bucket, or of a claim."""
    write(folder / "1" / "model.safetensors")
    write(folder / "2" / "model.safetensors")


def links(folder: Path) -> None:
    """What is on a disk already is linked, not copied."""
    stored = write(folder.parent / "stored" / "1" / "model.safetensors").parent
    folder.mkdir()
    (folder / "1").symlink_to(stored)


def a_repository(folder: Path) -> None:
    """A repository of a hub, with what its client keeps beside it."""
    write(folder / "model.safetensors")
    (folder / "README.md").write_text("# fruit\n")
    (folder / "config.json").write_text("{}\n")
    (folder / ".cache" / "huggingface").mkdir(parents=True)
    (folder / ".gitattributes").write_text("*.safetensors filter=lfs\n")


@pytest.mark.parametrize("lay_out", [a_file, versions, links, a_repository])
def test_what_the_initializer_leaves_is_served(
    lay_out: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    lay_out(folder)
    argument = PODS["runtime"].container["args"][1]
    named = argument.replace("{{.Name}}", NAME).replace("/mnt/models", str(folder))
    row = {"name": "inputs", "datatype": "FP32", "shape": [1, 30], "data": [0.5] * 30}
    with serve(Settings(), [Path(named)]) as client:
        assert client.get(f"/v2/models/{NAME}/ready").status_code == 200
        answer = client.post(f"/v2/models/{NAME}/infer", json={"inputs": [row]})
        assert answer.status_code == 200, answer.text
        assert answer.json()["model_name"] == NAME


def test_the_service_asks_for_what_the_runtime_serves() -> None:
    runtime = OBJECTS["ServingRuntime sigmoid-serve"]
    predictor = OBJECTS["InferenceService fruit"]["spec"]["predictor"]
    model = predictor["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    formats = runtime["spec"]["supportedModelFormats"]
    assert model["modelFormat"].items() <= formats[0].items()
    assert PODS["runtime"].container["name"] == "kserve-container"
    assert predictor["minReplicas"] <= predictor["maxReplicas"]
    port = runtime["spec"]["annotations"]["prometheus.kserve.io/port"]
    assert int(port) == PODS["runtime"].settings.port


def test_the_port_of_knative_is_that_of_the_runtime() -> None:
    """Knative sets PORT to the port of the container."""
    [port] = PODS["runtime"].container["ports"]
    assert settings_of(PORT=str(port["containerPort"])).port == port["containerPort"]
    assert "name" not in port, "Knative knows h2c and http1 alone"
