"""Predictions on real rows: right against float64, the same bits in every form."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from sklearn.model_selection import train_test_split

from sigmoid_models.card import ModelCard
from sigmoid_models.checkpoint import load_checkpoint, save_checkpoint
from sigmoid_models.dtype import Float64Array
from sigmoid_models.logits import standardise
from sigmoid_models.training.datasets import load_bundled
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.engine.engine import Engine
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.conftest import serve
from tests.engine.test_numbers import error_bound, random_checkpoint
from tests.models.test_functions import EVERY

NAMES = ["breast-cancer", "digits"]


def card(name: str) -> ModelCard:
    return load_checkpoint(PRETRAINED / name / "1" / "model.safetensors").card


def test_rows(name: str) -> Float64Array:
    """The rows that training held back: the same split, by the same seed."""
    dataset = load_bundled(name)
    indices = np.arange(len(dataset.targets))
    _, test = train_test_split(
        indices, test_size=0.2, stratify=dataset.targets, random_state=0
    )
    held_back: Float64Array = dataset.rows[test]
    return held_back


test_rows.__test__ = False  # type: ignore[attr-defined]


def reference(name: str, rows: Float64Array) -> Float64Array:
    """Plain NumPy in float64 from the file's own tensors."""
    tensors = load_file(PRETRAINED / name / "1" / "model.safetensors")
    scaler = card(name).scaler
    assert scaler is not None
    signal: Float64Array = (rows - np.array(scaler.mean)) / np.array(scaler.scale)
    inner = sorted({n.rsplit(".", 1)[0] for n in tensors if n.startswith("layers.")})
    for layer in ["fc1", *inner, "fc2"]:
        weight = tensors[f"{layer}.weight"].astype(np.float64)
        signal = signal @ weight.T + tensors[f"{layer}.bias"]
        if layer != "fc2":
            signal = 1 / (1 + np.exp(-signal))
    return signal


def predict(client: httpx.Client, name: str, inputs: Any) -> Any:
    response = client.post(f"/models/{name}/predict", json={"inputs": inputs})
    assert response.status_code == 200, response.text
    return response.json()


@pytest.fixture(scope="module")
def wide_client() -> Any:
    with serve(Settings()) as client:
        yield client


@pytest.mark.parametrize("name", NAMES)
def test_logits_against_the_reference(wide_client: httpx.Client, name: str) -> None:
    rows = test_rows(name)
    answer = predict(wide_client, name, rows.tolist())
    want = reference(name, rows)
    worst = np.abs(np.array(answer["logits"]) - want).max()
    bound = 2e-6 * max(1.0, np.abs(want).max())
    print(f"{name}: max |logits - reference| {worst:.2e}, bound {bound:.2e}")
    assert worst <= bound
    logits = np.array(answer["logits"], dtype=np.float32).astype(np.float64)
    likely = (1 / (1 + np.exp(-logits))).astype(np.float32)
    assert np.array_equal(np.array(answer["probabilities"], dtype=np.float32), likely)


def test_every_function_against_pytorch_in_float64(tmp_path: Path) -> None:
    """A file of each, and one of all of them, through a server."""
    cases: list[tuple[str | tuple[str, ...], Sequence[int]]] = [
        *((name, (23, 16)) for name in EVERY),
        (EVERY, range(20, 32)),
    ]
    checkpoints = {
        str(number): random_checkpoint((11, *widths, 4), activation, number)
        for number, (activation, widths) in enumerate(cases)
    }
    for name, checkpoint in checkpoints.items():
        path = tmp_path / f"{name}.safetensors"
        save_checkpoint(path, checkpoint.network, checkpoint.card)
    rows = np.random.default_rng(0).normal(scale=3, size=(100, 11))
    with serve(Settings(), [tmp_path]) as client:
        answers = {name: predict(client, name, rows.tolist()) for name in checkpoints}
    for name, checkpoint in checkpoints.items():
        network, card = checkpoint.network, checkpoint.card
        bound = error_bound(network, card, rows)
        features = torch.from_numpy(standardise(rows, card)).float().double()
        exact = network.double()(features).numpy()
        assert (np.abs(answers[name]["logits"] - exact) <= bound).all(), card.activation


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_mostly_right(wide_client: httpx.Client, name: str) -> None:
    dataset, metrics = load_bundled(name), card(name).metrics
    assert metrics is not None
    rows = test_rows(name)
    answer = predict(wide_client, name, rows.tolist())
    truth = {
        tuple(row): target
        for row, target in zip(dataset.rows, dataset.targets, strict=True)
    }
    right = [
        label == dataset.classes[truth[tuple(row)]]
        for label, row in zip(answer["labels"], rows, strict=True)
    ]
    assert np.mean(right) == pytest.approx(metrics.accuracy, abs=0.02)


@pytest.mark.parametrize("name", NAMES)
def test_every_form_gives_the_same_bits(wide_client: httpx.Client, name: str) -> None:
    rows = test_rows(name)[:12]
    features = card(name).features
    assert features is not None
    matrix = predict(wide_client, name, rows.tolist())
    logits = np.array(matrix["logits"])
    outputs = logits.shape[1]
    assert matrix["shape"] == [12, outputs]
    records = [dict(zip(features, row, strict=True)) for row in rows.tolist()]
    backwards = [dict(reversed(record.items())) for record in records]
    rank4 = predict(wide_client, name, rows.reshape(2, 3, 2, -1).tolist())
    assert rank4["shape"] == [2, 3, 2, outputs]
    assert np.array(rank4["labels"]).shape == (2, 3, 2)
    assert np.array_equal(np.array(rank4["logits"]).reshape(12, outputs), logits)
    for many in (records, backwards):
        assert predict(wide_client, name, many) == matrix
    for row, record, expected, label in zip(
        rows.tolist(), records, matrix["logits"], matrix["labels"], strict=True
    ):
        forms: tuple[Any, ...] = (row, record)
        for form in forms:
            answer = predict(wide_client, name, form)
            assert answer["shape"] == [outputs]
            assert (answer["logits"], answer["labels"]) == (expected, label)
    buffer = io.BytesIO()
    np.save(buffer, rows)
    for output, values in (
        ("logits", logits),
        ("probabilities", matrix["probabilities"]),
    ):
        response = wide_client.post(
            f"/models/{name}/predict?output={output}",
            content=buffer.getvalue(),
            headers={
                "Content-Type": "application/x-npy",
                "Accept": "application/x-npy",
            },
        )
        array = np.load(io.BytesIO(response.content))
        assert array.dtype == np.float32
        assert np.array_equal(array, np.array(values, dtype=np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_each_probability_has_its_name(wide_client: httpx.Client, name: str) -> None:
    dataset = load_bundled(name)
    positive = dataset.classes[1:] if name == "breast-cancer" else dataset.classes
    rows = np.asarray(dataset.rows, np.float64)
    features = card(name).features
    assert features is not None
    for inputs in (
        rows[0].tolist(),
        dict(zip(features, rows[0].tolist(), strict=True)),
        rows[:2].reshape(1, 2, 1, -1).tolist(),
        np.resize(rows, (17_000, rows.shape[1])).tolist(),
    ):
        answer = predict(wide_client, name, inputs)
        assert list(answer)[5:] == ["shape", "classes"]
        assert answer["classes"] == list(positive)
        assert answer["shape"][-1] == len(positive)
        last = np.array(answer["probabilities"]).reshape(-1, len(positive))[-1]
        label = np.array(answer["labels"]).reshape(-1)[-1]
        if len(positive) > 1:
            assert answer["classes"][last.argmax()] == label
        else:
            assert (last[0] >= 0.5) == (label == "benign")
    version = wide_client.post(
        f"/models/{name}/versions/1/predict", json={"inputs": rows[0].tolist()}
    )
    assert version.json()["classes"] == list(positive)


def test_classes_are_left_out_where_nothing_names_them(tmp_path: Path) -> None:
    checkpoint = random_checkpoint((3, 4, 2), "sigmoid", 0)
    path = tmp_path / "m.safetensors"
    save_checkpoint(path, checkpoint.network, checkpoint.card)
    named = checkpoint.card.model_copy(
        update={"task": "multilabel", "classes": ("wet", 'c"old')}
    )
    save_checkpoint(tmp_path / "n.safetensors", checkpoint.network, named)
    with serve(Settings(max_answer_bytes=2**12), [tmp_path]) as client:
        bare = predict(client, "m", [0.0] * 3)
        labelled = predict(client, "n", [0.0] * 3)
        less = 0
        for rows in range(1, 200):
            inputs = [[0.0] * 3] * rows
            lengths = []
            for name in ("m", "n"):
                response = client.post(
                    f"/models/{name}/predict", json={"inputs": inputs}
                )
                assert len(response.content) <= 2**12
                lengths.append(response.status_code)
            less += lengths == [200, 413]
    assert "classes" not in bare
    assert labelled["classes"] == ["wet", 'c"old']
    assert less


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_batch_size_and_place_change_no_bit(name: str, threads: int) -> None:
    rows = test_rows(name)
    checkpoint = load_checkpoint(PRETRAINED / name / "1" / "model.safetensors")
    engine = Engine(checkpoint, torch.device("cpu"), 4096)
    split = Engine(checkpoint, torch.device("cpu"), 40)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        whole = engine.logits(rows)
        alone = np.concatenate([engine.logits(row[None]) for row in rows])
        assert np.array_equal(whole, alone)
        assert np.array_equal(whole, split.logits(rows))
        assert np.array_equal(whole[7:60], engine.logits(rows[7:60]))
    finally:
        torch.set_num_threads(before)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_cuda(name: str) -> None:
    rows = test_rows(name)
    with serve(Settings(device="cuda")) as client:
        assert client.get("/readyz").status_code == 200
        assert client.get("/models").json()["models"][0]["device"].startswith("cuda")
        logits = np.array(predict(client, name, rows.tolist())["logits"])
    want = reference(name, rows)
    assert np.abs(logits - want).max() <= 2e-6 * max(1.0, np.abs(want).max())


def test_zero_rows(wide_client: httpx.Client) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((0, 30)))
    headers = {"Content-Type": "application/x-npy"}
    response = wide_client.post("/predict", content=buffer.getvalue(), headers=headers)
    answer = response.json()
    assert (answer["shape"], answer["logits"], answer["labels"]) == ([0, 1], [], [])
