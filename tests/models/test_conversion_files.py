"""The files beside the weights: scalers, and rows with known outputs."""

from pathlib import Path

import pytest

from sigmoid_models.architecture import Architecture
from sigmoid_models.card import ModelCard
from sigmoid_models.conversion.expected_rows import read_expected
from sigmoid_models.conversion.scaler_file import read_scaler
from sigmoid_models.messages import UserError

NAMES = ("a", "b")


def written(folder: Path, text: str) -> Path:
    path = folder / "file"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        '{"mean": [1, 2.5], "scale": [3, 4]}',
        '\ufeff {"scale": [3, 4], "mean": [1, 2.5]}',
        "mean,scale\n1,3\n2.5,4\n",
        "scale,mean\r\n3,1\r\n4,2.5\r\n",
        "feature,mean,scale\nb,2.5,4\na,1,3\n",
    ],
)
def test_scalers(tmp_path: Path, text: str) -> None:
    scaler, notes = read_scaler(written(tmp_path, text), 2, NAMES)
    assert scaler.mean == (1, 2.5)
    assert scaler.scale == (3, 4)
    assert not notes


def test_constant_features(tmp_path: Path) -> None:
    path = written(tmp_path, "mean,scale\n1,0\n2.5,4\n")
    scaler, notes = read_scaler(path, 2, NAMES)
    assert scaler.scale == (1, 4)
    assert notes == ("of a the scale was 0 and is 1",)
    assert read_scaler(path, 2).notes == ("of feature 1 the scale was 0 and is 1",)


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("", "it is empty: expected a line of names"),
        ("{", "it is not JSON; expected"),
        ("[1, 2]", "got a list"),
        ("{}", "got nothing"),
        ('{"mean": [1, 2]}', "expected .* got mean$"),
        ('{"mean": [1, 2], "scale": [1, 2], "var": [1, 2]}', "got mean, scale, var"),
        ('{"mean": [1, 2], "scale": 3}', "scale must be a list of finite numbers"),
        ('{"mean": [1, true], "scale": [1, 2]}', "mean must be a list of finite"),
        ('{"mean": [1, NaN], "scale": [1, 2]}', "mean must be a list of finite"),
        ('{"mean": [1, 1e999], "scale": [1, 2]}', "mean must be a list of finite"),
        ('{"mean": [1, 1%s], "scale": [1, 2]}' % ("0" * 400), "finite numbers"),
        ('{"mean": [1], "scale": [1, 2]}', "mean has 1 entries, the network 2"),
        ('{"mean": [1, 2], "scale": [1, -2]}', "a scale is -2.0"),
        ("mean,scale\n1,2\n", "mean has 1 entries, the network 2"),
        ("mean,var\n1,2\n1,2\n", "expected .* got mean, var"),
        ("mean,scale,x\n1,2,3\n", "expected .* got mean, scale, x"),
        ("mean,scale\n1,x\n1,2\n", "expected a finite number, got 'x'"),
        ("feature,mean,scale\na,1,2\na,1,2\n", "2 rows of the feature 'a'"),
        ("feature,mean,scale\na,1,2\nc,1,2\n", "0 rows of the feature 'b'"),
        ("feature,mean,scale\na,1,2\nb,1,2\nc,1,2\n", "a row of 'c', which is no"),
    ],
)
def test_no_scalers(tmp_path: Path, text: str, finding: str) -> None:
    with pytest.raises(UserError, match=finding):
        read_scaler(written(tmp_path, text), 2, NAMES)


def test_a_scaler_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_scaler(tmp_path / "missing", 2)


def card(features: tuple[str, ...] | None = None, outputs: int = 1) -> ModelCard:
    architecture = Architecture(kind="Sequential", sizes=(2, 3, outputs))
    task = "binary" if outputs == 1 else "multiclass"
    return ModelCard(
        architecture=architecture, activation="relu", task=task, features=features
    )


def test_columns_in_order(tmp_path: Path) -> None:
    path = written(tmp_path, "label,p,logit,q,labels_2\nx,1,3,2,y\nx,4,6,5,y\n")
    rows = read_expected(path, card())
    assert rows.inputs.tolist() == [[1, 2], [4, 5]]
    assert {k: v.tolist() for k, v in rows.outputs.items()} == {"logits": [[3], [6]]}


def test_columns_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, "id,probability,b,prob,a\nx,9,1,0.5,2\n")
    rows = read_expected(path, card(("a", "probability")))
    assert rows.inputs.tolist() == [[2, 9]]
    assert rows.outputs["probabilities"].tolist() == [[0.5]]


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        ("logit_x,logit_y", "logits"),
        ("logits,logits.1", "logits"),
        ("Logit 0,Logit 1", "logits"),
        ("logits0,logits1", "logits"),
        ("probability_x,probability_y", "probabilities"),
        ("proba_0,proba_1", "probabilities"),
        ("prob0,prob1", "probabilities"),
        ("probs[0],probs[1]", "probabilities"),
    ],
)
def test_names_of_outputs(tmp_path: Path, names: str, kind: str) -> None:
    path = written(tmp_path, f"problem,logistics,{names}\n1,2,0.25,0.75\n")
    rows = read_expected(path, card(outputs=2))
    found = {str(k): v.tolist() for k, v in rows.outputs.items()}
    assert found == {kind: [[0.25, 0.75]]}


def test_both_kinds_of_outputs(tmp_path: Path) -> None:
    path = written(tmp_path, "p,q,logit,probability\n1,2,0,0.5\n")
    assert set(read_expected(path, card()).outputs) == {"logits", "probabilities"}


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("p,q\n1,2\n", "no column of logits or probabilities; call them logit_NAME"),
        ("p,logit\n1,2\n", "takes 2 features, beside the outputs are 1 columns: p"),
        ("p,q,r,logit\n1,2,3,4\n", "are 3 columns: p, q, r"),
        ("p,q,logit_0,logit_1\n1,2,3,4\n", "has 1 outputs, the logits are 2 columns"),
        ("p,q,prob\n1,2,3\n", "a probability is not from 0 to 1; call columns"),
        ("p,q,logit\n1,2,nan\n", "expected a finite number, got 'nan'"),
        ("p,q,logit\n", "there is no row"),
    ],
)
def test_no_rows(tmp_path: Path, text: str, finding: str) -> None:
    with pytest.raises(UserError, match=finding):
        read_expected(written(tmp_path, text), card())


def test_a_named_feature_that_is_not_there(tmp_path: Path) -> None:
    path = written(tmp_path, "a,logit\n1,2\n")
    with pytest.raises(UserError, match="there is no column 'b'"):
        read_expected(path, card(NAMES))
