"""What datamodel-code-generator makes of `/openapi.json` asks and reads a real server.

`scripts/clients` does the same with generators that are not installed here.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from sigmoid_serve.configuration.settings import Settings
from sigmoid_serve.http.authentication import new_key
from tests.conftest import serve


def generated(client: httpx.Client, folder: Path) -> ModuleType:
    document, code = folder / "openapi.json", folder / "models_of_the_api.py"
    document.write_bytes(client.get("/openapi.json").content)
    options = {
        "--input": str(document),
        "--input-file-type": "openapi",
        "--output": str(code),
        "--output-model-type": "pydantic_v2.BaseModel",
        "--target-python-version": "3.11",
        "--formatters": "builtin",
    }
    command = [sys.executable, "-m", "datamodel_code_generator"]
    arguments = [part for option in options.items() for part in option]
    outcome = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stderr
    spec = importlib.util.spec_from_file_location(code.stem, code)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Where Pydantic looks up what the annotations name.
    sys.modules[code.stem] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[code.stem]
    return module


@pytest.fixture(scope="module")
def api(client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return generated(client, tmp_path_factory.mktemp("api"))


def posted(client: httpx.Client, path: str, body: Any, **headers: str) -> Any:
    return client.post(
        path,
        content=body.model_dump_json(),
        headers={"Content-Type": "application/json", **headers},
    )


def test_predictions(client: httpx.Client, api: Any) -> None:
    models = api.ModelList.model_validate(client.get("/models").json())
    path = f"/models/{models.default}"
    card = api.Card.model_validate(client.get(path).json())
    row = [0.5] * card.features
    record = dict.fromkeys(card.feature_names, 0.5)
    for inputs in (row, record, [row], [record], [[[[row]]]]):
        response = posted(client, f"{path}/predict", api.PredictRequest(inputs=inputs))
        assert response.status_code == 200, response.text
        answer = api.PredictResponse.model_validate(response.json())
        assert answer.classes == card.classes[1:]
        assert answer.link is None
        # As it came, with nothing read as another type.
        assert answer.model_dump(exclude_none=True) == response.json()


def test_the_sigmoid(client: httpx.Client, api: Any) -> None:
    # Fields that are not set are sent as null.
    response = posted(client, "/sigmoid", api.SigmoidRequest(inputs=[[-1, 0, 1]]))
    assert response.status_code == 200, response.text
    answer = api.SigmoidResponse.model_validate(response.json())
    assert [f"{value:.4f}" for value in answer.outputs[0]] == [
        *("0.2689", "0.5000", "0.7311")
    ]
    assert answer.dtype is api.Dtype.float32
    batch = api.SigmoidRequest(batch=[0, [[1, 2]], []], dtype=api.Dtype.float64)
    response = posted(client, "/sigmoid", batch)
    many = api.SigmoidBatchResponse.model_validate(response.json())
    assert (many.batch[0], many.shapes) == (0.5, [[], [1, 2], [0]])
    assert many.dtype is api.Dtype.float64


def test_errors(client: httpx.Client, api: Any) -> None:
    response = posted(client, "/predict", api.PredictRequest(inputs=[[1], [1, 2]]))
    problem = api.Problem.model_validate(response.json())
    assert (problem.status, problem.code) == (422, "ragged")
    assert (problem.pointer, problem.got) == ("/inputs/1", "a list of 2")


def test_with_a_key(tmp_path: Path) -> None:
    key, line = new_key("client", is_admin=False)
    keys = tmp_path / "keys.txt"
    keys.write_text(f"{line}\n")
    with serve(Settings(api_keys_file=keys)) as client:
        api: Any = generated(client, tmp_path)
        body = api.SigmoidRequest(inputs=0)
        refused = posted(client, "/sigmoid", body)
        answer = posted(client, "/sigmoid", body, Authorization=f"Bearer {key}")
    problem = api.Problem.model_validate(refused.json())
    assert (problem.status, problem.code) == (401, "key_required")
    assert api.SigmoidResponse.model_validate(answer.json()).outputs == 0.5
