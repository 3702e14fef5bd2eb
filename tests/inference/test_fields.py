"""Fields that are null or unknown, and the names of records."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sigmoid_models.checkpoint import load_checkpoint
from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.repository.model_repository import PRETRAINED
from tests.conftest import serve

CARD = load_checkpoint(PRETRAINED / "breast-cancer" / "1" / "model.safetensors").card
NAMES = list(CARD.features or ())
ROW = list(CARD.golden.inputs[0]) if CARD.golden else []
RECORD = dict(zip(NAMES, ROW, strict=True))
# A row of the table that a caller has: with its key, a time and what is not known.
WHOLE: dict[str, Any] = {
    "id": "a}:b",
    **RECORD,
    "taken": "2026-01-01T00:00:00",
    "by": None,
    "n": [{}],
}

ROUTES = ["/predict", "/models/breast-cancer/predict"]


@pytest.fixture(scope="module")
def ignoring() -> Iterator[httpx.Client]:
    with serve(Settings(extra_fields="ignore", timeout_seconds=600)) as client:
        yield client


def refused(client: httpx.Client, inputs: Any) -> Any:
    response = client.post("/predict", json={"inputs": inputs})
    assert response.status_code == 422, response.text
    assert len(response.content) <= 4096
    return response.json()


@pytest.mark.parametrize("space", ["", " " * 5000])
@pytest.mark.parametrize(
    ("path", "sent", "same"),
    [
        ("/sigmoid", {"inputs": [1], "dtype": None}, {"inputs": [1]}),
        ("/sigmoid", {"inputs": [1], "batch": None}, {"inputs": [1]}),
        ("/sigmoid", {"inputs": None, "batch": [1]}, {"batch": [1]}),
        (
            "/sigmoid",
            {"dtype": None, "inputs": None, "batch": [[1], 2]},
            {"batch": [[1], 2]},
        ),
    ],
)
def test_null_is_absence(
    client: httpx.Client, path: str, sent: Any, same: Any, space: str
) -> None:
    got = client.post(path, content=json.dumps(sent) + space)
    want = client.post(path, json=same)
    assert got.status_code == want.status_code == 200, got.text
    assert got.content == want.content


def test_an_unknown_name_is_told_with_the_one_that_was_meant(
    client: httpx.Client,
) -> None:
    renamed = {name.replace("mean radius", "Mean_Radius"): 0 for name in NAMES}
    told = refused(client, [renamed])
    assert (told["code"], told["pointer"]) == ("features", "/inputs/0/Mean_Radius")
    assert told["got"] == (
        "the unknown name Mean_Radius (Mean_Radius is probably mean radius)"
    )
    assert "SIGMOID_EXTRA_FIELDS=ignore" in told["detail"]
    mistyped = {name.replace("worst area", "wurst area"): 0 for name in NAMES}
    assert refused(client, mistyped)["got"] == (
        "the unknown name wurst area (wurst area is probably worst area)"
    )


def test_unknown_names_are_told_up_to_a_few(client: httpx.Client) -> None:
    told = refused(client, {**RECORD, "id": 1, "name": "x"})
    assert told["pointer"] == "/inputs/id"
    assert told["got"] == "the unknown names id, name"
    many = refused(client, {**RECORD, **{f"x{i}": "a secret" for i in range(100)}})
    assert many["got"] == "the unknown names x0, x1, x2 and 97 more"
    assert "secret" not in json.dumps(many)
    long = refused(client, {f"\U0001f600{i}" * 200: 0 for i in range(20)})
    assert len(long["got"]) < 300
    # What is known and wrong comes first where it stands first.
    first = refused(client, {NAMES[0]: "x", "id": 1})
    assert first["pointer"] == f"/inputs/{NAMES[0]}"


def test_missing_names_are_told(client: httpx.Client) -> None:
    told = refused(client, [RECORD, {name: RECORD[name] for name in NAMES[5:]}])
    assert (told["code"], told["pointer"]) == ("features", "/inputs/1")
    assert told["got"] == (
        f"a record without {NAMES[0]}, {NAMES[1]}, {NAMES[2]} and 2 more"
    )


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("count", [0, 1, 3, 500])
def test_whole_records_where_they_are_asked_for(
    ignoring: httpx.Client, path: str, count: int
) -> None:
    for extra in (WHOLE, {**RECORD, "by": 5}, {**RECORD, "at": "10:30\n"}, RECORD):
        sent, same = ([extra] * count, [RECORD] * count) if count else (extra, RECORD)
        got = ignoring.post(path, json={"id": "x:y", "inputs": sent, "tags": ["a"]})
        want = ignoring.post(path, json={"inputs": same})
        assert got.status_code == want.status_code == 200, got.text
        assert got.content == want.content


def test_what_is_wrong_stays_so_in_whole_records(ignoring: httpx.Client) -> None:
    less = {name: value for name, value in WHOLE.items() if name != NAMES[3]}
    assert refused(ignoring, [WHOLE, less])["got"] == f"a record without {NAMES[3]}"
    assert refused(ignoring, {**WHOLE, NAMES[3]: None})["code"] == "not_a_number"
    named = ignoring.post("/predict", json={"input": RECORD}).json()
    assert named["code"] == "missing_field"
    assert named["got"] == "none, but input (which is called inputs here)"
    text = json.dumps({"inputs": WHOLE})
    for twice in ('{"id": "b",', '{"id": "\\u003a",', '{"id": "\\u003A\\/",'):
        body = text.replace('{"id":', f'{twice} "id":')
        assert ignoring.post("/predict", content=body).json()["code"] == (
            "malformed_json"
        )
    # A field of `/sigmoid` that is mistyped would change its result in silence.
    mistyped = ignoring.post("/sigmoid", json={"inputs": [1], "dtpye": "float64"})
    assert mistyped.json()["code"] == "unknown_field"


def test_inputs_behind_very_many_fields(ignoring: httpx.Client) -> None:
    many = {f"field {number}": "a\\b:" for number in range(1000)}
    got = ignoring.post("/predict", json={**many, "inputs": WHOLE})
    want = ignoring.post("/predict", json={"inputs": RECORD})
    assert got.content == want.content
