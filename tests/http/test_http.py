"""Routes, headers and health of a running server."""

import logging
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from torch import nn

from sigmoid_models.card import Golden
from sigmoid_models.checkpoint import load_checkpoint, save_checkpoint
from sigmoid_models.classifier import Classifier, DeepClassifier
from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.conftest import serve

PRETRAINED_FILE = PRETRAINED / "breast-cancer" / "1" / "model.safetensors"


def test_models(client: httpx.Client) -> None:
    answer = client.get("/models").json()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    assert answer["default"] == "breast-cancer"
    assert answer["models"] == [
        {
            "name": name,
            "version": "1",
            "versions": ["1"],
            "state": "ready",
            "device": device,
        }
        for name in ("breast-cancer", "digits")
    ]


def test_model_card(client: httpx.Client) -> None:
    card = client.get("/models/digits").json()
    assert card["architecture"]["kind"] == "DeepClassifier"
    assert card["architecture"]["sizes"] == [64, *[64] * 6, 10]
    assert card["parameters"] == 6 * 65 * 64 + 65 * 10
    assert card["activation"] == "sigmoid"
    assert card["classes"] == list("0123456789")
    assert card["metrics"]["accuracy"] >= 0.95
    assert len(card["sha256"]) == 64


def test_limits(client: httpx.Client) -> None:
    limits = client.get("/limits").json()
    assert limits == Settings(max_body_bytes=200_000, max_elements=1000).limits()
    assert limits["SIGMOID_MAX_BODY_BYTES"] == 200_000


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz"])
def test_health(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "path", ["/models", "/models/digits", "/limits", "/livez", "/docs", "/openapi.json"]
)
def test_head_works_where_get_does(client: httpx.Client, path: str) -> None:
    response = client.head(path)
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["content-length"]) == len(client.get(path).content)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/predict", "POST"),
        ("HEAD", "/sigmoid", "POST"),
        ("PUT", "/models/digits/predict", "POST"),
        ("POST", "/models", "GET, HEAD"),
        ("DELETE", "/readyz", "GET, HEAD"),
    ],
)
def test_method_not_allowed(
    client: httpx.Client, method: str, path: str, allowed: str
) -> None:
    response = client.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)
    if method != "HEAD":
        assert response.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/nothing", "route_not_found"),
        ("POST", "/predict/", "route_not_found"),
        ("GET", "/docs/assets/nothing.js", "route_not_found"),
        ("GET", "/" + "x" * 5000, "route_not_found"),
        ("GET", "/models/nobody", "model_not_found"),
        ("POST", "/models/nobody/predict", "model_not_found"),
        ("POST", "/models/nobody/versions/1/predict", "model_not_found"),
        ("POST", "/models/digits/versions/2/predict", "version_not_found"),
        ("POST", "/models/digits/versions/%0a%00/predict", "version_not_found"),
    ],
)
def test_not_found(client: httpx.Client, method: str, path: str, code: str) -> None:
    response = client.request(method, path)
    assert (response.status_code, response.json()["code"]) == (404, code)
    assert response.headers["content-type"] == "application/problem+json"
    assert len(response.content) <= 4096


def test_a_version_has_its_own_path(client: httpx.Client) -> None:
    rows = {"inputs": [0] * 64}
    versioned = client.post("/models/digits/versions/1/predict", json=rows)
    assert versioned.json() == client.post("/models/digits/predict", json=rows).json()
    assert versioned.json()["version"] == "1"


def test_home_leads_to_the_documentation(client: httpx.Client) -> None:
    response = client.get("/")
    assert (response.status_code, response.headers["location"]) == (307, "docs")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc.DEF_1-2", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("a b", False),
        ("<script>", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("path", ["/livez", "/nothing", "/predict"])
def test_request_id(client: httpx.Client, path: str, given: str, kept: bool) -> None:
    answer = client.get(path, headers={"X-Request-ID": given}).headers["x-request-id"]
    assert (answer == given) is kept
    assert 1 <= len(answer) <= 128


@pytest.mark.parametrize("inputs", [[0.5], [True]])
def test_server_timing(client: httpx.Client, inputs: list[float]) -> None:
    response = client.post("/sigmoid", json={"inputs": inputs})
    stages = response.headers["server-timing"].split(", ")
    assert [s.split(";")[0] for s in stages] == ["parse", "queue", "infer", "encode"]
    assert all(float(stage.split("dur=")[1]) >= 0 for stage in stages)
    assert "server-timing" not in client.get("/models").headers


def test_the_body_limit_is_exact(client: httpx.Client) -> None:
    good = b'{"inputs": 0}'
    for size, status in ((199_999, 200), (200_000, 200), (200_001, 413)):
        body = good + b" " * (size - len(good))
        assert client.post("/sigmoid", content=body).status_code == status
        chunked = client.post("/sigmoid", content=iter([body[:7], body[7:]]))
        assert chunked.status_code == status


def test_the_element_limit_is_exact(client: httpx.Client) -> None:
    for count, status in ((999, 200), (1000, 200), (1001, 413)):
        response = client.post("/sigmoid", json={"inputs": [0] * count})
        assert response.status_code == status


@pytest.mark.parametrize(
    ("network", "classes"),
    [
        (Classifier(10, 20, 2), 2),
        (DeepClassifier(10, 20, 3, 4), 3),
        (nn.Sequential(nn.Linear(10, 7), nn.Sigmoid(), nn.Linear(7, 1)), 1),
    ],
)
def test_a_plain_state_dict_serves(
    tmp_path: Path, network: nn.Module, classes: int
) -> None:
    torch.save(network.state_dict(), tmp_path / "model.pt")
    rows = np.random.default_rng(0).normal(size=(5, 10)).astype(np.float32)
    with serve(Settings(), [tmp_path / "model.pt"]) as client:
        answer = client.post("/predict", json={"inputs": rows.tolist()}).json()
        card = client.get("/models/model").json()
        assert client.get("/openapi.json").status_code == 200
    with torch.no_grad():
        want = network(torch.from_numpy(rows)).numpy()
    assert np.allclose(answer["logits"], want, rtol=1e-5, atol=1e-6)
    assert card["activation"] == "sigmoid (assumed)"
    assert answer["shape"] == [5, classes]
    labels = want.argmax(1) if classes > 1 else (want[:, 0] >= 0).astype(int)
    assert answer["labels"] == labels.tolist()


def test_a_record_needs_named_features(tmp_path: Path) -> None:
    torch.save(Classifier(2, 3, 2).state_dict(), tmp_path / "plain.pt")
    with serve(Settings(), [tmp_path / "plain.pt"]) as client:
        problem = client.post("/predict", json={"inputs": {"a": 1, "b": 2}}).json()
    assert (problem["code"], problem["pointer"]) == ("not_a_number", "/inputs")


def test_multilabel_thresholds_and_temperature(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Classifier(2, 3, 3)
    torch.save(network.state_dict(), tmp_path / "bare.pt")
    card = load_checkpoint(tmp_path / "bare.pt").card.model_copy(
        update={
            "task": "multilabel",
            "activation": "sigmoid",
            "thresholds": (0.0, 1.0, 0.5),
            "temperature": 2.0,
        }
    )
    save_checkpoint(tmp_path / "m.safetensors", network, card)
    with serve(Settings(), [tmp_path / "m.safetensors"]) as client:
        answer = client.post("/predict", json={"inputs": [[0.5, 1]]}).json()
    logits = np.array(answer["logits"], dtype=np.float32).astype(np.float64)
    likely = (1 / (1 + np.exp(-logits / 2))).astype(np.float32)
    assert np.array_equal(np.float32(answer["probabilities"]), likely)
    assert answer["labels"] == [[True, False, bool(likely[0, 2] >= 0.5)]]


def test_a_row_without_finite_logits_is_refused(tmp_path: Path) -> None:
    network = Classifier(2, 3, 2)
    with torch.no_grad():
        network.fc2.weight.fill_(3e38)
        network.fc1.bias.fill_(50)
    torch.save(network.state_dict(), tmp_path / "huge.pt")
    with serve(Settings(), [tmp_path / "huge.pt"]) as client:
        for inputs, pointer in (([[0, 1], [1, 0]], "/inputs/0"), ([0, 1], "/inputs")):
            response = client.post("/predict", json={"inputs": inputs})
            assert response.status_code == 422
            problem = response.json()
            assert (problem["code"], problem["pointer"]) == ("not_finite", pointer)


def test_a_failed_golden_check_is_told(tmp_path: Path) -> None:
    loaded = load_checkpoint(PRETRAINED_FILE)
    assert loaded.card.golden is not None
    wrong = Golden(inputs=loaded.card.golden.inputs[:1], logits=((9.0,),))
    card = loaded.card.model_copy(update={"golden": wrong})
    save_checkpoint(tmp_path / "wrong.safetensors", loaded.network, card)
    with serve(Settings(), [tmp_path / "wrong.safetensors"]) as client:
        ready = client.get("/readyz")
        assert ready.status_code == 503
        assert (
            "model wrong version 1: golden check failed" in ready.json()["reasons"][0]
        )
        assert client.get("/livez").status_code == 200
        assert client.get("/models").json()["models"][0]["state"] == "failed"
        response = client.post("/predict", json={"inputs": [0] * 30})
        assert (response.status_code, response.json()["code"]) == (503, "not_ready")
        assert client.get("/openapi.json").status_code == 200


@pytest.mark.anyio
async def test_an_unexpected_error_tells_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = create_app(Settings())

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a secret")

    with caplog.at_level(logging.INFO):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://x"
        ) as client:
            response = await client.get("/broken")
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert "secret" not in response.text
    assert response.headers["x-request-id"] == response.json()["request_id"]
    assert caplog.text.count("Traceback") == 1


def test_a_client_that_goes_away(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> object:
        yield b"{"
        raise ConnectionAbortedError

    with caplog.at_level(logging.INFO), pytest.raises(ConnectionAbortedError):
        client.post("/sigmoid", content=broken())  # type: ignore[arg-type]
    assert client.get("/livez").status_code == 200
    assert "unexpected" not in caplog.text
