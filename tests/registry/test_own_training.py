"""A network that somebody trained with ReLU: never served by accident, served rightly.

The script is the tutorial's, with `torch.relu` in place of `torch.sigmoid`.
"""

import io
import json
import runpy
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
import pytest
import torch

from sigmoid_models.checkpoint import load_checkpoint
from sigmoid_models.dtype import Float64Array
from sigmoid_models.intake.named import Named
from tests.cli.test_cli import call
from tests.conftest import serve
from tests.engine.test_numbers import error_bound
from tests.running import TIMEOUT, serving, settings_of, until_ready

SCRIPT = """
import json

import torch
from sklearn.datasets import load_iris
from torch import nn


class Classifier(nn.Module):
    def __init__(self, features, hidden, classes):
        super().__init__()
        self.fc1 = nn.Linear(features, hidden)
        self.fc2 = nn.Linear(hidden, classes)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))


torch.manual_seed(0)
iris = load_iris()
x = torch.tensor(iris.data, dtype=torch.float32)
y = torch.tensor(iris.target)
model = Classifier(4, 16, 3)
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
loss_function = nn.CrossEntropyLoss()
for epoch in range(200):
    optimizer.zero_grad()
    loss = loss_function(model(x), y)
    loss.backward()
    optimizer.step()
torch.save(model.state_dict(), "model.pt")

model.double()
with torch.no_grad():
    logits = model(x.double())
print(json.dumps({"rows": x.tolist(), "logits": logits.tolist(), "y": y.tolist()}))
"""


class Trained(NamedTuple):
    """What the script wrote.

    Attributes:
        path: Its `.pt` file.
        rows: All that it was trained on.
        logits: Its own for them, in float64.
        targets: Their classes.
    """

    path: Path
    rows: Float64Array
    logits: Float64Array
    targets: list[int]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("own")
    (folder / "train.py").write_text(SCRIPT)
    with redirect_stdout(io.StringIO()) as stdout, chdir(folder):
        runpy.run_path("train.py")
    said = json.loads(stdout.getvalue())
    rows, logits = np.array(said["rows"]), np.array(said["logits"])
    assert (logits.argmax(1) == said["y"]).mean() > 0.95
    return Trained(folder / "model.pt", rows, logits, said["y"])


def check_answers(client: httpx.Client, trained: Trained) -> None:
    """Compare what it answers with what its own script computed."""
    card = client.get("/models/model").json()
    answer = client.post("/predict", json={"inputs": trained.rows.tolist()}).json()
    assert card["activation"] == "relu"
    assert card["activation_source"] == "named by the user"
    loaded = load_checkpoint(trained.path, named=Named(activation=("relu",)))
    got = np.array(answer["logits"], np.float32).astype(np.float64)
    bound = error_bound(loaded.network, loaded.card, trained.rows)
    off = np.abs(got - trained.logits)
    print(f"{(off / bound).max():.3f} of the bound, {off.max():.1e} at most")
    assert (off <= bound).all()
    right = np.equal(trained.logits.argmax(1), trained.targets).mean()
    assert np.equal(got.argmax(1), trained.targets).mean() == right


def test_it_is_not_served_by_accident(trained: Trained) -> None:
    outcome = call("serve", "--port", "0", trained.path)
    assert outcome.returncode == 1
    assert outcome.stdout == ""
    assert outcome.stderr.splitlines()[-1] == (
        f"sigmoid-serve: {trained.path}: it does not say which function stands between "
        "its layers (fc1 (4 to 16), fc2 (16 to 3)); name it: --activation NAME or "
        "SIGMOID_ACTIVATION, such as relu or sigmoid; for one of several files, "
        "sigmoid-serve convert"
    )


def test_it_is_served_with_the_option(trained: Trained, tmp_path: Path) -> None:
    options = ("--port", "0", "--activation", "relu")
    with (
        serving(tmp_path / "log", trained.path, options=options) as (_, url),
        httpx.Client(base_url=url, timeout=TIMEOUT) as client,
    ):
        until_ready(client)
        check_answers(client, trained)


def test_it_is_served_with_the_setting(trained: Trained) -> None:
    with serve(settings_of(SIGMOID_ACTIVATION="relu"), [trained.path]) as client:
        check_answers(client, trained)


def test_the_wrong_function_would_have_been_seen(trained: Trained) -> None:
    """The bound is not so wide that the sigmoid would be within it, too."""
    loaded = load_checkpoint(trained.path, named=Named(activation=("sigmoid",)))
    bound = error_bound(loaded.network, loaded.card, trained.rows)
    with torch.no_grad():
        wrong = loaded.network.double()(torch.from_numpy(trained.rows)).numpy()
    assert (np.abs(wrong - trained.logits) > 100 * bound).mean() > 0.9
