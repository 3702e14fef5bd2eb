"""Routes, headers and health of a running server."""

import io
import logging
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from torch import nn

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import Golden, ModelCard
from sigmoid_models.checkpoint import load_checkpoint, save_checkpoint
from sigmoid_models.classifier import Classifier, DeepClassifier, sequential
from sigmoid_serve.app import create_app
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.conftest import serve

BARE = Settings(activation=("sigmoid",))
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
    assert card["activation_source"] == "card"
    assert card["link"] == "sigmoid"
    inner = {"name": None, "inputs": 64, "outputs": 64, "activation": "sigmoid"}
    assert card["layers"] == [
        *[inner] * 6,
        {**inner, "outputs": 10, "activation": None},
    ]
    assert card["folded"] == []
    assert len(card["scaler"]["mean"]) == len(card["scaler"]["scale"]) == 64
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
    "path",
    [
        "/models",
        "/models/digits",
        "/models/digits/versions/1",
        "/limits",
        "/livez",
        "/docs",
        "/openapi.json",
    ],
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
        ("POST", "/models/digits/versions/1", "GET, HEAD"),
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
        ("GET", "/models/nobody/versions/1", "model_not_found"),
        ("GET", "/models/digits/versions/2", "version_not_found"),
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
    with serve(BARE, [tmp_path / "model.pt"]) as client:
        answer = client.post("/predict", json={"inputs": rows.tolist()}).json()
        card = client.get("/models/model").json()
        assert client.get("/openapi.json").status_code == 200
    with torch.no_grad():
        want = network(torch.from_numpy(rows)).numpy()
    assert np.allclose(answer["logits"], want, rtol=1e-5, atol=1e-6)
    assert card["activation"] == "sigmoid"
    assert card["activation_source"] == "named by the user"
    assert answer["shape"] == [5, classes]
    labels = want.argmax(1) if classes > 1 else (want[:, 0] >= 0).astype(int)
    assert answer["labels"] == labels.tolist()


def test_what_a_card_says_of_its_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    activations = ("relu", "leaky_relu:0.2")
    card = ModelCard(
        architecture=Architecture(kind="Sequential", sizes=(2, 3, 4, 3)),
        activation=activations,
        activation_source="the file's configuration",
        link="softmax",
        layers=("fc_in", "body.0", "head"),
        folded=("bn1",),
        task="multiclass",
        temperature=2.0,
    )
    network = sequential((2, 3, 4, 3), activations)
    save_checkpoint(tmp_path / "m.safetensors", network, card)
    with serve(Settings(), [tmp_path / "m.safetensors"]) as client:
        shown = client.get("/models/m").json()
        answer = client.post("/predict", json={"inputs": [[0.5, 1], [-3, 2]]})
        record = np.load(
            io.BytesIO(
                client.post(
                    "/predict",
                    json={"inputs": [[0.5, 1], [-3, 2]]},
                    headers={"Accept": "application/x-npy"},
                ).content
            )
        )
        schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert shown["activation"] == ["relu", "leaky_relu:0.2"]
    assert shown["activation_source"] == "the file's configuration"
    assert shown["link"] == "softmax"
    assert [tuple(layer.values()) for layer in shown["layers"]] == [
        ("fc_in", 2, 3, "relu"),
        ("body.0", 3, 4, "leaky_relu:0.2"),
        ("head", 4, 3, None),
    ]
    assert shown["folded"] == ["bn1"]
    assert shown["scaler"] is None
    assert list(answer.json())[-1] == "link"
    assert answer.json()["link"] == "softmax"
    likely = np.array(answer.json()["probabilities"], dtype=np.float32)
    assert np.array_equal(likely, record)
    logits = torch.tensor(answer.json()["logits"], dtype=torch.float64)
    assert np.allclose(likely, (logits / 2).softmax(-1).numpy(), rtol=1e-6)
    assert "link" not in schemas["PredictResponse"]["required"]


@pytest.mark.parametrize(
    ("activation", "told"),
    [
        (("relu",), "activation relu (named by the user), ready"),
        (("tanh", "tanh"), "activation tanh (named by the user), ready"),
        (("tanh", "relu"), "activation tanh, relu (named by the user), ready"),
    ],
)
def test_the_start_says_what_is_served(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    activation: tuple[str, ...],
    told: str,
) -> None:
    torch.save(sequential((2, 3, 4, 1)).state_dict(), tmp_path / "bare.pt")
    caplog.set_level("INFO")
    paths = [tmp_path / "bare.pt", PRETRAINED_FILE.parents[1]]
    create_app(Settings(activation=activation), paths)
    ready = [x for x in caplog.messages if x.endswith(", ready")]
    assert [x.partition(", activation ")[0] for x in ready] == [
        "model bare version 1: Sequential 2-3-4-1, 30 parameters, binary",
        "model breast-cancer version 1: Classifier 30-64-1, 2,049 parameters, binary",
    ]
    assert ready[0].endswith(told)
    assert ready[1].endswith("activation sigmoid (card), ready")
    warnings = [x.getMessage() for x in caplog.records if x.levelname == "WARNING"]
    assert warnings == [
        "model bare version 1: its card has no scaler, so its features must come as "
        "the network was trained on them; sigmoid-serve convert --scaler adds one"
    ]


@pytest.mark.parametrize(
    ("activations", "shown"),
    [
        ((), "no activation"),
        (("relu", "tanh", "elu", "gelu"), "activation relu, tanh, elu, gelu (card)"),
        (("relu", "tanh") * 4, "activation relu, tanh, relu, tanh and 4 more (card)"),
        (("selu",) * 8, "activation selu (card)"),
    ],
)
def test_many_functions_are_told_in_short(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    activations: tuple[str, ...],
    shown: str,
) -> None:
    sizes = (2,) * (len(activations) + 2)
    card = ModelCard(
        architecture=Architecture(kind="Sequential", sizes=sizes),
        activation=activations,
        link="softmax",
        task="multiclass",
    )
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, sequential(sizes, activations), card)
    caplog.set_level("INFO")
    create_app(Settings(), [path])
    assert f", multiclass by the softmax, {shown}, ready" in caplog.text


def test_a_record_needs_named_features(tmp_path: Path) -> None:
    torch.save(Classifier(2, 3, 2).state_dict(), tmp_path / "plain.pt")
    with serve(BARE, [tmp_path / "plain.pt"]) as client:
        problem = client.post("/predict", json={"inputs": {"a": 1, "b": 2}}).json()
    assert (problem["code"], problem["pointer"]) == ("not_a_number", "/inputs")


def test_multilabel_thresholds_and_temperature(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Classifier(2, 3, 3)
    card = ModelCard(
        architecture=Architecture(kind="Classifier", sizes=(2, 3, 3)),
        activation="sigmoid",
        task="multilabel",
        thresholds=(0.0, 1.0, 0.5),
        temperature=2.0,
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
    with serve(BARE, [tmp_path / "huge.pt"]) as client:
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
