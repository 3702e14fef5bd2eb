"""What Triton's and KServe's clients are told of the server and its models."""

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import pytest

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import Golden, ModelCard
from sigmoid_models.checkpoint import load_checkpoint, save_checkpoint
from sigmoid_models.classifier import Classifier
from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.conftest import serve

CARD = ModelCard(
    architecture=Architecture(kind="Classifier", sizes=(4, 5, 3)),
    activation="sigmoid",
    task="multiclass",
)
NAMED: dict[str, Any] = {"classes": ("b", "é", 'c"'), "features": tuple("wxyz")}
CARDS = {
    "bare/1": CARD,
    "bare/10": CARD,
    "named/1": CARD.model_copy(update={**NAMED, "link": "softmax"}),
    "many/3": CARD.model_copy(update={**NAMED, "task": "multilabel"}),
    "wrong/1": CARD.model_copy(
        update={"golden": Golden(inputs=((1, 2, 3, 4),), logits=((9, 9, 9),))}
    ),
}
MODELS = ("bare", "many", "named", "wrong")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models; one of them fails its check, another is damaged."""
    folder = tmp_path_factory.mktemp("models")
    for place, card in CARDS.items():
        (folder / place).mkdir(parents=True)
        path = folder / place / "model.safetensors"
        save_checkpoint(path, Classifier(4, 5, 3), card)
    (folder / "damaged.safetensors").write_bytes(b"damaged")
    return folder


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[httpx.Client]:
    with serve(Settings(max_rows=7), [folder]) as client:
        yield client


def tensor(name: str, datatype: str, *shape: int) -> dict[str, object]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def answer(client: httpx.Client, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


def refusal(client: httpx.Client, path: str) -> tuple[int, str]:
    response = client.get(path)
    assert response.headers["content-type"] == "application/json"
    (text,) = response.json().values()
    return response.status_code, text


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_server(client: httpx.Client, path: str) -> None:
    assert answer(client, path) == {
        "name": "sigmoid-serve",
        "version": version("sigmoid-serve"),
        "extensions": [
            "classification",
            "model_repository",
            "model_configuration",
            "binary_tensor_data",
            "parameters",
            "statistics",
        ],
    }


def test_health(client: httpx.Client) -> None:
    assert answer(client, "/v2/health/live") == {"live": True}
    assert answer(client, "/v2/health/ready") == {"live": True, "ready": True}


def test_health_with_a_fault(served: httpx.Client) -> None:
    assert answer(served, "/v2/health/live") == {"live": True}
    status, text = refusal(served, "/v2/health/ready")
    assert status == 503
    assert text.startswith("model wrong version 1: golden check failed: logits are off")


@pytest.mark.anyio
async def test_health_while_models_are_loaded() -> None:
    transport = httpx.ASGITransport(create_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://h") as client:
        assert (await client.get("/v2/health/live")).json() == {"live": True}
        for path, reason in {
            "/v2/health/ready": "loading: no model is there yet",
            "/v2/models/digits": "the models are being loaded",
            "/v2/models/digits/ready": "the models are being loaded",
        }.items():
            response = await client.get(path)
            assert (response.status_code, response.json()) == (503, {"error": reason})
        assert (await client.get("/v2/models/sigmoid/ready")).status_code == 200


@pytest.mark.anyio
async def test_health_while_shutting_down() -> None:
    app = create_app(Settings())
    app.state.context.readiness.is_draining = True
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://h") as client:
        assert (await client.get("/v2/health/live")).status_code == 200
        response = await client.get("/v2/health/ready")
    assert response.status_code == 503
    assert response.json() == {"error": "draining: this process is shutting down"}


def test_health_of_very_many_faults(tmp_path: Path) -> None:
    card = CARDS["wrong/1"]
    for number in range(60):
        save_checkpoint(tmp_path / f"m{number}.safetensors", Classifier(4, 5, 3), card)
    with serve(Settings(), [tmp_path]) as client:
        status, text = refusal(client, "/v2/health/ready")
    assert status == 503
    assert len(text) < 4096
    assert text.endswith("and 20 more")


def test_names(client: httpx.Client, served: httpx.Client) -> None:
    pretrained = answer(client, "/v2/models")
    assert pretrained == {"models": ["breast-cancer", "digits", "sigmoid"]}
    assert answer(served, "/v2/models") == {"models": [*MODELS, "sigmoid"]}


@pytest.mark.parametrize("name", ["breast-cancer", "digits"])
@pytest.mark.parametrize("version", ["", "/versions/1"], ids=["newest", "version"])
def test_pretrained(client: httpx.Client, name: str, version: str) -> None:
    path = PRETRAINED / name / "1" / "model.safetensors"
    checkpoint = load_checkpoint(path)
    card = checkpoint.card
    metadata = answer(client, f"/v2/models/{name}{version}")
    properties = metadata.pop("properties")
    assert metadata == {
        "name": name,
        "versions": ["1"],
        "platform": "pytorch_state_dict",
        "inputs": [tensor("inputs", "FP32", -1, card.architecture.features)],
        "outputs": [
            tensor("probabilities", "FP32", -1, card.architecture.outputs),
            tensor("logits", "FP32", -1, card.architecture.outputs),
            tensor("labels", "BYTES", -1),
        ],
    }
    assert json.loads(properties.pop("classes")) == list(card.classes or ())
    assert json.loads(properties.pop("feature_names")) == list(card.features or ())
    assert properties == {"task": card.task, "sha256": checkpoint.sha256}


@pytest.mark.parametrize(
    ("name", "labels", "properties"),
    [
        ("bare", tensor("labels", "INT64", -1), {"task": "multiclass"}),
        (
            "named",
            tensor("labels", "BYTES", -1),
            {
                "task": "multiclass",
                "link": "softmax",
                "classes": '["b","é","c\\""]',
                "feature_names": '["w","x","y","z"]',
            },
        ),
        (
            "many",
            tensor("labels", "BOOL", -1, 3),
            {
                "task": "multilabel",
                "classes": '["b","é","c\\""]',
                "feature_names": '["w","x","y","z"]',
            },
        ),
    ],
    ids=["bare", "named", "many"],
)
def test_labels_are_what_they_are_natively(
    served: httpx.Client,
    name: str,
    labels: dict[str, object],
    properties: dict[str, str],
) -> None:
    metadata = answer(served, f"/v2/models/{name}")
    assert metadata["outputs"][2] == labels
    assert len(metadata["properties"].pop("sha256")) == 64
    assert metadata["properties"] == properties
    native = served.post(
        f"/models/{name}/predict", json={"inputs": [[1, 2, 3, 4]] * 2}
    ).json()["labels"]
    first = native[0] if name != "many" else native[0][0]
    kinds = {"INT64": int, "BYTES": str, "BOOL": bool}
    assert type(first) is kinds[str(labels["datatype"])]


@pytest.mark.parametrize("version", ["", "/versions/1"], ids=["newest", "version"])
def test_sigmoid(client: httpx.Client, version: str) -> None:
    path = f"/v2/models/sigmoid{version}"
    assert answer(client, path) == {
        "name": "sigmoid",
        "versions": ["1"],
        "platform": "sigmoid_serve_elementwise",
        "inputs": [tensor("inputs", "FP32", -1)],
        "outputs": [tensor("outputs", "FP32", -1)],
        "properties": {},
    }
    assert answer(client, f"{path}/ready") == {"name": "sigmoid", "ready": True}
    assert answer(client, f"{path}/config") == {
        "name": "sigmoid",
        "platform": "sigmoid_serve_elementwise",
        "backend": "sigmoid_serve",
        "version_policy": {"all": {}},
        "max_batch_size": 0,
        "input": [{"name": "inputs", "data_type": "TYPE_FP32", "dims": [-1]}],
        "output": [{"name": "outputs", "data_type": "TYPE_FP32", "dims": [-1]}],
    }


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("bare", {"data_type": "TYPE_INT64", "dims": [1], "reshape": {"shape": []}}),
        ("named", {"data_type": "TYPE_STRING", "dims": [1], "reshape": {"shape": []}}),
        ("many", {"data_type": "TYPE_BOOL", "dims": [3]}),
    ],
    ids=["bare", "named", "many"],
)
def test_configuration(
    served: httpx.Client, name: str, labels: dict[str, object]
) -> None:
    wide = {"data_type": "TYPE_FP32", "dims": [3]}
    assert answer(served, f"/v2/models/{name}/config") == {
        "name": name,
        "platform": "pytorch_state_dict",
        "backend": "sigmoid_serve",
        "version_policy": {"all": {}},
        "max_batch_size": 7,
        "input": [{"name": "inputs", "data_type": "TYPE_FP32", "dims": [4]}],
        "output": [
            {"name": "probabilities", **wide},
            {"name": "logits", **wide},
            {"name": "labels", **labels},
        ],
        "dynamic_batching": {},
    }


def test_configuration_of_rows_beyond_its_field(folder: Path) -> None:
    with serve(Settings(max_rows=2**40), [folder / "bare"]) as client:
        path = "/v2/models/bare/versions/1/config"
        assert answer(client, path)["max_batch_size"] == 2**31 - 1


def test_versions(served: httpx.Client) -> None:
    newest = answer(served, "/v2/models/bare")
    assert newest["versions"] == ["10", "1"]
    assert newest == answer(served, "/v2/models/bare/versions/10")
    older = answer(served, "/v2/models/bare/versions/1")
    assert older["properties"]["sha256"] != newest["properties"]["sha256"]


def test_ready(served: httpx.Client) -> None:
    for path in ("bare", "bare/versions/1", "many/versions/3"):
        name = path.partition("/")[0]
        expected = {"name": name, "ready": True}
        assert answer(served, f"/v2/models/{path}/ready") == expected
    assert answer(served, "/v2/models/wrong")["versions"] == ["1"]
    for path in ("/v2/models/wrong/ready", "/v2/models/wrong/versions/1/ready"):
        status, text = refusal(served, path)
        assert status == 503
        assert text.startswith("model wrong version 1 is not ready: golden check")


@pytest.mark.parametrize("end", ["", "/ready", "/config", "/stats"])
@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("nothing", 404, "there is no model nothing"),
        ("nothing/versions/1", 404, "there is no model nothing"),
        ("bare/versions/2", 404, "model bare has no version 2"),
        ("sigmoid/versions/2", 404, "model sigmoid has no version 2; its only version"),
        ("damaged", 503, "it cannot be served"),
        ("x" * 500, 404, "there is no model xxx"),
    ],
    ids=["model", "model-version", "version", "sigmoid-version", "damaged", "long"],
)
def test_what_is_not_there(
    served: httpx.Client, path: str, status: int, said: str, end: str
) -> None:
    found, text = refusal(served, f"/v2/models/{path}{end}")
    assert found == status
    assert text.startswith(said)
    assert len(text) < 400


@pytest.mark.parametrize(
    "path",
    [
        "/v2",
        "/v2/",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models",
        "/v2/models/stats",
        "/v2/models/digits",
        "/v2/models/digits/ready",
        "/v2/models/digits/config",
        "/v2/models/digits/stats",
        "/v2/models/digits/versions/1",
        "/v2/models/digits/versions/1/ready",
        "/v2/models/digits/versions/1/config",
        "/v2/models/digits/versions/1/stats",
    ],
)
def test_head_and_other_methods(client: httpx.Client, path: str) -> None:
    response = client.head(path)
    assert (response.status_code, response.content) == (200, b"")
    refused = client.post(path)
    assert refused.status_code == 405
    assert refused.headers["allow"] == "GET, HEAD"
    assert "not POST" in refused.json()["error"]
