"""Files of weights made checkpoints, and rows that show which function is theirs."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import ModelCard, Scaler, usual_task
from sigmoid_models.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from sigmoid_models.classifier import Classifier, sequential
from sigmoid_models.conversion.comparison import FUNCTIONS
from sigmoid_models.conversion.converter import (
    Additions,
    Converted,
    convert_checkpoint,
)
from sigmoid_models.conversion.expected_rows import ExpectedRows
from sigmoid_models.conversion.golden_rows import MOST_ROWS, Subject, golden_rows
from sigmoid_models.intake.named import NOTHING, Named, Place
from sigmoid_models.messages import UserError

SIZES = (5, 7, 6, 3)
ROWS = 20


def made(activation: str, sizes: tuple[int, ...] = SIZES) -> nn.Sequential:
    torch.manual_seed(1)
    return sequential(sizes, [activation] * (len(sizes) - 2))


def inputs(features: int = 5, rows: int = ROWS) -> torch.Tensor:
    return 2 * torch.randn(rows, features, generator=torch.Generator().manual_seed(2))


def card_of(activation: str, sizes: tuple[int, ...] = SIZES) -> ModelCard:
    architecture = Architecture(kind="Sequential", sizes=sizes)
    task = usual_task(sizes[-1])
    return ModelCard(architecture=architecture, activation=activation, task=task)


def write_rows(
    path: Path, rows: torch.Tensor, heads: str, outputs: torch.Tensor
) -> Path:
    names = [f"x{i}" for i in range(rows.shape[1])]
    outs = [f"{heads}_{i}" for i in range(outputs.shape[1])]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, *outs])
        writer.writerows(torch.cat([rows, outputs], dim=1).tolist())
    return path


def saved(folder: Path, activation: str, sizes: tuple[int, ...] = SIZES) -> Path:
    path = folder / "model.pt"
    torch.save(made(activation, sizes).state_dict(), path)
    return path


def rows_of(
    folder: Path, activation: str, heads: str = "logit", sizes: tuple[int, ...] = SIZES
) -> Path:
    rows = inputs(sizes[0])
    with torch.no_grad():
        outputs = made(activation, sizes)(rows)
        if heads == "probability":
            outputs = outputs.sigmoid()
    return write_rows(folder / "rows.csv", rows, heads, outputs)


def convert(
    source: Path, named: Named = NOTHING, additions: Additions | None = None
) -> Converted:
    return convert_checkpoint(source, named, additions or Additions())


def refusal(
    source: Path, named: Named = NOTHING, additions: Additions | None = None
) -> str:
    with pytest.raises(UserError) as error:
        convert(source, named, additions)
    message = str(error.value)
    assert "\n" not in message
    return message


def proposals(message: str) -> list[str]:
    """List the options that a refusal says would do."""
    said = message.partition("--")[2].partition(", but")[0]
    return [part.strip() for part in f"--{said}".split(" or ")]


@pytest.mark.parametrize("heads", ["logit", "probability"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_name_the_function(tmp_path: Path, name: str, heads: str) -> None:
    source, rows = saved(tmp_path, name), rows_of(tmp_path, name, heads)
    wrong = "tanh" if name != "tanh" else "sigmoid"
    additions = Additions(expected=rows)
    message = refusal(source, Named(activation=(wrong,)), additions)
    assert "do not come out: in record " in message
    assert f"--activation {name}" in proposals(message)
    assert f"--activation {wrong}" not in proposals(message)
    assert f"--activation {name}" in proposals(refusal(source, additions=additions))

    converted = convert(source, Named(activation=(name,)), additions)
    assert converted.card.activations == (name, name)
    assert converted.card.activation_source == "named by the user"
    golden = converted.card.golden
    assert golden is not None
    assert np.allclose(golden.inputs, inputs(), rtol=0, atol=0)
    with torch.no_grad():
        assert np.allclose(golden.logits, made(name)(inputs()), atol=1e-5)


def test_rows_that_fit_one_function_name_it(tmp_path: Path) -> None:
    source, rows = saved(tmp_path, "relu"), rows_of(tmp_path, "relu")
    message = refusal(source, additions=Additions(expected=rows))
    assert "fit one function alone: name it, --activation relu" in message


def test_rows_that_nothing_fits(tmp_path: Path) -> None:
    source = saved(tmp_path, "relu")
    rows = write_rows(tmp_path / "r.csv", inputs(), "logit", torch.ones(ROWS, 3))
    for named in (NOTHING, Named(activation=("relu",))):
        message = refusal(source, named, Additions(expected=rows))
        assert "none of the functions that are served fits; likely causes: " in message


def test_the_difference_is_told(tmp_path: Path) -> None:
    source, rows = saved(tmp_path, "relu"), rows_of(tmp_path, "relu")
    lines = rows.read_text().splitlines()
    cells = lines[3].split(",")
    lines[3] = ",".join([*cells[:-1], "77"])
    rows.write_text("\n".join(lines))
    message = refusal(source, Named(activation=("relu",)), Additions(expected=rows))
    with torch.no_grad():
        got = float(made("relu")(inputs())[2, 2])
    said = f"in record 4 the network gives {got:.4f}"
    assert said in message
    assert f"the file has 77, which is {77 - got:.2g} off; none of" in message


@pytest.mark.parametrize("link", ["sigmoid", "softmax"])
def test_probabilities_name_the_link(tmp_path: Path, link: str) -> None:
    source = saved(tmp_path, "relu")
    with torch.no_grad():
        logits = made("relu")(inputs())
    outputs = logits.sigmoid() if link == "sigmoid" else logits.softmax(dim=1)
    rows = write_rows(tmp_path / "r.csv", inputs(), "prob", outputs)
    right = Named(activation=("relu",), link="softmax" if link == "softmax" else None)
    wrong = Named(activation=("relu",), link="sigmoid" if right.link else "softmax")
    additions = Additions(expected=rows)
    assert convert(source, right, additions).card.link == link
    message = refusal(source, wrong, additions)
    assert f"they would with --activation relu --link {link}" in message


def test_a_batchnorm_at_the_other_place_is_proposed(tmp_path: Path) -> None:
    rows = ExpectedRows(tmp_path, inputs().numpy().astype(np.float64), {})
    with torch.no_grad():
        known = made("relu")(inputs()).numpy().astype(np.float64)
    rows = rows._replace(outputs={"logits": known})
    torch.manual_seed(9)
    other = sequential(SIZES, ["relu", "relu"])
    places = ((("--batchnorm after",), made("relu")),)
    subject = Subject(other, card_of("relu"), others=places)
    with pytest.raises(UserError, match=r"with --activation relu --batchnorm after$"):
        golden_rows(subject, rows)


def test_rows_against_evidence(tmp_path: Path) -> None:
    evidence = "a module is called relu"
    rows = inputs().numpy().astype(np.float64)
    with torch.no_grad():
        known = made("sigmoid")(inputs()).numpy().astype(np.float64)
    expected = ExpectedRows(tmp_path, rows, {"logits": known})
    subject = Subject(made("sigmoid"), card_of("sigmoid"), evidence=evidence)
    assert golden_rows(subject, expected).golden

    # No unit of the hidden layer is below 0: relu, none and others are the same.
    network = made("none", (2, 2, 1))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
        known = network(torch.ones(1, 2)).numpy().astype(np.float64)
    alike = ExpectedRows(tmp_path, np.ones((1, 2)), {"logits": known})
    subject = Subject(network, card_of("none", (2, 2, 1)))
    assert "fit relu or leaky_relu" in golden_rows(subject, alike).notes[0]
    with pytest.raises(UserError, match="a module is called relu, and these rows fit"):
        golden_rows(replace(subject, evidence=evidence), alike)


class Called(nn.Module):
    """fc1, fc2 and a function that is called relu, whatever it is."""

    def __init__(self, function: nn.Module) -> None:
        super().__init__()
        self.fc1, self.relu, self.fc2 = nn.Linear(5, 7), function, nn.Linear(7, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc2(self.relu(self.fc1(x)))
        return logits


def saved_with_rows(folder: Path, network: nn.Module) -> tuple[Path, Additions]:
    torch.save(network.eval().state_dict(), folder / "model.pt")
    with torch.no_grad():
        outputs = network(inputs())
    rows = write_rows(folder / "rows.csv", inputs(), "logit", outputs)
    return folder / "model.pt", Additions(expected=rows)


def test_rows_overrule_a_name(tmp_path: Path) -> None:
    source, additions = saved_with_rows(tmp_path, Called(nn.Sigmoid()))
    sigmoid = Named(activation=("sigmoid",))
    assert "a module called relu" in refusal(source, sigmoid)
    converted = convert(source, sigmoid, additions)
    assert converted.card.activation == "sigmoid"
    message = refusal(source, Named(activation=("relu",)), additions)
    assert message.endswith("they would with --activation sigmoid")

    # Units that are never below 0, where relu is the identity, prove nothing.
    network = Called(nn.Identity())
    with torch.no_grad():
        network.fc1.weight.zero_()
        network.fc1.bias.fill_(1)
    source, additions = saved_with_rows(tmp_path, network)
    message = refusal(source, Named(activation=("none",)), additions)
    assert "a module called relu" in message
    assert "these rows fit relu or " in message
    assert "add rows that tell the functions apart" in message


class Normed(nn.Module):
    """fc1, bn1 and fc2, the function before or after bn1."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self.fc1, self.bn1, self.fc2 = (
            nn.Linear(5, 7),
            nn.BatchNorm1d(7),
            nn.Linear(7, 3),
        )
        self.is_before = place == "before"
        with torch.no_grad():
            self.bn1.running_mean.add_(1)  # type: ignore[union-attr]
            self.bn1.bias.add_(torch.linspace(-1, 1, 7))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.fc1(x)
        x = self.bn1(x).tanh() if self.is_before else self.bn1(x.tanh())
        logits: torch.Tensor = self.fc2(x)
        return logits


@pytest.mark.parametrize(("place", "other"), [("before", "after"), ("after", "before")])
def test_rows_name_the_place_of_a_batchnorm(
    tmp_path: Path, place: Place, other: Place
) -> None:
    source, additions = saved_with_rows(tmp_path, Normed(place))
    named = Named(activation=("tanh",), batchnorm=place)
    assert convert(source, named, additions).card.folded
    message = refusal(source, replace(named, batchnorm=other), additions)
    assert message.endswith(f"they would with --activation tanh --batchnorm {place}")
    assert "--batchnorm" in refusal(source, replace(named, batchnorm=None), additions)
    named = Named(batchnorm=place)
    assert "name it, --activation tanh" in refusal(source, named, additions)


def test_what_a_file_says_is_kept(tmp_path: Path) -> None:
    state = made("relu", (3, 4, 1)).state_dict()
    values = {"activation": "relu", "classes": ["yes", "no"]}
    source = tmp_path / "model.pt"
    torch.save({"model_state_dict": state, "config": values}, source)
    converted = convert(source, additions=Additions(positive="yes"))
    assert converted.card.activation_source == "the file's configuration"
    assert converted.card.classes == ("no", "yes")
    assert converted.notes == (
        "its task is taken as binary; a regression is not served",
        "its classes are named as the file has them",
        "the weights are those of model_state_dict",
    )


@pytest.mark.parametrize("named", [NOTHING, Named(activation=("relu",))])
def test_one_layer(tmp_path: Path, named: Named) -> None:
    source, additions = saved_with_rows(tmp_path, nn.Linear(5, 3))
    converted = convert(source, named, additions)
    assert converted.card.architecture.sizes == (5, 3)
    assert converted.card.golden
    path = tmp_path / "again.safetensors"
    save_checkpoint(path, converted.network, converted.card)
    assert convert(path, named).card == converted.card
    rows = write_rows(tmp_path / "r.csv", inputs(), "logit", torch.ones(ROWS, 3))
    message = refusal(source, named, Additions(expected=rows))
    assert "none of the functions" in message


def test_few_golden_rows_are_kept(tmp_path: Path) -> None:
    source = saved(tmp_path, "relu")
    rows = inputs(rows=1000)
    with torch.no_grad():
        outputs = made("relu")(rows)
    path = write_rows(tmp_path / "r.csv", rows, "logits", outputs)
    converted = convert(source, Named(activation=("relu",)), Additions(expected=path))
    golden = converted.card.golden
    assert golden is not None
    assert len(golden.inputs) <= MOST_ROWS
    assert golden.inputs[-1] in {tuple(row) for row in rows[900:].double().tolist()}


@pytest.mark.parametrize(("features", "kept"), [(5000, 10), (70_000, 0)])
def test_golden_rows_of_many_features_fit_the_card(
    tmp_path: Path, features: int, kept: int
) -> None:
    sizes = (features, 2, 1)
    network, rows = made("relu", sizes), inputs(features)
    with torch.no_grad():
        known = network(rows).double().numpy()
    expected = ExpectedRows(tmp_path, rows.double().numpy(), {"logits": known})
    golden, notes = golden_rows(Subject(network, card_of("relu", sizes)), expected)
    assert len(golden.inputs if golden else ()) == kept
    assert (notes[-1:] == ("a card has no room for rows this long",)) == (not kept)


def test_a_card_that_would_not_be_read_again_is_not_made(tmp_path: Path) -> None:
    source = saved(tmp_path, "relu", (2**18, 2, 1))
    names = tuple(f"x{i}" for i in range(2**18))
    named = Named(activation=("relu",))
    assert "more than" in refusal(source, named, Additions(features=names))


def test_names_classes_and_thresholds(tmp_path: Path) -> None:
    source = saved(tmp_path, "tanh", (3, 4, 1))
    named = Named(activation=("tanh",))
    additions = Additions(("a", "b", "c"), ("yes", "no"), "yes", thresholds=(0.3,))
    card = convert(source, named, additions).card
    assert card.features == ("a", "b", "c")
    assert card.classes == ("no", "yes")
    assert card.thresholds == (0.3,)
    message = refusal(source, named, Additions(features=("a", "b")))
    assert "features has 2 entries, not 3" in message
    assert "none of its classes" in refusal(
        source, named, replace(additions, positive="x")
    )
    assert "names no classes" in refusal(source, named, Additions(positive="yes"))
    assert "twice" in refusal(source, named, Additions(classes=("a", "a")))


def test_thresholds_and_tasks(tmp_path: Path) -> None:
    source = saved(tmp_path, "relu")
    named = Named(activation=("relu",))
    assert "multiclass" in refusal(source, named, Additions(thresholds=(0.5,)))
    assert "multiclass" in refusal(source, named, Additions(positive="a"))
    many = replace(named, task="multilabel")
    card = convert(source, many, Additions(thresholds=(0.3,))).card
    assert card.thresholds == (0.3, 0.3, 0.3)
    card = convert(source, many, Additions(thresholds=(0.1, 0.2, 0.3))).card
    assert card.thresholds == (0.1, 0.2, 0.3)
    assert "thresholds has 2" in refusal(source, many, Additions(thresholds=(0.1, 0.2)))
    softmax = replace(many, link="softmax")
    assert "the link is softmax, but the task is multilabel" in refusal(source, softmax)


def carded(folder: Path, **parts: object) -> Path:
    network = Classifier(5, 7, 3)
    architecture = Architecture(kind="Classifier", sizes=(5, 7, 3))
    card = ModelCard(architecture=architecture, activation="sigmoid", task="multiclass")
    path = folder / "card.safetensors"
    save_checkpoint(path, network, card.model_copy(update=parts))
    return path


def test_a_card_is_kept(tmp_path: Path) -> None:
    source = carded(tmp_path, features=tuple("abcde"), temperature=2.0)
    before = load_checkpoint(source).card
    assert convert(source).card == before
    assert convert(source, Named(activation=("sigmoid",))).card == before
    card = convert(source, additions=Additions(classes=("x", "y", "z"))).card
    assert card == before.model_copy(update={"classes": ("x", "y", "z")})


def test_a_card_is_not_contradicted(tmp_path: Path) -> None:
    source = carded(tmp_path)
    message = refusal(source, Named(activation=("relu",)))
    assert "its card says sigmoid, not relu; leave --activation out" in message
    for named in (Named(layers=("a",)), Named(state="s"), Named(batchnorm="after")):
        assert "it has a card, which leaves nothing of --" in refusal(source, named)
    rows = rows_of(tmp_path, "relu", sizes=(5, 7, 3))
    source = tmp_path / "wrong.safetensors"
    save_checkpoint(source, made("relu", (5, 7, 3)), card_of("tanh", (5, 7, 3)))
    message = refusal(source, additions=Additions(expected=rows))
    assert message.endswith("with --activation relu, but its card says tanh")


def test_what_no_longer_holds_is_left_out(tmp_path: Path) -> None:
    source, rows = saved(tmp_path, "relu"), rows_of(tmp_path, "relu")
    first = convert(source, Named(activation=("relu",)), Additions(expected=rows))
    path = tmp_path / "first.safetensors"
    save_checkpoint(path, first.network, first.card)
    scaler = tmp_path / "scaler.json"
    scaler.write_text('{"mean": [1, 2, 3, 4, 5], "scale": [1, 2, 3, 4, 5]}')
    converted = convert(path, additions=Additions(scaler=scaler))
    assert converted.card.golden is None
    assert converted.notes == (
        "the golden rows of the card no longer hold and are left out",
    )
    assert converted.card.scaler == Scaler(mean=(1, 2, 3, 4, 5), scale=(1, 2, 3, 4, 5))
    spread = first.card.model_copy(update={"quantiles": ((0.0,) * 32,) * 5})
    save_checkpoint(path, first.network, spread)
    converted = convert(path, additions=Additions(scaler=scaler))
    assert converted.card.quantiles is None
    assert converted.notes == (
        "the golden rows and quantiles of the card no longer hold and are left out",
    )


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        convert(tmp_path / "missing.pt")
    source = tmp_path / "model.pt"
    source.write_bytes(b"nothing")
    rows = rows_of(tmp_path, "relu")
    for additions in (Additions(), Additions(expected=rows)):
        with pytest.raises(CheckpointError):
            convert(source, Named(activation=("relu",)), additions)
